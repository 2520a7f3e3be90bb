import CLinux
import Glibc

/// One network interface as the kernel reports it (`RTM_NEWLINK`, rtnetlink(7)).
public struct Link: Equatable, Sendable {
    public var index: Int32
    public var name: String
    /// `IFF_*`.
    public var flags: UInt32
    /// Bytes.
    public var mtu: UInt32
    /// Six bytes for Ethernet.
    public var address: [UInt8]
    /// Index of the bridge it is a port of.
    public var master: Int32?
    /// Index of a veth's other end, in the namespace of that end.
    public var peerIndex: Int32?
    /// Kind of a virtual interface: `bridge`, `veth`, …
    public var kind: String?
    /// Free text (`IFLA_IFALIAS`).
    public var alias: String?
    /// Hairpin mode of a bridge port.
    public var isHairpin: Bool
    /// Isolation of a bridge port.
    public var isIsolated: Bool

    public var isUp: Bool { flags & UInt32(IFF_UP) != 0 }

    /// Reads an `RTM_NEWLINK` or `RTM_DELLINK` message.
    public init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        try cursor.skip(4)
        index = try cursor.native()
        flags = try cursor.native()
        try cursor.skip(4)
        let attributes = try Attribute.parse(cursor.rest)
        name = attributes[of: IFLA_IFNAME]?.string ?? ""
        mtu = try attributes[of: IFLA_MTU]?.native() ?? 0
        address = attributes[of: IFLA_ADDRESS].map { Array($0.payload) } ?? []
        master = try attributes[of: IFLA_MASTER]?.native()
        peerIndex = try attributes[of: IFLA_LINK]?.native()
        alias = attributes[of: IFLA_IFALIAS]?.string
        let information = try attributes[of: IFLA_LINKINFO]?.nested() ?? []
        kind = information[of: IFLA_INFO_KIND]?.string
        let port =
            information[of: IFLA_INFO_SLAVE_KIND]?.string == "bridge"
            ? try information[of: IFLA_INFO_SLAVE_DATA]?.nested() ?? [] : []
        isHairpin = try port[of: IFLA_BRPORT_MODE]?.native(UInt8.self) == 1
        isIsolated = try port[of: IFLA_BRPORT_ISOLATED]?.native(UInt8.self) == 1
    }
}

/// A bridge to make.
public struct NewBridge: Equatable, Sendable {
    public var name: String
    /// Six bytes. A bridge without one takes the lowest of its ports', and changes it as they come and go.
    public var address: [UInt8]
    /// Bytes; `nil` leaves the kernel's 1500.
    public var mtu: UInt32?

    public init(name: String, address: [UInt8], mtu: UInt32? = nil) {
        self.name = name
        self.address = address
        self.mtu = mtu
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
    /// Bridge port: a frame may leave by the port it came from.
    public var isHairpin: Bool?
    /// Bridge port: no frames between two isolated ports.
    public var isIsolated: Bool?

    public init(isUp: Bool? = nil) {
        self.isUp = isUp
        withoutLinkLocal = false
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

    /// Makes a bridge without forward delay; fails with EEXIST when the name is taken.
    public mutating func newBridge(_ bridge: NewBridge) {
        message(type: RTM_NEWLINK.type16, flags: NLM_F_CREATE | NLM_F_EXCL) {
            $0.linkHeader()
            $0.put(IFLA_IFNAME, string: bridge.name)
            $0.put(IFLA_ADDRESS, bridge.address)
            if let mtu = bridge.mtu { $0.put(IFLA_MTU, native: mtu) }
            $0.nest(IFLA_LINKINFO) {
                $0.put(IFLA_INFO_KIND, string: "bridge")
                $0.nest(IFLA_INFO_DATA) { $0.put(IFLA_BR_FORWARD_DELAY, native: UInt32(0)) }
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
            $0.bridgePort(change)
        }
    }

    private mutating func bridgePort(_ change: LinkChange) {
        guard change.isHairpin != nil || change.isIsolated != nil else { return }
        nest(IFLA_LINKINFO) {
            $0.put(IFLA_INFO_SLAVE_KIND, string: "bridge")
            $0.nest(IFLA_INFO_SLAVE_DATA) {
                if let hairpin = change.isHairpin { $0.put(IFLA_BRPORT_MODE, native: UInt8(hairpin ? 1 : 0)) }
                if let isolated = change.isIsolated { $0.put(IFLA_BRPORT_ISOLATED, native: UInt8(isolated ? 1 : 0)) }
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

extension NetlinkSocket {
    /// Every interface of the socket's namespace.
    public func links() throws(NetlinkError) -> [Link] {
        let messages = try dump(type: RTM_GETLINK.type16, operation: "list links") { $0.linkHeader() }
        var links: [Link] = []
        for message in messages where message.type == RTM_NEWLINK.type16 { links.append(try Link(message)) }
        return links
    }

    /// One interface, `nil` when it is not there.
    public func link(_ reference: LinkReference) throws(NetlinkError) -> Link? {
        do {
            let answer = try query(type: RTM_GETLINK.type16, operation: "look up link") {
                switch reference {
                case .index(let index): $0.linkHeader(index: index)
                case .name(let name):
                    $0.linkHeader()
                    $0.put(IFLA_IFNAME, string: name)
                }
                $0.put(IFLA_EXT_MASK, native: UInt32(RTEXT_FILTER_SKIP_STATS))
            }
            return try Link(answer)
        } catch {
            if error.code == ENODEV { return nil }
            throw error
        }
    }
}
