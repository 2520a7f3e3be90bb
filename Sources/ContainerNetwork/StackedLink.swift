import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

/// Links on top of one of the host's.
extension NetworkManager {
    /// A stacked link is born in the namespace; no other name than the container's own is left of it on the host, so it
    /// bears its host interface's name as its alias.
    /// - Throws: `missingInterface` for a parent that there is not; `unsupportedKind`.
    func attach(
        _ spec: InterfaceSpec, _ kind: NewLink.Kind, parent name: String, to namespace: NamespaceEntrance
    ) throws(NetworkError) {
        try checkInterfaceName(name)
        guard let parent = try netlink({ () throws(NetlinkError) in try route.link(.name(name)) }) else {
            throw .missingInterface(name)
        }
        if let present = try namespace.stackedLink(of: spec.hostInterface) {
            if present.details?.mode == kind.mode, present.parentIndex == parent.index {
                try rename(present, spec, inside: namespace.route)
                return try configure(spec, namespace, isNew: false, mtu: UInt32(clamping: spec.mtu ?? Int(parent.mtu)))
            }
            try namespace.route.remove(present, operation: "remove interface \(present.name)")
        }
        try removeStale(spec, inside: namespace.route)
        try namespace.birth(of: spec) { () throws(NetworkError) in
            var link = NewLink(spec.containerInterface, kind, parent: parent.index)
            // An ipvlan has its parent's.
            if case .macvlan = kind { link.address = spec.ethernetAddress }
            link.mtu = spec.mtu.map { UInt32(clamping: $0) }
            link.namespace = namespace.descriptor.raw
            try makeLink(link)
        }
        try configure(spec, namespace, isNew: true, mtu: nil)
        try netlink { () throws(NetlinkError) in
            // As for a bridge's: what is sent right after is not lost.
            _ = try namespace.route.link(.name(spec.containerInterface))
        }
    }

    private func makeLink(_ link: NewLink) throws(NetworkError) {
        var request = MessageBuilder()
        request.newLink(link)
        do {
            try route.transact(request, operation: "make \(link.kind.name) \(link.name)")
        } catch {
            guard error.code == EOPNOTSUPP else { throw .netlink(error) }
            throw .unsupportedKind(link.kind.name, option: "CONFIG_\(link.kind.name.uppercased())")
        }
    }

    /// What the interface of the host is marked with, "" when with nothing; `nil` when there is none of that name.
    public func interfaceAlias(of name: String) throws(NetworkError) -> String? {
        try checkInterfaceName(name)
        return try netlink { () throws(NetlinkError) in try route.link(.name(name)) }.map { $0.alias ?? "" }
    }
}

extension NamespaceEntrance {
    /// The macvlan or ipvlan that was made for `hostInterface`.
    func stackedLink(of hostInterface: String) throws(NetworkError) -> Link? {
        try netlink { () throws(NetlinkError) in
            try route.links().first { $0.alias == hostInterface && ($0.kind == "macvlan" || $0.kind == "ipvlan") }
        }
    }
}

extension NewLink.Kind {
    /// Kind and mode of what is stacked.
    fileprivate var mode: String? {
        switch self {
        case .macvlan(let mode, _): "macvlan \(mode)"
        case .ipvlan(let mode, _): "ipvlan \(mode)"
        default: nil
        }
    }
}

extension LinkDetails {
    fileprivate var mode: String? {
        switch self {
        case .macvlan(let mode, _): "macvlan \(mode)"
        case .ipvlan(let mode, _): "ipvlan \(mode)"
        default: nil
        }
    }
}

extension InterfaceSpec.Kind {
    /// Of a macvlan or ipvlan, as the kernel is told.
    /// - Throws: `invalidMode`.
    static func macvlan(mode: String) throws(NetworkError) -> NewLink.Kind {
        let modes: [String: MacvlanMode] = [
            "private": .private, "vepa": .vepa, "bridge": .bridge, "passthru": .passthru,
        ]
        guard let known = modes[mode] else { throw .invalidMode(kind: "macvlan", mode: mode) }
        return .macvlan(known)
    }

    static func ipvlan(mode: String) throws(NetworkError) -> NewLink.Kind {
        let modes: [String: IPvlanMode] = ["l2": .l2, "l3": .l3, "l3s": .l3s]
        guard let known = modes[mode] else { throw .invalidMode(kind: "ipvlan", mode: mode) }
        return .ipvlan(known)
    }
}
