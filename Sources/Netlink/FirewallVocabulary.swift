import CLinux
import Glibc

/// A register of the nftables virtual machine: 16 of four bytes, each group of four also usable as one of sixteen
/// bytes. Longer values take the words that follow.
public struct Register: Hashable, Sendable {
    public let number: UInt32

    /// Four bytes, 0 to 15.
    public static func word(_ index: UInt32) -> Register { Register(number: NFT_REG32_00.rawValue &+ index) }
    /// The verdict register, result of a look-up in a verdict map.
    public static let verdict = Register(number: NFT_REG_VERDICT.rawValue)

    private init(number: UInt32) { self.number = number }

    /// A register as the kernel names it: it calls every fourth word by the number of its group (`NFT_REG_1` to `_4`).
    init(kernel number: UInt32) throws(NetlinkError) {
        switch number {
        case NFT_REG_VERDICT.rawValue, NFT_REG32_00.rawValue...NFT_REG32_15.rawValue: self.number = number
        case NFT_REG_1.rawValue...NFT_REG_4.rawValue:
            self = .word((number - NFT_REG_1.rawValue) * 4)
        default: throw .malformed("register \(number)")
        }
    }
}

/// What becomes of a packet.
public enum Verdict: Hashable, Sendable {
    case accept
    case drop
    case `return`
    case `continue`
    case jump(String)
    case goto(String)
    /// To a program, with the bits of its queue number and flags as the kernel has them.
    case queue(Int32)

    /// `NFT_*` or `NF_*` code, negative for flow control inside the rule set.
    var code: Int32 {
        switch self {
        case .accept: Int32(NF_ACCEPT)
        case .drop: Int32(NF_DROP)
        case .return: NFT_RETURN.rawValue
        case .continue: NFT_CONTINUE.rawValue
        case .jump: NFT_JUMP.rawValue
        case .goto: NFT_GOTO.rawValue
        case .queue(let code): code
        }
    }

    var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        case .accept, .drop, .return, .continue, .queue: nil
        }
    }
}

/// Address family of a table, match or NAT (`NFPROTO_*`).
public enum NetfilterFamily: UInt8, Sendable, CaseIterable {
    case inet = 1
    case ipv4 = 2
    case arp = 3
    case netdev = 5
    case bridge = 7
    case ipv6 = 10
}

/// Packet metadata (`enum nft_meta_keys`).
public enum MetaKey: UInt32, Sendable, CaseIterable {
    case protocolNumber = 1
    case mark = 3
    case inputIndex = 4
    case outputIndex = 5
    case inputName = 6
    case outputName = 7
    case packetType = 12
    case family = 15
    case transport = 16
    case inputKind = 22
    case outputKind = 23

    var number: UInt32 { rawValue }
}

/// Where a payload offset counts from (`enum nft_payload_bases`).
public enum PayloadBase: UInt32, Sendable, CaseIterable {
    case link = 0
    case network = 1
    case transport = 2

    var number: UInt32 { rawValue }
}

/// What is known of a tracked connection (`enum nft_ct_keys`).
public enum ConnectionKey: UInt32, Sendable, CaseIterable {
    /// State bits (`NF_CT_STATE_BIT`): invalid 1, established 2, related 4, new 8, untracked 64; machine's byte order.
    case state = 0
    /// 0 original, 1 reply.
    case direction = 1
    /// Status bits (`IPS_*`), in the machine's byte order.
    case status = 2
    case mark = 3
    case networkProtocol = 7
    case source = 8
    case destination = 9
    case transport = 10
    case sourcePort = 11
    case destinationPort = 12
    case zone = 17
    case sourceIPv4 = 19
    case destinationIPv4 = 20
    case sourceIPv6 = 21
    case destinationIPv6 = 22
}

/// Which of a connection's two tuples is asked (`IP_CT_DIR_*`).
public enum ConnectionDirection: UInt8, Sendable, CaseIterable {
    case original = 0
    case reply = 1
}

/// `enum nft_cmp_ops`; order is that of the bytes, front to back.
public enum Comparison: UInt32, Sendable, CaseIterable {
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
}

/// How numbers are made for a packet (`enum nft_ng_types`).
public enum NumberSource: UInt32, Sendable, CaseIterable {
    /// One after the other; each rule counts for itself.
    case incremental = 0
    case random = 1
}

/// A question to the routing table (`struct nft_fib`).
public struct RouteQuery: Hashable, Sendable {
    /// `enum nft_fib_result`.
    public enum Result: UInt32, Sendable, CaseIterable {
        case outputIndex = 1
        case outputName = 2
        /// `RTN_*` in the machine's byte order.
        case addressKind = 3
    }

    public var result: Result
    /// `NFTA_FIB_F_*`.
    public var flags: UInt32

    public init(_ result: Result, flags: UInt32) {
        self.result = result
        self.flags = flags
    }

    /// Kind of the destination address.
    public static let destinationKind = RouteQuery(.addressKind, flags: NFTA_FIB_F_DADDR.rawValue)
    public static let sourceKind = RouteQuery(.addressKind, flags: NFTA_FIB_F_SADDR.rawValue)
}

/// How a packet is refused.
public enum Reject: Hashable, Sendable {
    /// Any kind of ICMP or ICMPv6 message, chosen by its family: for `inet` tables (`NFT_REJECT_ICMPX_*`).
    case unreachable(Unreachable)
    /// A code of `ICMP_DEST_UNREACH` or `ICMPV6_DEST_UNREACH`: for tables of one family.
    case icmp(code: UInt8)
    /// TCP only; others pass on to the next rule.
    case tcpReset

    public enum Unreachable: UInt8, Sendable, CaseIterable {
        case noRoute = 0
        case port = 1
        case host = 2
        case prohibited = 3
    }
}

/// Translation of one end's address or port.
public struct Translation: Hashable, Sendable {
    public enum End: UInt32, Sendable, CaseIterable {
        case source = 0
        case destination = 1
    }

    public var end: End
    /// ipv4 or ipv6.
    public var family: NetfilterFamily
    public var address: Register?
    /// Last address of a range.
    public var addressEnd: Register?
    public var port: Register?
    /// Last port of a range.
    public var portEnd: Register?
    /// `NF_NAT_RANGE_PROTO_RANDOM`, `_PERSISTENT`, `_PROTO_RANDOM_FULLY`, `_NETMAP`; what follows from the registers is
    /// left out.
    public var flags: UInt32

    public init(
        _ end: End, _ family: NetfilterFamily, address: Register?, addressEnd: Register? = nil, port: Register? = nil,
        portEnd: Register? = nil, flags: UInt32 = 0
    ) {
        self.end = end
        self.family = family
        self.address = address
        self.addressEnd = addressEnd
        self.port = port
        self.portEnd = portEnd
        self.flags = flags
    }
}

/// A change of a set by a packet (`dynset`).
public struct SetUpdate: Hashable, Sendable {
    /// `enum nft_dynset_ops`.
    public enum Operation: UInt32, Sendable, CaseIterable {
        /// Nothing when the key is there.
        case add = 0
        /// Starts the timeout anew when the key is there.
        case update = 1
        case delete = 2
    }

    public var operation: Operation
    public var set: String
    public var key: Register
    /// Value of a map.
    public var value: Register?
    /// `nil` for the set's own.
    public var timeoutMilliseconds: UInt64?
    /// Adds that do not fit the set do not match, rather than ending the rule in an error (`NFT_DYNSET_F_INV`).
    public var isInverted: Bool

    public init(
        _ operation: Operation, set: String, key: Register, value: Register? = nil, timeoutMilliseconds: UInt64? = nil,
        isInverted: Bool = false
    ) {
        self.operation = operation
        self.set = set
        self.key = key
        self.value = value
        self.timeoutMilliseconds = timeoutMilliseconds
        self.isInverted = isInverted
    }
}
