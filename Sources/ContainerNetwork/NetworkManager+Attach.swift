import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

extension NetworkManager {
    /// Gives a namespace its interfaces: a veth pair each, whose container's end is born in the namespace, with address
    /// and default route. What is right already stays; what is missing or wrong is made anew.
    public func attach(namespaceID: String, _ interfaces: [InterfaceSpec]) throws(NetworkError) {
        guard !interfaces.isEmpty else { return }
        let path = try namespacePath(id: namespaceID)
        let namespace = try system { () throws(SystemError) in return try FileDescriptor.open(path, O_RDONLY) }
        // A netlink socket belongs to the namespace it was made in, whichever thread uses it later.
        let inside = try withNetworkNamespace(path) { () throws(NetworkError) in try NetlinkSocket.make(.route) }
        try attach(interfaces, namespace: namespace.raw, inside: inside)
    }

    /// - Parameter inside: a socket made in the namespace.
    func attach(
        _ interfaces: [InterfaceSpec], namespace: Int32, inside: NetlinkSocket
    ) throws(NetworkError) {
        for interface in interfaces {
            try checkInterfaceName(interface.hostInterface)
            try checkInterfaceName(interface.containerInterface)
            guard case .bridge(let name) = interface.kind else { throw .invalidName(interface.hostInterface) }
            let bridge = try netlink { () throws(NetlinkError) in try route.link(.name(name)) }
            guard let bridge else { throw .missingInterface(name) }
            let isNew = try makePair(interface, bridge: bridge, namespace: namespace, inside: inside)
            try configure(interface, inside: inside, isNew: isNew)
            try settle(interface, bridgeRan: bridge.flags & UInt32(IFF_RUNNING) != 0, inside: inside)
        }
    }

    /// The kernel's link watch starts queues and bridge ports some time after the carrier came: what is sent before is
    /// lost, and a lost ARP request costs a second. Asking for a link runs the watch for it at once (kernel >= 6.9).
    ///
    /// - Parameter bridgeRan: the bridge had a carrier before; asking for that has run the watch for it.
    private func settle(_ spec: InterfaceSpec, bridgeRan: Bool, inside: NetlinkSocket) throws(NetworkError) {
        try netlink { () throws(NetlinkError) in
            _ = try route.link(.name(spec.hostInterface))
            if !bridgeRan, case .bridge(let bridge) = spec.kind { _ = try route.link(.name(bridge)) }
            _ = try inside.link(.name(spec.containerInterface))
        }
    }

    /// Makes the pair unless it is there; true when it was made.
    private func makePair(
        _ spec: InterfaceSpec, bridge: Link, namespace: Int32, inside: NetlinkSocket
    ) throws(NetworkError) -> Bool {
        guard bridge.kind == "bridge" else { throw .foreignInterface(name: bridge.name, kind: bridge.kind) }
        let request = newPair(spec, bridge: bridge, namespace: namespace)
        do {
            try route.transact(request, operation: "make interface \(spec.hostInterface)")
            return true
        } catch {
            guard error.code == EEXIST else { throw .netlink(error) }
        }
        if try repairPair(spec, bridge: bridge, inside: inside) { return false }
        try netlink { () throws(NetlinkError) in
            try route.transact(request, operation: "make interface \(spec.hostInterface)")
        }
        return true
    }

    private func newPair(_ spec: InterfaceSpec, bridge: Link, namespace: Int32) -> MessageBuilder {
        let mtu = spec.mtu.map { UInt32(clamping: $0) } ?? bridge.mtu
        var request = MessageBuilder()
        request.newVeth(
            NewVeth(
                name: spec.hostInterface, master: bridge.index, mtu: mtu, peerName: spec.containerInterface,
                peerAddress: (spec.mac ?? MACAddress(spec.ownAddress)).bytes, peerNamespace: namespace))
        request.setLink(.name(spec.hostInterface), hostEnd(spec, mtu: mtu))
        return request
    }

    private func hostEnd(_ spec: InterfaceSpec, mtu: UInt32) -> LinkChange {
        var change = LinkChange(isUp: true)
        // A container that reaches its own published port leaves and comes back by the same bridge port.
        change.isHairpin = true
        change.isIsolated = spec.isIsolated
        change.withoutLinkLocal = hasIPv6 && mtu >= ipv6MTUMin
        return change
    }

    /// Looks at what took the names. A pair that joins this namespace and the host is put right: true. Everything else
    /// is moved out of the way: false.
    private func repairPair(
        _ spec: InterfaceSpec, bridge: Link, inside: NetlinkSocket
    ) throws(NetworkError) -> Bool {
        let host = try netlink { () throws(NetlinkError) in try route.link(.name(spec.hostInterface)) }
        if let host, host.kind != "veth" { throw .foreignInterface(name: spec.hostInterface, kind: host.kind) }
        if let host, let container = try otherEnd(of: host, inside: inside) {
            try repair(host, container, spec, bridge: bridge, inside: inside)
            return true
        }
        if let host { try setAside(host) }
        if let stale = try netlink({ () throws(NetlinkError) in try inside.link(.name(spec.containerInterface)) }) {
            var request = MessageBuilder()
            request.deleteLink(.index(stale.index))
            try netlink { () throws(NetlinkError) in
                try inside.transact(request, operation: "remove stale \(spec.containerInterface)")
            }
        }
        return false
    }

    /// The other end of a veth when it is in the namespace of `inside`. Indexes are unique in one namespace only: both
    /// ends must name each other.
    private func otherEnd(of host: Link, inside: NetlinkSocket) throws(NetworkError) -> Link? {
        guard let index = host.peerIndex else { return nil }
        let link = try netlink { () throws(NetlinkError) in try inside.link(.index(index)) }
        guard let link, link.kind == "veth", link.peerIndex == host.index else { return nil }
        return link
    }

    private func repair(
        _ host: Link, _ container: Link, _ spec: InterfaceSpec, bridge: Link, inside: NetlinkSocket
    ) throws(NetworkError) {
        var request = MessageBuilder()
        if host.master != bridge.index {
            // In a message of its own: port settings of the same message would be for the master it has now.
            var change = LinkChange()
            change.master = bridge.index
            request.setLink(.index(host.index), change)
        }
        request.setLink(.index(host.index), hostEnd(spec, mtu: host.mtu))
        try netlink { () throws(NetlinkError) in
            try route.transact(request, operation: "repair interface \(spec.hostInterface)")
        }
        guard container.name != spec.containerInterface else { return }
        var rename = LinkChange()
        rename.name = spec.containerInterface
        var inner = MessageBuilder()
        // Kernels before 6.2 rename only what is down.
        inner.setLink(.index(container.index), LinkChange(isUp: false))
        inner.setLink(.index(container.index), rename)
        try netlink { () throws(NetlinkError) in
            try inside.transact(inner, operation: "rename \(container.name) of \(spec.hostInterface)")
        }
    }

    /// The host's end of a namespace that the kernel has not finished removing: it goes by itself, its name is needed
    /// now.
    private func setAside(_ link: Link) throws(NetworkError) {
        var change = LinkChange(isUp: false)
        change.name = "gx\(String(link.index, radix: 16))"
        var request = MessageBuilder()
        request.setLink(.index(link.index), change)
        do {
            try route.transact(request, operation: "set aside \(link.name)")
        } catch {
            // Gone meanwhile.
            if error.code != ENODEV { throw .netlink(error) }
        }
    }

    /// Address, up and default route of the container's end, in one datagram.
    private func configure(_ spec: InterfaceSpec, inside: NetlinkSocket, isNew: Bool) throws(NetworkError) {
        guard let link = try netlink({ () throws(NetlinkError) in try inside.link(.name(spec.containerInterface)) })
        else {
            throw .missingInterface(spec.containerInterface)
        }
        let addresses = self.addresses(spec, index: link.index)
        if !isNew {
            try netlink { () throws(NetlinkError) in
                try inside.setAddresses(addresses, of: link.index, operation: "set addresses of \(link.name)")
            }
        }
        var change = LinkChange(isUp: true)
        change.withoutLinkLocal = hasIPv6 && spec.address6 == nil && link.mtu >= ipv6MTUMin
        let mac = (spec.mac ?? MACAddress(spec.ownAddress)).bytes
        if link.address != mac { change.address = mac }
        var request = MessageBuilder()
        request.setLink(.index(loopbackIndex), LinkChange(isUp: true))
        if isNew { for address in addresses { request.newAddress(address) } }
        request.setLink(.index(link.index), change)
        for gateway in spec.gateways {
            request.newRoute(Route(destination: [], prefixLength: 0, gateway: gateway.bytes, outputIndex: link.index))
        }
        try netlink { () throws(NetlinkError) in
            try inside.transact(request, operation: "configure \(spec.containerInterface) of \(spec.hostInterface)")
        }
    }

    private func addresses(_ spec: InterfaceSpec, index: Int32) -> [InterfaceAddress] {
        spec.addresses.map {
            InterfaceAddress(
                index: index, address: $0.address.bytes, prefixLength: UInt8(clamping: $0.prefixLength))
        }
    }
}
