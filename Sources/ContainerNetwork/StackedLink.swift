import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

/// Links on top of one of the host's.
extension NetworkManager {
    /// A stacked link is born in the namespace; no other name than the container's own is left of it on the host, so it
    /// bears its host interface's name as its alias.
    func attach(
        _ spec: InterfaceSpec, _ kind: NewLink.Kind, parent name: String, to namespace: NamespaceEntrance
    ) throws(NetworkError) {
        let parent = try ensureParent(name)
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
            throw .unsupportedKind(link.kind.name, option: link.kind.kernelOption)
        }
    }

    /// The host's interface below macvlan and ipvlan networks: one that is there; `NAME.ID`, the VLAN of that id on top
    /// of an interface that is there; or `gd-…`, a dummy, for networks without a way out. The last two are made when
    /// they are missing.
    /// - Throws: `missingInterface`; `unsupportedKind` when the kernel has no VLANs or dummies.
    @discardableResult
    func ensureParent(_ name: String) throws(NetworkError) -> Link {
        try checkInterfaceName(name)
        let find = { () throws(NetlinkError) in try self.route.link(.name(name)) }
        let present = try netlink(find)
        if let present, present.isUp || !isOwnParent(present) { return present }
        if present == nil { try makeParent(name) }
        var change = LinkChange(isUp: true)
        change.alias = parentAlias
        var request = MessageBuilder()
        request.setLink(.name(name), change)
        let link = try netlink { () throws(NetlinkError) in
            try route.transact(request, operation: "configure interface \(name)")
            return try find()
        }
        guard let link else { throw .missingInterface(name) }
        return link
    }

    private func makeParent(_ name: String) throws(NetworkError) {
        if name.hasPrefix(dummyNamePrefix) { return try makeLink(NewLink(name, .dummy)) }
        guard let (base, id) = vlan(name) else { throw .missingInterface(name) }
        guard let link = try netlink({ () throws(NetlinkError) in try route.link(.name(base)) }) else {
            throw .missingInterface(base)
        }
        try makeLink(NewLink(name, .vlan(id: id), parent: link.index))
    }

    /// What the interface of the host is marked with, "" when with nothing; `nil` when there is none of that name.
    public func interfaceAlias(of name: String) throws(NetworkError) -> String? {
        try checkInterfaceName(name)
        return try netlink { () throws(NetlinkError) in try route.link(.name(name)) }.map { $0.alias ?? "" }
    }

    /// Removes the VLAN or dummy that was made for a network; any other interface is left alone.
    public func removeParent(_ name: String) throws(NetworkError) {
        try checkInterfaceName(name)
        guard let link = try netlink({ () throws(NetlinkError) in try route.link(.name(name)) }), isOwnParent(link)
        else { return }
        try route.remove(link, operation: "remove interface \(name)")
    }

    private var parentAlias: String { "\(tableName):parent" }

    private func isOwnParent(_ link: Link) -> Bool {
        link.alias == parentAlias && (link.kind == "vlan" || link.kind == "dummy")
    }

    private func vlan(_ name: String) -> (base: String, id: UInt16)? {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex,
            let id = UInt16(name[name.index(after: dot)...]), (1...4094).contains(id)
        else { return nil }
        return (String(name[..<dot]), id)
    }
}

/// Parents of networks without a way out, eight hexadecimal digits following.
public let dummyNamePrefix = "gd-"

extension NamespaceEntrance {
    /// The macvlan or ipvlan that was made for `hostInterface`.
    func stackedLink(of hostInterface: String) throws(NetworkError) -> Link? {
        try netlink { () throws(NetlinkError) in
            try route.links().first { $0.alias == hostInterface && ($0.kind == "macvlan" || $0.kind == "ipvlan") }
        }
    }
}

extension NewLink.Kind {
    /// What the kernel's configuration needs to have it.
    fileprivate var kernelOption: String {
        switch self {
        case .dummy: "CONFIG_DUMMY"
        case .bridge: "CONFIG_BRIDGE"
        case .macvlan: "CONFIG_MACVLAN"
        case .ipvlan: "CONFIG_IPVLAN"
        case .vxlan: "CONFIG_VXLAN"
        case .vlan: "CONFIG_VLAN_8021Q"
        }
    }

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
