import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

/// A link on top of one of the host's.
struct StackedLink: Equatable, Sendable {
    /// As rtnetlink has it: `macvlan`, `ipvlan`.
    var kind: String
    /// Attribute and value of the mode.
    var modeAttribute: Int
    var mode: UInt32
    /// What the kernel needs to have it.
    var option: String

    init(macvlan mode: String) throws(NetworkError) {
        let modes = [
            "private": MACVLAN_MODE_PRIVATE, "vepa": MACVLAN_MODE_VEPA, "bridge": MACVLAN_MODE_BRIDGE,
            "passthru": MACVLAN_MODE_PASSTHRU,
        ]
        guard let known = modes[mode] else { throw .invalidMode(kind: "macvlan", mode: mode) }
        self.init(kind: "macvlan", modeAttribute: IFLA_MACVLAN_MODE, mode: known.rawValue, option: "CONFIG_MACVLAN")
    }

    init(ipvlan mode: String) throws(NetworkError) {
        let modes = ["l2": IPVLAN_MODE_L2, "l3": IPVLAN_MODE_L3, "l3s": IPVLAN_MODE_L3S]
        guard let known = modes[mode] else { throw .invalidMode(kind: "ipvlan", mode: mode) }
        self.init(kind: "ipvlan", modeAttribute: IFLA_IPVLAN_MODE, mode: known.rawValue, option: "CONFIG_IPVLAN")
    }

    private init(kind: String, modeAttribute: Int, mode: UInt32, option: String) {
        self.kind = kind
        self.modeAttribute = modeAttribute
        self.mode = mode
        self.option = option
    }
}

extension NetworkManager {
    /// A stacked link is born in the namespace; no other name than the container's own is left of it on the host, so it
    /// bears its host interface's name as its alias.
    func attach(
        _ spec: InterfaceSpec, _ kind: StackedLink, parent name: String, to namespace: NamespaceEntrance
    ) throws(NetworkError) {
        let parent = try ensureParent(name)
        if let present = try namespace.stackedLink(of: spec.hostInterface) {
            if present.kind == kind.kind, present.peerIndex == parent.index {
                try rename(present, spec, inside: namespace.route)
                return try configure(spec, namespace, isNew: false, mtu: UInt32(clamping: spec.mtu ?? Int(parent.mtu)))
            }
            try namespace.route.remove(present, operation: "remove interface \(present.name)")
        }
        try removeStale(spec, inside: namespace.route)
        try namespace.birth(hasIPv6: spec.address6 != nil) { () throws(NetworkError) in
            var request = MessageBuilder()
            request.newStackedLink(spec, kind, parent: parent.index, namespace: namespace.descriptor.raw)
            try makeLink(request, kind: kind.kind, option: kind.option, name: spec.containerInterface)
        }
        try configure(spec, namespace, isNew: true, mtu: nil)
        try netlink { () throws(NetlinkError) in
            // As for a bridge's: what is sent right after is not lost.
            _ = try namespace.route.link(.name(spec.containerInterface))
        }
    }

    private func makeLink(
        _ request: MessageBuilder, kind: String, option: String, name: String
    ) throws(NetworkError) {
        do {
            try route.transact(request, operation: "make \(kind) \(name)")
        } catch {
            guard error.code == EOPNOTSUPP else { throw .netlink(error) }
            throw .unsupportedKind(kind, option: option)
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
        if present == nil {
            var request = MessageBuilder()
            if name.hasPrefix(dummyNamePrefix) {
                request.newDummy(name)
                try makeLink(request, kind: "dummy", option: "CONFIG_DUMMY", name: name)
            } else {
                guard let (base, id) = vlan(name) else { throw .missingInterface(name) }
                guard let link = try netlink({ () throws(NetlinkError) in try route.link(.name(base)) }) else {
                    throw .missingInterface(base)
                }
                request.newVLAN(name, id: id, parent: link.index)
                try makeLink(request, kind: "vlan", option: "CONFIG_VLAN_8021Q", name: name)
            }
        }
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

extension MessageBuilder {
    fileprivate mutating func newStackedLink(
        _ spec: InterfaceSpec, _ kind: StackedLink, parent: Int32, namespace: Int32
    ) {
        newLink(spec.containerInterface, kind: kind.kind) {
            $0.put(IFLA_LINK, native: parent)
            $0.put(IFLA_NET_NS_FD, native: namespace)
            if kind.kind == "macvlan" { $0.put(IFLA_ADDRESS, spec.ethernetAddress) }
            if let mtu = spec.mtu { $0.put(IFLA_MTU, native: UInt32(clamping: mtu)) }
        } data: {
            if kind.kind == "macvlan" {
                $0.put(kind.modeAttribute, native: kind.mode)
            } else {
                $0.put(kind.modeAttribute, native: UInt16(truncatingIfNeeded: kind.mode))
            }
        }
    }

    fileprivate mutating func newVLAN(_ name: String, id: UInt16, parent: Int32) {
        newLink(name, kind: "vlan") {
            $0.put(IFLA_LINK, native: parent)
        } data: {
            $0.put(IFLA_VLAN_ID, native: id)
        }
    }

    fileprivate mutating func newDummy(_ name: String) {
        newLink(name, kind: "dummy") { _ in
        } data: { _ in
        }
    }

    private mutating func newLink(
        _ name: String, kind: String, _ attributes: (inout MessageBuilder) -> Void,
        data: (inout MessageBuilder) -> Void
    ) {
        message(type: UInt16(truncatingIfNeeded: RTM_NEWLINK), flags: NLM_F_CREATE | NLM_F_EXCL) {
            // `struct ifinfomsg`.
            $0.append([UInt8](repeating: 0, count: 16))
            $0.put(IFLA_IFNAME, string: name)
            attributes(&$0)
            $0.nest(IFLA_LINKINFO) {
                $0.put(IFLA_INFO_KIND, string: kind)
                $0.nest(IFLA_INFO_DATA, data)
            }
        }
    }
}
