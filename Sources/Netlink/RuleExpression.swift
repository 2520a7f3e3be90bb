import CLinux
import Glibc

/// One step of a rule: the instructions of the nftables virtual machine, as `nft --debug=netlink` prints them. A rule
/// runs its steps until one does not match.
public enum RuleExpression: Hashable, Sendable {
    case meta(MetaKey, into: Register)
    /// `mark` only.
    case setMeta(MetaKey, from: Register)
    case payload(PayloadBase, offset: UInt32, byteCount: UInt32, into: Register)
    /// Addresses and ports need a direction.
    case connection(ConnectionKey, direction: ConnectionDirection? = nil, into: Register)
    /// `mark` only.
    case setConnection(ConnectionKey, from: Register)
    case route(RouteQuery, into: Register)
    /// Largest TCP segment that fits the packet's route, two bytes in the machine's byte order.
    case routeSegmentSize(into: Register)
    /// The register's bytes and `mask`, exclusive-or `xor`, from one register to another.
    case bits(Register, mask: [UInt8], xor: [UInt8], into: Register)
    /// Two-byte numbers from the machine's to the network's byte order.
    case toNetworkOrder(Register, byteCount: UInt32, into: Register)
    case compare(Register, Comparison, [UInt8])
    case range(Register, from: [UInt8], to: [UInt8], isInverted: Bool = false)
    /// A constant, at most 16 bytes.
    case load([UInt8], into: Register)
    /// A number from `offset` to `offset` + `modulus` - 1, in the machine's byte order.
    case number(NumberSource, modulus: UInt32, offset: UInt32 = 0, into: Register)
    /// The register's bytes by Jenkins' hash, modulo `modulus`, plus `offset`; in the machine's byte order. Without a
    /// seed the kernel draws one.
    case hash(Register, byteCount: UInt32, modulus: UInt32, seed: UInt32? = nil, offset: UInt32 = 0, into: Register)
    /// Matches when the key is in the set.
    case member(Register, set: String)
    case notMember(Register, set: String)
    /// Matches when the key is in the map, and loads its value.
    case lookUp(Register, map: String, into: Register)
    case update(SetUpdate)
    case translate(Translation)
    case masquerade
    /// To the host itself, at its own port or another.
    case redirect(port: Register?)
    /// Writes the maximum segment size of a SYN (`tcp option maxseg size set`): two bytes in network order.
    case setSegmentSize(from: Register)
    case reject(Reject)
    /// Counts packets and bytes, starting at these.
    case count(packets: UInt64 = 0, bytes: UInt64 = 0)
    /// To the kernel's log.
    case log(prefix: String)
    case noTracking
    case verdict(Verdict)
    /// An instruction this room has no words for: its module's name and its attributes as they are.
    case other(name: String, attributes: [UInt8])

    // MARK: short forms

    /// State bits (`NF_CT_STATE_BIT`), in the machine's byte order.
    public static func connectionState(into register: Register) -> RuleExpression {
        .connection(.state, into: register)
    }
    /// Status bits (`IPS_*`), in the machine's byte order.
    public static func connectionStatus(into register: Register) -> RuleExpression {
        .connection(.status, into: register)
    }
    /// Kind (`RTN_*`) of the destination address, in the machine's byte order.
    public static func destinationKind(into register: Register) -> RuleExpression {
        .route(.destinationKind, into: register)
    }
    /// The bits of `mask` only, of four bytes in the machine's byte order.
    public static func mask(_ register: Register, _ mask: UInt32) -> RuleExpression {
        .bits(register, mask: withUnsafeBytes(of: mask) { Array($0) }, xor: [0, 0, 0, 0], into: register)
    }
    public static func equal(_ register: Register, _ bytes: [UInt8]) -> RuleExpression {
        .compare(register, .equal, bytes)
    }
    public static func notEqual(_ register: Register, _ bytes: [UInt8]) -> RuleExpression {
        .compare(register, .notEqual, bytes)
    }
    /// Counts packets of this rule modulo `modulus`, in the machine's byte order.
    public static func counter(modulus: UInt32, into register: Register) -> RuleExpression {
        .number(.incremental, modulus: modulus, into: register)
    }
    /// With no port, the packet keeps its own.
    public static func destinationNAT(
        _ family: NetfilterFamily, address: Register, port: Register? = nil
    ) -> RuleExpression {
        .translate(Translation(.destination, family, address: address, port: port))
    }

    /// Source address of an IPv4 or IPv6 header: four or sixteen bytes, one word or four.
    public static func sourceAddress(_ family: NetfilterFamily, into register: Register) -> RuleExpression {
        family == .ipv6
            ? .payload(.network, offset: 8, byteCount: 16, into: register)
            : .payload(.network, offset: 12, byteCount: 4, into: register)
    }
    /// Destination address of an IPv4 or IPv6 header: four or sixteen bytes, one word or four.
    public static func destinationAddress(_ family: NetfilterFamily, into register: Register) -> RuleExpression {
        family == .ipv6
            ? .payload(.network, offset: 24, byteCount: 16, into: register)
            : .payload(.network, offset: 16, byteCount: 4, into: register)
    }
    /// Source port of TCP, UDP, SCTP and their like: two bytes.
    public static func sourcePort(into register: Register) -> RuleExpression {
        .payload(.transport, offset: 0, byteCount: 2, into: register)
    }
    /// Destination port of TCP, UDP, SCTP and their like: two bytes.
    public static func destinationPort(into register: Register) -> RuleExpression {
        .payload(.transport, offset: 2, byteCount: 2, into: register)
    }
}
