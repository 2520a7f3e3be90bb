import CLinux
import Glibc

/// An entry of a neighbour table, or of a bridge's or VXLAN's forwarding database (`RTM_NEWNEIGH`, ip-neighbour(8),
/// bridge(8)).
public struct Neighbour: Hashable, Sendable {
    /// `AF_INET`, `AF_INET6`; `AF_BRIDGE` for forwarding databases.
    public var family: UInt8
    public var index: Int32
    /// IP address; in a forwarding database the tunnel's other end, if any.
    public var address: AddressBytes?
    /// Link-layer address: six bytes for Ethernet.
    public var linkAddress: [UInt8]?
    public var state: State
    public var flags: Flags
    /// Index of the bridge (forwarding databases).
    public var master: Int32?
    public var vlan: UInt16?
    /// `RTN_*`.
    public var kind: UInt8
    /// `RTPROT_*`.
    public var protocolNumber: UInt8?

    /// `NUD_*`.
    public struct State: OptionSet, Hashable, Sendable {
        public var rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        public static let incomplete = State(rawValue: 0x01)
        public static let reachable = State(rawValue: 0x02)
        public static let stale = State(rawValue: 0x04)
        public static let delay = State(rawValue: 0x08)
        public static let probe = State(rawValue: 0x10)
        public static let failed = State(rawValue: 0x20)
        public static let noARP = State(rawValue: 0x40)
        public static let permanent = State(rawValue: 0x80)
    }

    /// `NTF_*`.
    public struct Flags: OptionSet, Hashable, Sendable {
        public var rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let use = Flags(rawValue: 0x01)
        /// Of the device itself, not of its bridge.
        public static let own = Flags(rawValue: 0x02)
        public static let master = Flags(rawValue: 0x04)
        /// The host answers for the address.
        public static let proxy = Flags(rawValue: 0x08)
        public static let externallyLearned = Flags(rawValue: 0x10)
        public static let offloaded = Flags(rawValue: 0x20)
        public static let sticky = Flags(rawValue: 0x40)
        public static let router = Flags(rawValue: 0x80)
    }

    public init(
        family: Int32, index: Int32, address: AddressBytes? = nil, linkAddress: [UInt8]? = nil,
        state: State = .permanent, flags: Flags = []
    ) {
        self.family = UInt8(truncatingIfNeeded: family)
        self.index = index
        self.address = address
        self.linkAddress = linkAddress
        self.state = state
        self.flags = flags
        kind = 0
    }

    /// Reads an `RTM_NEWNEIGH` or `RTM_DELNEIGH` message.
    public init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        family = try cursor.native()
        try cursor.skip(3)
        index = try cursor.native()
        state = State(rawValue: try cursor.native())
        flags = Flags(rawValue: try cursor.native())
        kind = try cursor.native()
        let attributes = try Attribute.parse(cursor.rest)
        address = attributes[of: NDA_DST].map { Array($0.payload) }
        linkAddress = attributes[of: NDA_LLADDR].map { Array($0.payload) }
        master = try attributes[of: NDA_MASTER]?.native()
        vlan = try attributes[of: NDA_VLAN]?.native()
        protocolNumber = try attributes[of: NDA_PROTOCOL]?.native()
    }
}

extension MessageBuilder {
    /// Adds an entry, or replaces that of the same address.
    public mutating func newNeighbour(_ neighbour: Neighbour) {
        message(type: RTM_NEWNEIGH.type16, flags: NLM_F_CREATE | NLM_F_REPLACE) { $0.neighbour(neighbour) }
    }

    /// Removes an entry; fails with ENOENT when it is not there.
    public mutating func deleteNeighbour(_ neighbour: Neighbour) {
        message(type: RTM_DELNEIGH.type16) { $0.neighbour(neighbour) }
    }

    private mutating func neighbour(_ neighbour: Neighbour) {
        neighbourHeader(neighbour.family, index: neighbour.index, neighbour.state, neighbour.flags, neighbour.kind)
        if let address = neighbour.address { put(NDA_DST, address) }
        if let address = neighbour.linkAddress { put(NDA_LLADDR, address) }
        put(NDA_VLAN, native: neighbour.vlan)
        put(NDA_PROTOCOL, native: neighbour.protocolNumber)
    }

    /// `struct ndmsg`.
    fileprivate mutating func neighbourHeader(
        _ family: UInt8, index: Int32, _ state: Neighbour.State, _ flags: Neighbour.Flags, _ kind: UInt8
    ) {
        appendNative(family)
        appendNative(UInt8(0))
        appendNative(UInt16(0))
        appendNative(index)
        appendNative(state.rawValue)
        appendNative(flags.rawValue)
        appendNative(kind)
    }
}

extension NetlinkSocket {
    /// Every neighbour of one family, or every address the host answers for in place of others.
    public func neighbours(family: Int32, proxies: Bool = false) throws(NetlinkError) -> [Neighbour] {
        try neighbours("list neighbours") {
            $0.neighbourHeader(UInt8(truncatingIfNeeded: family), index: 0, [], proxies ? .proxy : [], 0)
        }
    }

    /// The forwarding database: of one bridge, or of every one.
    public func forwardingEntries(bridge: Int32? = nil) throws(NetlinkError) -> [Neighbour] {
        try neighbours("list forwarding entries") {
            $0.neighbourHeader(UInt8(AF_BRIDGE), index: 0, [], [], 0)
            $0.put(NDA_MASTER, native: bridge)
        }
    }

    private func neighbours(
        _ operation: String, _ body: (inout MessageBuilder) -> Void
    ) throws(NetlinkError) -> [Neighbour] {
        let messages = try dump(type: RTM_GETNEIGH.type16, operation: operation, body)
        var neighbours: [Neighbour] = []
        for message in messages where message.type == RTM_NEWNEIGH.type16 {
            neighbours.append(try Neighbour(message))
        }
        return neighbours
    }
}
