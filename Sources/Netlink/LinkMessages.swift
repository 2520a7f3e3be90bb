import CLinux
import Glibc

/// A bridge to make.
public struct NewBridge: Equatable, Sendable {
    public var name: String
    /// Six bytes. A bridge without one takes the lowest of its ports', and changes it as they come and go.
    public var address: [UInt8]
    /// Bytes; `nil` leaves the kernel's 1500.
    public var mtu: UInt32?
    /// Without forward delay unless it is given: no port waits for a spanning tree.
    public var options: BridgeOptions

    public init(name: String, address: [UInt8], mtu: UInt32? = nil, options: BridgeOptions = BridgeOptions()) {
        self.name = name
        self.address = address
        self.mtu = mtu
        self.options = options
        if options.forwardDelay == nil { self.options.forwardDelay = 0 }
    }
}

/// A veth pair to make, with one end here, up and on a bridge, and the other born in another namespace.
public struct NewVeth: Equatable, Sendable {
    public var name: String
    /// Index of the bridge.
    public var master: Int32
    public var mtu: UInt32?
    public var peerName: String
    /// Six bytes.
    public var peerAddress: [UInt8]
    /// Open descriptor of the peer's network namespace.
    public var peerNamespace: Int32

    public init(
        name: String, master: Int32, mtu: UInt32?, peerName: String, peerAddress: [UInt8], peerNamespace: Int32
    ) {
        self.name = name
        self.master = master
        self.mtu = mtu
        self.peerName = peerName
        self.peerAddress = peerAddress
        self.peerNamespace = peerNamespace
    }
}

/// An interface to make.
public struct NewLink: Equatable, Sendable {
    /// Its kind with the options; for a veth there is `NewVeth`.
    public enum Kind: Hashable, Sendable {
        case dummy
        case bridge(BridgeOptions)
        case macvlan(MacvlanMode, flags: UInt16 = 0)
        case ipvlan(IPvlanMode, IPvlanFlag = .bridge)
        case vxlan(VXLANOptions)
        case vlan(id: UInt16, protocol: UInt16 = 0x8100)

        /// As rtnetlink names it.
        public var name: String {
            switch self {
            case .dummy: "dummy"
            case .bridge: "bridge"
            case .macvlan: "macvlan"
            case .ipvlan: "ipvlan"
            case .vxlan: "vxlan"
            case .vlan: "vlan"
            }
        }

        var details: LinkDetails? {
            switch self {
            case .dummy: nil
            case .bridge(let options): .bridge(options)
            case .macvlan(let mode, let flags): .macvlan(mode, flags: flags)
            case .ipvlan(let mode, let flag): .ipvlan(mode, flag)
            case .vxlan(let options): .vxlan(options)
            case .vlan(let id, let number): .vlan(id: id, protocol: number)
            }
        }
    }

    public var name: String
    public var kind: Kind
    /// Six bytes; the kernel draws one when there is none.
    public var address: [UInt8]?
    /// Bytes.
    public var mtu: UInt32?
    /// Index of the interface below: macvlan, ipvlan and vlan need one.
    public var parent: Int32?
    /// Index of the bridge it becomes a port of.
    public var master: Int32?
    /// Open descriptor of the network namespace it is born in; the parent stays in that of the socket.
    public var namespace: Int32?
    public var isUp: Bool

    public init(_ name: String, _ kind: Kind, parent: Int32? = nil, isUp: Bool = false) {
        self.name = name
        self.kind = kind
        self.parent = parent
        self.isUp = isUp
    }
}

/// How to name an interface in a request.
public enum LinkReference: Equatable, Sendable {
    case index(Int32)
    case name(String)
}

/// Changes of an existing interface; what is `nil` stays.
public struct LinkChange: Equatable, Sendable {
    public var isUp: Bool?
    public var name: String?
    public var master: Int32?
    public var mtu: UInt32?
    public var address: [UInt8]?
    public var alias: String?
    /// No IPv6 link-local address of its own (`IN6_ADDR_GEN_MODE_NONE`).
    public var withoutLinkLocal: Bool
    /// As a bridge's port.
    public var port: BridgePort
    /// As a bridge.
    public var bridge: BridgeOptions?
    /// Open descriptor of the network namespace it is moved to.
    public var namespace: Int32?
    public var transmitQueueLength: UInt32?
    public var group: UInt32?

    public init(isUp: Bool? = nil) {
        self.isUp = isUp
        withoutLinkLocal = false
        port = BridgePort()
    }

    /// Bridge port: a frame may leave by the port it came from.
    public var isHairpin: Bool? {
        get { port.isHairpin }
        set { port.isHairpin = newValue }
    }
    /// Bridge port: no frames between two isolated ports.
    public var isIsolated: Bool? {
        get { port.isIsolated }
        set { port.isIsolated = newValue }
    }
}

extension MessageBuilder {
    /// `struct ifinfomsg`.
    mutating func linkHeader(index: Int32 = 0, flags: UInt32 = 0, change: UInt32 = 0) {
        appendNative(UInt8(AF_UNSPEC))
        appendNative(UInt8(0))
        appendNative(UInt16(0))
        appendNative(index)
        appendNative(flags)
        appendNative(change)
    }

    /// Makes a bridge; fails with EEXIST when the name is taken.
    public mutating func newBridge(_ bridge: NewBridge) {
        message(type: RTM_NEWLINK.type16, flags: NLM_F_CREATE | NLM_F_EXCL) {
            $0.linkHeader()
            $0.put(IFLA_IFNAME, string: bridge.name)
            $0.put(IFLA_ADDRESS, bridge.address)
            if let mtu = bridge.mtu { $0.put(IFLA_MTU, native: mtu) }
            $0.nest(IFLA_LINKINFO) {
                $0.put(IFLA_INFO_KIND, string: "bridge")
                $0.nest(IFLA_INFO_DATA) { bridge.options.encode(into: &$0) }
            }
        }
    }

    /// Makes a veth pair; fails with EEXIST when either name is taken. The peer cannot be brought up by this message:
    /// veth_open() answers ENOTCONN until both ends are linked.
    public mutating func newVeth(_ veth: NewVeth) {
        let up = UInt32(IFF_UP)
        message(type: RTM_NEWLINK.type16, flags: NLM_F_CREATE | NLM_F_EXCL) {
            $0.linkHeader(flags: up, change: up)
            $0.put(IFLA_IFNAME, string: veth.name)
            $0.put(IFLA_MASTER, native: veth.master)
            if let mtu = veth.mtu { $0.put(IFLA_MTU, native: mtu) }
            $0.nest(IFLA_LINKINFO) {
                $0.put(IFLA_INFO_KIND, string: "veth")
                $0.nest(IFLA_INFO_DATA) {
                    $0.nest(VETH_INFO_PEER) {
                        $0.linkHeader()
                        $0.put(IFLA_IFNAME, string: veth.peerName)
                        $0.put(IFLA_ADDRESS, veth.peerAddress)
                        $0.put(IFLA_NET_NS_FD, native: veth.peerNamespace)
                        if let mtu = veth.mtu { $0.put(IFLA_MTU, native: mtu) }
                    }
                }
            }
        }
    }

    /// Changes an interface. Without `NLM_F_CREATE`: ENODEV when it is not there.
    public mutating func setLink(_ link: LinkReference, _ change: LinkChange) {
        let up = UInt32(IFF_UP)
        message(type: RTM_NEWLINK.type16) {
            let index: Int32 = if case .index(let index) = link { index } else { 0 }
            $0.linkHeader(index: index, flags: change.isUp == true ? up : 0, change: change.isUp == nil ? 0 : up)
            // With an index, IFLA_IFNAME is a new name; without one, it is the one to look for.
            if case .name(let name) = link {
                $0.put(IFLA_IFNAME, string: name)
            } else if let name = change.name {
                $0.put(IFLA_IFNAME, string: name)
            }
            if let master = change.master { $0.put(IFLA_MASTER, native: master) }
            if let mtu = change.mtu { $0.put(IFLA_MTU, native: mtu) }
            if let address = change.address { $0.put(IFLA_ADDRESS, address) }
            if let alias = change.alias { $0.put(IFLA_IFALIAS, alias.utf8) }
            if change.withoutLinkLocal {
                $0.nest(IFLA_AF_SPEC) {
                    $0.nest(AF_INET6) {
                        $0.put(
                            IFLA_INET6_ADDR_GEN_MODE,
                            native: UInt8(truncatingIfNeeded: IN6_ADDR_GEN_MODE_NONE.kernelValue))
                    }
                }
            }
            $0.put(IFLA_TXQLEN, native: change.transmitQueueLength)
            $0.put(IFLA_GROUP, native: change.group)
            $0.put(IFLA_NET_NS_FD, native: change.namespace)
            $0.information(change)
        }
    }

    private mutating func information(_ change: LinkChange) {
        let hasPort = change.port != BridgePort()
        guard hasPort || change.bridge != nil else { return }
        nest(IFLA_LINKINFO) {
            if let bridge = change.bridge {
                $0.put(IFLA_INFO_KIND, string: "bridge")
                $0.nest(IFLA_INFO_DATA) { bridge.encode(into: &$0) }
            }
            if hasPort {
                $0.put(IFLA_INFO_SLAVE_KIND, string: "bridge")
                $0.nest(IFLA_INFO_SLAVE_DATA) { change.port.encode(into: &$0) }
            }
        }
    }

    /// Makes an interface of any kind but veth; fails with EEXIST when the name is taken, and with EOPNOTSUPP when the
    /// kernel has no such kind.
    public mutating func newLink(_ link: NewLink) {
        let up = link.isUp ? UInt32(IFF_UP) : 0
        message(type: RTM_NEWLINK.type16, flags: NLM_F_CREATE | NLM_F_EXCL) {
            $0.linkHeader(flags: up, change: up)
            $0.put(IFLA_IFNAME, string: link.name)
            if let address = link.address { $0.put(IFLA_ADDRESS, address) }
            $0.put(IFLA_MTU, native: link.mtu)
            $0.put(IFLA_LINK, native: link.parent)
            $0.put(IFLA_MASTER, native: link.master)
            $0.put(IFLA_NET_NS_FD, native: link.namespace)
            $0.nest(IFLA_LINKINFO) {
                $0.put(IFLA_INFO_KIND, string: link.kind.name)
                if let details = link.kind.details { $0.nest(IFLA_INFO_DATA) { details.encode(into: &$0) } }
            }
        }
    }

    /// Deletes an interface. A veth's deletion waits for an RCU grace period (20 ms): let its namespace take it
    /// instead.
    public mutating func deleteLink(_ link: LinkReference) {
        message(type: RTM_DELLINK.type16) {
            let index: Int32 = if case .index(let index) = link { index } else { 0 }
            $0.linkHeader(index: index)
            if case .name(let name) = link { $0.put(IFLA_IFNAME, string: name) }
        }
    }
}
