import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

/// Veth pairs between a bridge and a container.
extension NetworkManager {
    /// Makes the pair unless it is there; true when it was made.
    func makePair(
        _ spec: InterfaceSpec, bridge: Link, _ namespace: NamespaceEntrance
    ) throws(NetworkError) -> Bool {
        let request = newPair(spec, bridge: bridge, namespace: namespace.descriptor.raw)
        let make = { () throws(NetlinkError) in
            try self.route.transact(request, operation: "make interface \(spec.hostInterface)")
        }
        return try namespace.birth(hasIPv6: spec.address6 != nil) { () throws(NetworkError) in
            do throws(NetlinkError) {
                try make()
                return true
            } catch {
                guard error.code == EEXIST else { throw .netlink(error) }
            }
            if try repairPair(spec, bridge: bridge, inside: namespace.route) { return false }
            try netlink(make)
            return true
        }
    }

    private func newPair(_ spec: InterfaceSpec, bridge: Link, namespace: Int32) -> MessageBuilder {
        let mtu = spec.mtu.map { UInt32(clamping: $0) } ?? bridge.mtu
        var request = MessageBuilder()
        request.newVeth(
            NewVeth(
                name: spec.hostInterface, master: bridge.index, mtu: mtu, peerName: spec.containerInterface,
                peerAddress: spec.ethernetAddress, peerNamespace: namespace))
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
        try removeStale(spec, inside: inside)
        return false
    }

    /// Takes away what has the name of a container's interface and is not it.
    func removeStale(_ spec: InterfaceSpec, inside: NetlinkSocket) throws(NetworkError) {
        guard let stale = try netlink({ () throws(NetlinkError) in try inside.link(.name(spec.containerInterface)) })
        else { return }
        try inside.remove(stale, operation: "remove stale \(spec.containerInterface)")
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
        let mtu = spec.mtu.map { UInt32(clamping: $0) } ?? bridge.mtu
        var change = hostEnd(spec, mtu: mtu)
        if host.mtu != mtu { change.mtu = mtu }
        request.setLink(.index(host.index), change)
        try netlink { () throws(NetlinkError) in
            try route.transact(request, operation: "repair interface \(spec.hostInterface)")
        }
        try rename(container, spec, inside: inside)
    }

    func rename(_ container: Link, _ spec: InterfaceSpec, inside: NetlinkSocket) throws(NetworkError) {
        guard container.name != spec.containerInterface else { return }
        var change = LinkChange()
        change.name = spec.containerInterface
        var request = MessageBuilder()
        // Kernels before 6.2 rename only what is down.
        request.setLink(.index(container.index), LinkChange(isUp: false))
        request.setLink(.index(container.index), change)
        try netlink { () throws(NetlinkError) in
            try inside.transact(request, operation: "rename \(container.name) of \(spec.hostInterface)")
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
}
