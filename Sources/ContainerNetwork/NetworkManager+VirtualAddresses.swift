import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink
import Synchronization

extension NetworkManager {
    /// Gives the bridges of `state` the virtual addresses it says, and takes away others.
    ///
    /// A virtual address is one with a prefix of its full length: a bridge's own has its subnet's. So nothing has to be
    /// remembered, not over a restart of the engine either. A bridge that is not there gets them with `ensureBridge`.
    func ensureVirtualAddresses(_ state: FirewallState) throws(NetworkError) {
        let wanted = Dictionary(grouping: state.virtualAddresses, by: \.bridge)
        let links = try netlink { () throws(NetlinkError) in try route.links() }
        let indexes = Dictionary(links.map { ($0.name, $0.index) }, uniquingKeysWith: { first, _ in first })
        let present = try netlink { () throws(NetlinkError) in
            try route.addresses(family: AF_INET) + (hasIPv6 ? try route.addresses(family: AF_INET6) : [])
        }.filter(\.isVirtual)
        for bridge in state.bridges {
            guard let index = indexes[bridge.bridge] else { continue }
            let addresses = wanted[bridge.bridge]?.map(\.address) ?? []
            try setVirtualAddresses(addresses, of: bridge, index, present: present.filter { $0.index == index })
        }
    }

    /// As the last applied state has them: after a bridge was made anew.
    func restoreVirtualAddresses(of bridge: BridgeSpec) throws(NetworkError) {
        let state = firewall.withLock { $0?.model.input.state }
        guard let entries = state?.virtualAddresses.filter({ $0.bridge == bridge.bridge }), !entries.isEmpty else {
            return
        }
        try ensureVirtualAddresses(FirewallState(bridges: [bridge], virtualAddresses: entries))
    }

    private func setVirtualAddresses(
        _ wanted: [IPAddress], of bridge: BridgeSpec, _ index: Int32, present: [InterfaceAddress]
    ) throws(NetworkError) {
        let wanted = wanted.filter { hasIPv6 || !$0.isV6 }.map {
            InterfaceAddress(index: index, address: $0.bytes, prefixLength: UInt8($0.bitCount))
        }
        var request = MessageBuilder()
        for address in present where !wanted.contains(where: { $0.isSame(as: address) }) {
            request.deleteAddress(address)
        }
        for address in wanted where !present.contains(where: { $0.isSame(as: address) }) {
            request.newVirtualAddress(address)
        }
        try netlink { () throws(NetlinkError) in
            try route.transact(request, operation: "set virtual addresses of \(bridge.bridge)")
        }
        if bridge.isInternal { try setForwarding(of: bridge, isOn: !wanted.isEmpty) }
    }

    /// In the last applied state.
    func hasVirtualAddresses(_ bridge: String) -> Bool {
        firewall.withLock { $0?.model.input.state.virtualAddresses.contains { $0.bridge == bridge } ?? false }
    }
}

extension MessageBuilder {
    /// An address that the interface answers for but never sends from by itself: with an IPv6 one that is preferred,
    /// the longest match (RFC 6724, rule 8) would choose it over the interface's own.
    fileprivate mutating func newVirtualAddress(_ address: InterfaceAddress) {
        guard address.address.count == 16 else { return newAddress(address) }
        var assigned = AssignedAddress(address, flags: IFA_F_NODAD.kernelValue)
        assigned.preferredSeconds = 0
        newAddress(assigned)
    }
}

extension InterfaceAddress {
    /// All bits of the address are prefix.
    var isVirtual: Bool { !isLinkLocal6 && Int(prefixLength) == address.count * 8 }

    fileprivate func isSame(as other: InterfaceAddress) -> Bool {
        address == other.address && prefixLength == other.prefixLength
    }
}
