import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

extension NetworkManager {
    /// Gives a namespace its interfaces, with addresses and default routes; those that it has besides are left alone,
    /// so that a running container can get one more. What is right already stays; what is missing or wrong is made
    /// anew.
    ///
    /// A bridge's is a veth pair, whose container's end is born in the namespace; a macvlan or ipvlan is born in it on
    /// top of the host's interface, which must be there.
    public func attach(namespaceID: String, _ interfaces: [InterfaceSpec]) throws(NetworkError) {
        guard !interfaces.isEmpty else { return }
        try withEntrance(namespaceID) { entrance throws(NetworkError) in try self.attach(interfaces, to: entrance) }
    }

    /// Takes one interface away from a namespace; one that is not there is no error. Waits for the kernel to have
    /// removed it (20 ms for a veth pair).
    public func detach(namespaceID: String, hostInterface: String) throws(NetworkError) {
        try checkInterfaceName(hostInterface)
        let path = try namespacePath(id: namespaceID)
        if let host = try netlink({ () throws(NetlinkError) in try route.link(.name(hostInterface)) }) {
            guard host.kind == "veth" else { throw .foreignInterface(name: hostInterface, kind: host.kind) }
            try route.remove(host, operation: "remove interface \(hostInterface)")
        } else if FileSystem.exists(path) {
            try withEntrance(namespaceID) { entrance throws(NetworkError) in
                guard let link = try entrance.stackedLink(of: hostInterface) else { return }
                try entrance.route.remove(link, operation: "remove interface \(link.name) of \(hostInterface)")
            }
        }
    }

    /// On a thread inside of the namespace: kernel parameters are those of the calling thread's, and netlink sockets
    /// belong to the namespace they were made in, whichever thread uses them.
    private func withEntrance<Value: Sendable>(
        _ id: String, _ body: @escaping @Sendable (NamespaceEntrance) throws(NetworkError) -> Value
    ) throws(NetworkError) -> Value {
        let path = try namespacePath(id: id)
        return try withNetworkNamespace(path) { () throws(NetworkError) in
            let descriptor = try system { () throws(SystemError) in
                SharedDescriptor(try FileDescriptor.open(path, O_RDONLY))
            }
            return try body(try NamespaceEntrance.open(descriptor: descriptor, isInside: true))
        }
    }

    func attach(_ interfaces: [InterfaceSpec], to namespace: NamespaceEntrance) throws(NetworkError) {
        for interface in interfaces {
            try check(interface)
            switch interface.kind {
            case .bridge(let bridge): try attach(interface, bridge: bridge, to: namespace)
            case .macvlan(let parent, let mode):
                try attach(interface, try InterfaceSpec.Kind.macvlan(mode: mode), parent: parent, to: namespace)
            case .ipvlan(let parent, let mode):
                try attach(interface, try InterfaceSpec.Kind.ipvlan(mode: mode), parent: parent, to: namespace)
            }
        }
    }

    private func check(_ spec: InterfaceSpec) throws(NetworkError) {
        try checkInterfaceName(spec.hostInterface)
        try checkInterfaceName(spec.containerInterface)
        guard !["lo", "all", "default"].contains(spec.containerInterface) else {
            throw .invalidName(spec.containerInterface)
        }
        if let mtu = spec.mtu, mtu < Int(ipv6MTUMin), spec.address6 != nil {
            throw .mtuTooSmall(interface: spec.containerInterface, mtu: mtu)
        }
        _ = try InterfaceParameter.all(of: spec)
    }

    private func attach(
        _ spec: InterfaceSpec, bridge name: String, to namespace: NamespaceEntrance
    ) throws(NetworkError) {
        guard let bridge = try netlink({ () throws(NetlinkError) in try route.link(.name(name)) }) else {
            throw .missingInterface(name)
        }
        guard bridge.kind == "bridge" else { throw .foreignInterface(name: name, kind: bridge.kind) }
        let isNew = try makePair(spec, bridge: bridge, namespace)
        try configure(spec, namespace, isNew: isNew, mtu: spec.mtu.map { UInt32(clamping: $0) } ?? bridge.mtu)
        try settle(spec, bridgeRan: bridge.flags & UInt32(IFF_RUNNING) != 0, namespace)
        if isNew, spec.mayBeUnexpected { try announce(spec, namespace) }
    }

    /// The kernel's link watch starts queues and bridge ports some time after the carrier came: what is sent before is
    /// lost, and a lost ARP request costs a second. Asking for a link runs the watch for it at once (kernel >= 6.9).
    ///
    /// - Parameter bridgeRan: the bridge had a carrier before; asking for that has run the watch for it.
    private func settle(
        _ spec: InterfaceSpec, bridgeRan: Bool, _ namespace: NamespaceEntrance
    ) throws(NetworkError) {
        try netlink { () throws(NetlinkError) in
            _ = try route.link(.name(spec.hostInterface))
            if !bridgeRan, case .bridge(let bridge) = spec.kind { _ = try route.link(.name(bridge)) }
            _ = try namespace.route.link(.name(spec.containerInterface))
        }
    }

    /// Tells neighbours who has the addresses now, for those that remember another. The kernel says so itself
    /// (`arp_notify`, `ndisc_notify`) when an interface comes up, before its bridge port passes anything on; it says so
    /// again for a change of the Ethernet address, also to the one it had.
    private func announce(_ spec: InterfaceSpec, _ namespace: NamespaceEntrance) throws(NetworkError) {
        var change = LinkChange()
        change.address = spec.ethernetAddress
        var request = MessageBuilder()
        request.setLink(.name(spec.containerInterface), change)
        try netlink { () throws(NetlinkError) in
            try namespace.route.transact(request, operation: "announce \(spec.containerInterface)")
        }
    }
}

extension InterfaceSpec {
    /// Neighbours may remember another Ethernet address for one of the addresses: on a bridge, one that follows from
    /// the only address never changes. Every container of the network hears an announcement, so none is made without
    /// need.
    var mayBeUnexpected: Bool {
        guard case .bridge = kind else { return true }
        return ethernetAddress != MACAddress(ownAddress).bytes || addresses.count > 1
    }

    /// Six bytes: the one given or the one that belongs to the address.
    var ethernetAddress: [UInt8] { (mac ?? MACAddress(ownAddress)).bytes }
}

extension NetlinkSocket {
    /// Removes a link; one that went meanwhile is no error.
    func remove(_ link: Link, operation: String) throws(NetworkError) {
        var request = MessageBuilder()
        request.deleteLink(.index(link.index))
        do {
            try transact(request, operation: operation)
        } catch {
            if error.code != ENODEV { throw .netlink(error) }
        }
    }
}
