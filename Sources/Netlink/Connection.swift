import CLinux
import Glibc

/// One direction of a tracked connection, as its packets say it.
public struct ConnectionTuple: Hashable, Sendable {
    /// Four or sixteen bytes.
    public var source: AddressBytes
    public var destination: AddressBytes
    /// IANA number: 6 TCP, 17 UDP, 132 SCTP, 1 ICMP, 58 ICMPv6.
    public var transport: UInt8
    public var sourcePort: UInt16?
    public var destinationPort: UInt16?
    public var icmp: ICMP?

    /// What ICMP has in place of ports.
    public struct ICMP: Hashable, Sendable {
        public var type: UInt8
        public var code: UInt8
        public var id: UInt16

        public init(type: UInt8, code: UInt8, id: UInt16) {
            self.type = type
            self.code = code
            self.id = id
        }
    }

    public init(
        source: AddressBytes, destination: AddressBytes, transport: UInt8, sourcePort: UInt16? = nil,
        destinationPort: UInt16? = nil, icmp: ICMP? = nil
    ) {
        self.source = source
        self.destination = destination
        self.transport = transport
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.icmp = icmp
    }

    init(_ attributes: [Attribute]) throws(NetlinkError) {
        let addresses = try attributes[of: CTA_TUPLE_IP]?.nested() ?? []
        source = (addresses[of: CTA_IP_V4_SRC] ?? addresses[of: CTA_IP_V6_SRC]).map { Array($0.payload) } ?? []
        destination = (addresses[of: CTA_IP_V4_DST] ?? addresses[of: CTA_IP_V6_DST]).map { Array($0.payload) } ?? []
        let proto = try attributes[of: CTA_TUPLE_PROTO]?.nested() ?? []
        transport = try proto[of: CTA_PROTO_NUM]?.native() ?? 0
        sourcePort = try proto[of: CTA_PROTO_SRC_PORT]?.big()
        destinationPort = try proto[of: CTA_PROTO_DST_PORT]?.big()
        if let type = proto[of: CTA_PROTO_ICMP_TYPE] ?? proto[of: CTA_PROTO_ICMPV6_TYPE],
            let code = proto[of: CTA_PROTO_ICMP_CODE] ?? proto[of: CTA_PROTO_ICMPV6_CODE],
            let id = proto[of: CTA_PROTO_ICMP_ID] ?? proto[of: CTA_PROTO_ICMPV6_ID]
        {
            icmp = ICMP(type: try type.native(), code: try code.native(), id: try id.big())
        }
    }

    func encode(into builder: inout MessageBuilder) {
        let isV6 = source.count == 16
        builder.nest(CTA_TUPLE_IP) {
            $0.put(isV6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, source)
            $0.put(isV6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, destination)
        }
        builder.nest(CTA_TUPLE_PROTO) {
            $0.put(CTA_PROTO_NUM, native: transport)
            if let port = sourcePort { $0.put(CTA_PROTO_SRC_PORT, big: port) }
            if let port = destinationPort { $0.put(CTA_PROTO_DST_PORT, big: port) }
            guard let icmp else { return }
            $0.put(isV6 ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, native: icmp.type)
            $0.put(isV6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, native: icmp.code)
            $0.put(isV6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, big: icmp.id)
        }
    }
}

/// A tracked connection (ctnetlink).
public struct Connection: Hashable, Sendable {
    /// As the client sent it.
    public var original: ConnectionTuple
    /// As it is answered: the other way round, after translation.
    public var reply: ConnectionTuple
    /// `IPS_*`.
    public var status: UInt32
    public var mark: UInt32
    /// Seconds until it is forgotten, when nothing comes; `nil` when it was not reported.
    public var timeoutSeconds: UInt32?
    public var zone: UInt16
    public var tcpState: TCPState?
    /// The kernel's number for it.
    public var id: UInt32?
    /// With nf_conntrack_acct only.
    public var originalCount: Count?
    public var replyCount: Count?

    public struct Count: Hashable, Sendable {
        public var packets: UInt64
        public var byteCount: UInt64
    }

    /// `enum tcp_conntrack`.
    public enum TCPState: UInt8, Sendable, CaseIterable {
        case none, synSent, synReceived, established, finWait, closeWait, lastACK, timeWait, close, synSent2
    }

    public var isReplied: Bool { status & UInt32(IPS_SEEN_REPLY.rawValue) != 0 }
    public var isAssured: Bool { status & UInt32(IPS_ASSURED.rawValue) != 0 }
    public var isDestinationNAT: Bool { status & UInt32(IPS_DST_NAT.rawValue) != 0 }

    public init(original: ConnectionTuple, reply: ConnectionTuple, timeoutSeconds: UInt32) {
        self.original = original
        self.reply = reply
        self.timeoutSeconds = timeoutSeconds
        status = 0
        mark = 0
        zone = 0
    }

    /// Reads an `IPCTNL_MSG_CT_NEW` or `_DELETE` message.
    public init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        try cursor.skip(4)
        let attributes = try Attribute.parse(cursor.rest)
        guard let original = attributes[of: CTA_TUPLE_ORIG], let reply = attributes[of: CTA_TUPLE_REPLY] else {
            throw .malformed("connection without tuples")
        }
        self.original = try ConnectionTuple(original.nested())
        self.reply = try ConnectionTuple(reply.nested())
        status = try attributes[of: CTA_STATUS]?.big() ?? 0
        mark = try attributes[of: CTA_MARK]?.big() ?? 0
        timeoutSeconds = try attributes[of: CTA_TIMEOUT]?.big()
        zone = try attributes[of: CTA_ZONE]?.big() ?? 0
        id = try attributes[of: CTA_ID]?.big()
        let tcp = try attributes[of: CTA_PROTOINFO]?.nested()[of: CTA_PROTOINFO_TCP]?.nested()
        if let number: UInt8 = try tcp?[of: CTA_PROTOINFO_TCP_STATE]?.native() { tcpState = TCPState(rawValue: number) }
        originalCount = try Self.count(attributes[of: CTA_COUNTERS_ORIG])
        replyCount = try Self.count(attributes[of: CTA_COUNTERS_REPLY])
    }

    private static func count(_ attribute: Attribute?) throws(NetlinkError) -> Count? {
        guard let list = try attribute?.nested() else { return nil }
        return Count(
            packets: try list[of: CTA_COUNTERS_PACKETS]?.big() ?? 0,
            byteCount: try list[of: CTA_COUNTERS_BYTES]?.big() ?? 0)
    }
}

/// A change of a tracked connection, from `NFNLGRP_CONNTRACK_NEW`, `_UPDATE` and `_DESTROY`.
public struct ConnectionEvent: Hashable, Sendable {
    public enum Kind: Sendable { case new, changed, gone }

    public var kind: Kind
    public var connection: Connection

    /// `nil` for messages of another subsystem.
    public init?(_ message: NetlinkMessage) throws(NetlinkError) {
        guard message.type >> 8 == UInt16(truncatingIfNeeded: NFNL_SUBSYS_CTNETLINK) else { return nil }
        switch message.type & 0xff {
        case IPCTNL_MSG_CT_NEW.type16: kind = message.has(NLM_F_CREATE) ? .new : .changed
        case IPCTNL_MSG_CT_DELETE.type16: kind = .gone
        default: return nil
        }
        connection = try Connection(message)
    }
}
