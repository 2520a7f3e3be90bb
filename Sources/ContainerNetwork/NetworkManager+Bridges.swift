import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

extension NetworkManager {
    /// Makes a bridge as `spec` says, or changes the one that is there to it. Global forwarding is never touched: the
    /// bridge and the host's routed interfaces forward, each by its own switch.
    public func ensureBridge(_ spec: BridgeSpec) throws(NetworkError) {
        try checkInterfaceName(spec.bridge)
        let mtu = if let mtu = spec.mtu { mtu } else { try uplinkMTU() }
        let index = try makeBridge(spec, mtu: mtu)
        try setAddresses(spec, index: index)
        try setControls(spec)
        if !spec.isInternal { try openUplinks() }
    }

    /// Removes a bridge; one that is not there is no error. Its ports stay, without a master, for their namespaces to
    /// take.
    public func removeBridge(_ bridge: String) throws(NetworkError) {
        try checkInterfaceName(bridge)
        guard let link = try netlink({ () throws(NetlinkError) in try route.link(.name(bridge)) }) else { return }
        guard link.kind == "bridge" else { throw .foreignInterface(name: bridge, kind: link.kind) }
        var request = MessageBuilder()
        request.deleteLink(.index(link.index))
        do {
            try route.transact(request, operation: "remove bridge \(bridge)")
        } catch {
            if error.code != ENODEV { throw .netlink(error) }
        }
    }

    private func makeBridge(_ spec: BridgeSpec, mtu: Int) throws(NetworkError) -> Int32 {
        let address = MACAddress(spec.ownAddress).bytes
        let mtu = UInt32(clamping: mtu)
        var existing = try netlink { () throws(NetlinkError) in try route.link(.name(spec.bridge)) }
        if existing == nil {
            var request = MessageBuilder()
            request.newBridge(NewBridge(name: spec.bridge, address: address, mtu: mtu))
            do {
                try route.transact(request, operation: "make bridge \(spec.bridge)")
            } catch {
                if error.code != EEXIST { throw .netlink(error) }
            }
            existing = try netlink { () throws(NetlinkError) in try route.link(.name(spec.bridge)) }
        }
        guard let link = existing else { throw .missingInterface(spec.bridge) }
        guard link.kind == "bridge" else { throw .foreignInterface(name: spec.bridge, kind: link.kind) }
        let alias = bridgeAlias(spec)
        if link.isUp, link.address == address, link.mtu == mtu, link.alias == alias { return link.index }
        var change = LinkChange(isUp: true)
        change.address = address
        change.mtu = mtu
        change.alias = alias
        change.withoutLinkLocal = hasIPv6 && !spec.hasIPv6 && mtu >= ipv6MTUMin
        var request = MessageBuilder()
        request.setLink(.index(link.index), change)
        try netlink { () throws(NetlinkError) in
            try route.transact(request, operation: "configure bridge \(spec.bridge)")
        }
        return link.index
    }

    /// Ownership mark: bridges of several engines side by side are told apart by it.
    func bridgeAlias(_ spec: BridgeSpec) -> String {
        let aliasByteCountMax = 255
        return String(decoding: "\(tableName):\(spec.name)".utf8.prefix(aliasByteCountMax), as: UTF8.self)
    }

    private func setAddresses(_ spec: BridgeSpec, index: Int32) throws(NetworkError) {
        let wanted = spec.subnets.compactMap { subnet in
            subnet.gateway.map {
                InterfaceAddress(
                    index: index, address: $0.bytes, prefixLength: UInt8(clamping: subnet.range.prefixLength))
            }
        }
        try netlink { () throws(NetlinkError) in
            try route.setAddresses(wanted, of: index, operation: "set addresses of \(spec.bridge)")
        }
    }

    /// Sets the switches of a bridge that somebody has changed; one that is not there is none of them.
    public func repairControls(of spec: BridgeSpec) throws(NetworkError) {
        do {
            try setControls(spec)
        } catch {
            guard case .system(let cause) = error, cause.code == ENOENT else { throw error }
        }
    }

    private func setControls(_ spec: BridgeSpec) throws(NetworkError) {
        try SystemControls.set(.ipv4, spec.bridge, "forwarding", spec.isInternal ? 0 : 1)
        // Connections of the host to 127.0.0.1:PORT leave by the bridge; the firewall drops what others send to 127/8.
        try SystemControls.set(.ipv4, spec.bridge, "route_localnet", 1)
        try SystemControls.set(.ipv4, spec.bridge, "rp_filter", 2)
        if hasIPv6 { try SystemControls.set(.ipv6, spec.bridge, "accept_ra", 0) }
    }
}

/// Bytes below which an interface has no IPv6 at all (RFC 8200).
let ipv6MTUMin: UInt32 = 1280

extension NetlinkSocket {
    /// Gives an interface exactly these global addresses of the families that occur in them (and of IPv4).
    func setAddresses(_ wanted: [InterfaceAddress], of index: Int32, operation: String) throws(NetlinkError) {
        var request = MessageBuilder()
        for family in [AF_INET, AF_INET6] {
            let byteCount = family == AF_INET ? 4 : 16
            let wantedHere = wanted.filter { $0.address.count == byteCount }
            if wantedHere.isEmpty && family == AF_INET6 { continue }
            let present = try addresses(family: family).filter { $0.index == index && !$0.isLinkLocal6 }
            for address in present where !wantedHere.contains(address) { request.deleteAddress(address) }
            for address in wantedHere where !present.contains(address) { request.newAddress(address) }
        }
        try transact(request, operation: operation)
    }
}

extension InterfaceAddress {
    /// fe80::/10.
    var isLinkLocal6: Bool { address.count == 16 && address.starts(with: [0xfe]) && address[1] & 0xc0 == 0x80 }
}
