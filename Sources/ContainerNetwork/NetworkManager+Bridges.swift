import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink
import Synchronization

extension NetworkManager {
    /// Makes a bridge as `spec` says, or changes the one that is there to it: its addresses and MTU while containers go
    /// on using it. Global forwarding is never touched: the bridge and the host's routed interfaces forward, each by
    /// its own switch.
    /// - Throws: `foreignInterface` when the name is that of an interface that this engine did not make.
    public func ensureBridge(_ spec: BridgeSpec) throws(NetworkError) {
        try checkInterfaceName(spec.bridge)
        let mtu = if let mtu = spec.mtu { mtu } else { try uplinkMTU() }
        guard !spec.hasIPv6 || mtu >= Int(ipv6MTUMin) else { throw .mtuTooSmall(interface: spec.bridge, mtu: mtu) }
        let (link, isNew) = try findOrMakeBridge(spec, mtu: UInt32(clamping: mtu))
        // Before it is up: duplicate detection would begin, and router advertisements be heard.
        try setControls(spec)
        try configure(link, spec, mtu: UInt32(clamping: mtu))
        try setAddresses(spec, index: link.index)
        try restoreVirtualAddresses(of: spec)
        if !isNew { try restoreRoutes(spec, index: link.index) }
        guard !spec.isInternal else { return }
        if spec.hasIPv6 { needsIPv6.withLock { $0 = true } }
        try openUplinks()
    }

    /// Removes a bridge; one that is not there is no error. Its ports stay, without a master, for their namespaces to
    /// take.
    public func removeBridge(_ bridge: String) throws(NetworkError) {
        try checkInterfaceName(bridge)
        guard let link = try netlink({ () throws(NetlinkError) in try route.link(.name(bridge)) }) else { return }
        guard mayTake(link) else { throw .foreignInterface(name: bridge, kind: link.kind) }
        var request = MessageBuilder()
        request.deleteLink(.index(link.index))
        do {
            try route.transact(request, operation: "remove bridge \(bridge)")
        } catch {
            if error.code != ENODEV { throw .netlink(error) }
        }
    }

    /// Ours, or one whose mark was taken away.
    private func mayTake(_ link: Link) -> Bool {
        guard link.kind == "bridge" else { return false }
        return isOwn(link) || (link.name.hasPrefix(bridgeNamePrefix) && link.alias == nil)
    }

    private func findOrMakeBridge(_ spec: BridgeSpec, mtu: UInt32) throws(NetworkError) -> (Link, isNew: Bool) {
        let find = { () throws(NetlinkError) in try self.route.link(.name(spec.bridge)) }
        if let link = try netlink(find) {
            guard mayTake(link) else { throw .foreignInterface(name: spec.bridge, kind: link.kind) }
            return (link, false)
        }
        var mark = LinkChange()
        mark.alias = bridgeAlias(spec)
        var request = MessageBuilder()
        request.newBridge(NewBridge(name: spec.bridge, address: MACAddress(spec.ownAddress).bytes, mtu: mtu))
        request.setLink(.name(spec.bridge), mark)
        try netlink { () throws(NetlinkError) in
            try route.transact(request, operation: "make bridge \(spec.bridge)")
        }
        guard let link = try netlink(find) else { throw .missingInterface(spec.bridge) }
        return (link, true)
    }

    private func configure(_ link: Link, _ spec: BridgeSpec, mtu: UInt32) throws(NetworkError) {
        let address = MACAddress(spec.ownAddress).bytes
        let alias = bridgeAlias(spec)
        if link.isUp, link.address == address, link.mtu == mtu, link.alias == alias { return }
        var change = LinkChange(isUp: true)
        change.address = address
        change.mtu = mtu
        change.alias = alias
        var request = MessageBuilder()
        request.setLink(.index(link.index), change)
        try netlink { () throws(NetlinkError) in
            try route.transact(request, operation: "configure bridge \(spec.bridge)")
        }
    }

    /// Ownership mark: bridges of several engines side by side are told apart by it.
    func bridgeAlias(_ spec: BridgeSpec) -> String {
        let aliasByteCountMax = 255
        return String(decoding: "\(tableName):\(spec.name)".utf8.prefix(aliasByteCountMax), as: UTF8.self)
    }

    /// Gateways; addresses of services, which are networks of one address each, are the firewall's and stay.
    private func setAddresses(_ spec: BridgeSpec, index: Int32) throws(NetworkError) {
        let wanted = spec.gateways(index: index)
        try netlink { () throws(NetlinkError) in
            try route.setAddresses(
                wanted, of: index, operation: "set addresses of \(spec.bridge)", withIPv6: hasIPv6, keeping: \.isVirtual
            )
        }
    }

    /// The kernel makes these when an address comes, and not again when somebody deletes them.
    private func restoreRoutes(_ spec: BridgeSpec, index: Int32) throws(NetworkError) {
        try netlink { () throws(NetlinkError) in
            try route.restoreConnectedRoutes(
                of: spec.gateways(index: index), operation: "restore routes of \(spec.bridge)")
        }
        guard spec.hasGateway6, try !route.hasLinkLocal(index) else { return }
        try SystemControls.renewLinkLocal(spec.bridge)
    }

    private func setControls(_ spec: BridgeSpec) throws(NetworkError) {
        // Connections of the host to 127.0.0.1:PORT leave by the bridge; the firewall drops what others send to 127/8.
        try SystemControls.set(.ipv4, spec.bridge, "route_localnet", 1)
        try SystemControls.set(.ipv4, spec.bridge, "rp_filter", 2)
        if hasIPv6 {
            // There is no IPv6 below its smallest MTU.
            try SystemControls.setIfPresent(.ipv6, spec.bridge, "accept_ra", 0)
            try SystemControls.setIfPresent(.ipv6, spec.bridge, "accept_dad", 0)
            // A bridge without an address in the network is not reached by a link-local one either.
            try SystemControls.setIfPresent(.ipv6, spec.bridge, "addr_gen_mode", spec.hasGateway6 ? 0 : 1)
            try SystemControls.setIfPresent(.ipv6, spec.bridge, "disable_ipv6", spec.hasIPv6 ? 0 : 1)
        }
        try setForwarding(of: spec)
    }
}

extension BridgeSpec {
    var hasGateway6: Bool { subnets.contains { $0.gateway?.isV6 == true } }

    /// The bridge's own addresses, each family's in the order of the subnets.
    func gateways(index: Int32) -> [InterfaceAddress] {
        subnets.compactMap { subnet in
            subnet.gateway.map {
                InterfaceAddress(
                    index: index, address: $0.bytes, prefixLength: UInt8(clamping: subnet.range.prefixLength))
            }
        }
    }
}

/// Bytes below which an interface has no IPv6 at all (RFC 8200).
let ipv6MTUMin: UInt32 = 1280

extension NetlinkSocket {
    /// Gives an interface exactly these addresses, and those that `keeping` names. A link-local address that the kernel
    /// made from the Ethernet address stays too, as long as there is another IPv6 address.
    func setAddresses(
        _ wanted: [InterfaceAddress], of index: Int32, operation: String, withIPv6: Bool,
        keeping: (InterfaceAddress) -> Bool = { _ in false }
    ) throws(NetlinkError) {
        var request = MessageBuilder()
        for family in withIPv6 ? [AF_INET, AF_INET6] : [AF_INET] {
            let wantedHere = wanted.filter { $0.address.count == (family == AF_INET ? 4 : 16) }
            let present = try addresses(family: family).filter { $0.index == index }
            // IPv4 packets go out with the first address of their network: the order counts.
            var staying = present.filter { wantedHere.contains($0) }
            if family == AF_INET && !wantedHere.starts(with: staying) { staying = [] }
            // Backwards: with the first one, the kernel would remove the others of its network.
            for address in present.reversed() where !staying.contains(address) {
                let isKept = keeping(address) || (address.isLinkLocal6 && !wantedHere.isEmpty)
                if wantedHere.contains(address) || !isKept { request.deleteAddress(address) }
            }
            for address in wantedHere where !staying.contains(address) { request.newAddress(address) }
        }
        try transact(request, operation: operation)
    }

    /// Whether an interface has an address of fe80::/10.
    func hasLinkLocal(_ index: Int32) throws(NetworkError) -> Bool {
        try netlink { () throws(NetlinkError) in
            try addresses(family: AF_INET6).contains { $0.index == index && $0.isLinkLocal6 }
        }
    }

    /// Adds the routes to the networks of addresses that are missing.
    func restoreConnectedRoutes(of addresses: [InterfaceAddress], operation: String) throws(NetlinkError) {
        var request = MessageBuilder()
        for family in [AF_INET, AF_INET6] {
            let networks = addresses.compactMap { address -> (InterfaceAddress, CIDR)? in
                guard address.address.count == (family == AF_INET ? 4 : 16),
                    let value = IPAddress(bytes: address.address),
                    Int(address.prefixLength) < value.bitCount,
                    let network = CIDR(value, prefixLength: Int(address.prefixLength))
                else { return nil }
                return (address, network)
            }
            if networks.isEmpty { continue }
            let present = try routes(family: family).filter { $0.table == RT_TABLE_MAIN.kernelValue }
            for (address, network) in networks {
                let isThere = present.contains {
                    $0.outputIndex == address.index && $0.destination == network.network.bytes
                        && Int($0.prefixLength) == network.prefixLength
                }
                if isThere { continue }
                request.newRoute(
                    Route(
                        destination: network.network.bytes, prefixLength: address.prefixLength, gateway: nil,
                        outputIndex: address.index))
            }
        }
        try transact(request, operation: operation)
    }
}

extension InterfaceAddress {
    /// fe80::/10.
    var isLinkLocal6: Bool { address.count == 16 && address.starts(with: [0xfe]) && address[1] & 0xc0 == 0x80 }
}
