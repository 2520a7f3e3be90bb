import CLinux
import Glibc

/// A register of the nftables virtual machine: 16 of four bytes, each group of four also usable as one of sixteen
/// bytes.
public struct Register: Equatable, Sendable {
    public let number: UInt32

    /// Four bytes, 0 to 15.
    public static func word(_ index: UInt32) -> Register { Register(number: NFT_REG32_00.rawValue + index) }
    /// The verdict register, result of a look-up in a verdict map.
    public static let verdict = Register(number: NFT_REG_VERDICT.rawValue)
}

/// What becomes of a packet.
public enum Verdict: Hashable, Sendable {
    case accept
    case drop
    case `return`
    case jump(String)
    case goto(String)

    /// `NFT_*` or `NF_*` code, negative for flow control inside the rule set.
    var code: Int32 {
        switch self {
        case .accept: Int32(NF_ACCEPT)
        case .drop: Int32(NF_DROP)
        case .return: NFT_RETURN.rawValue
        case .jump: NFT_JUMP.rawValue
        case .goto: NFT_GOTO.rawValue
        }
    }

    var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        case .accept, .drop, .return: nil
        }
    }
}

/// Address family of a table, match or NAT (`NFPROTO_*`).
public enum NetfilterFamily: UInt8, Sendable {
    case inet = 1
    case ipv4 = 2
    case ipv6 = 10
}

/// Packet metadata (`enum nft_meta_keys`).
public enum MetaKey: Sendable {
    case family, transport, inputName, outputName

    var number: UInt32 {
        switch self {
        case .family: NFT_META_NFPROTO.rawValue
        case .transport: NFT_META_L4PROTO.rawValue
        case .inputName: NFT_META_IIFNAME.rawValue
        case .outputName: NFT_META_OIFNAME.rawValue
        }
    }
}

/// Where a payload offset counts from (`enum nft_payload_bases`).
public enum PayloadBase: Sendable {
    case network, transport

    var number: UInt32 {
        switch self {
        case .network: NFT_PAYLOAD_NETWORK_HEADER.rawValue
        case .transport: NFT_PAYLOAD_TRANSPORT_HEADER.rawValue
        }
    }
}

/// One step of a rule: the instructions of the nftables virtual machine that Gantry uses, as `nft --debug=netlink`
/// prints them. A rule runs its steps until one does not match.
public enum RuleExpression: Equatable, Sendable {
    case meta(MetaKey, into: Register)
    case payload(PayloadBase, offset: UInt32, byteCount: UInt32, into: Register)
    /// State bits (`NF_CT_STATE_BIT`), in the machine's byte order.
    case connectionState(into: Register)
    /// Status bits (`IPS_*`), in the machine's byte order.
    case connectionStatus(into: Register)
    /// Kind (`RTN_*`) of the destination address, in the machine's byte order.
    case destinationKind(into: Register)
    /// The bits of `mask` only.
    case mask(Register, UInt32)
    case equal(Register, [UInt8])
    case notEqual(Register, [UInt8])
    /// Counts packets of this rule modulo `modulus`, in the machine's byte order.
    case counter(modulus: UInt32, into: Register)
    /// Matches when the key is in the set.
    case member(Register, set: String)
    case notMember(Register, set: String)
    /// Matches when the key is in the map, and loads its value.
    case lookUp(Register, map: String, into: Register)
    case destinationNAT(NetfilterFamily, address: Register, port: Register)
    case masquerade
    case verdict(Verdict)

    /// Name of the kernel's module for the instruction.
    private var name: String {
        switch self {
        case .meta: "meta"
        case .payload: "payload"
        case .connectionState, .connectionStatus: "ct"
        case .destinationKind: "fib"
        case .mask: "bitwise"
        case .equal, .notEqual: "cmp"
        case .counter: "numgen"
        case .member, .notMember, .lookUp: "lookup"
        case .destinationNAT: "nat"
        case .masquerade: "masq"
        case .verdict: "immediate"
        }
    }

    func encode(into builder: inout MessageBuilder) {
        builder.nest(NFTA_LIST_ELEM) {
            $0.put(NFTA_EXPR_NAME, string: name)
            $0.nest(NFTA_EXPR_DATA) { encodeData(into: &$0) }
        }
    }

    private func encodeData(into builder: inout MessageBuilder) {
        switch self {
        case .meta(let key, let register):
            builder.put(NFTA_META_DREG, big: register.number)
            builder.put(NFTA_META_KEY, big: key.number)
        case .payload(let base, let offset, let byteCount, let register):
            builder.put(NFTA_PAYLOAD_DREG, big: register.number)
            builder.put(NFTA_PAYLOAD_BASE, big: base.number)
            builder.put(NFTA_PAYLOAD_OFFSET, big: offset)
            builder.put(NFTA_PAYLOAD_LEN, big: byteCount)
        case .connectionState(let register): Self.conntrack(NFT_CT_STATE.rawValue, register, &builder)
        case .connectionStatus(let register): Self.conntrack(NFT_CT_STATUS.rawValue, register, &builder)
        case .destinationKind(let register):
            builder.put(NFTA_FIB_DREG, big: register.number)
            builder.put(NFTA_FIB_RESULT, big: NFT_FIB_RESULT_ADDRTYPE.rawValue)
            builder.put(NFTA_FIB_FLAGS, big: NFTA_FIB_F_DADDR.rawValue)
        case .mask(let register, let bits): Self.bitwise(register, bits, &builder)
        case .equal(let register, let bytes): Self.compare(NFT_CMP_EQ.rawValue, register, bytes, &builder)
        case .notEqual(let register, let bytes): Self.compare(NFT_CMP_NEQ.rawValue, register, bytes, &builder)
        case .counter(let modulus, let register):
            builder.put(NFTA_NG_DREG, big: register.number)
            builder.put(NFTA_NG_MODULUS, big: modulus)
            builder.put(NFTA_NG_TYPE, big: NFT_NG_INCREMENTAL.rawValue)
            builder.put(NFTA_NG_OFFSET, big: UInt32(0))
        case .member(let register, let set): Self.lookup(set, register, nil, 0, &builder)
        case .notMember(let register, let set): Self.lookup(set, register, nil, NFT_LOOKUP_F_INV.rawValue, &builder)
        case .lookUp(let register, let map, let result): Self.lookup(map, register, result, 0, &builder)
        case .destinationNAT(let family, let address, let port):
            builder.put(NFTA_NAT_TYPE, big: NFT_NAT_DNAT.rawValue)
            builder.put(NFTA_NAT_FAMILY, big: UInt32(family.rawValue))
            builder.put(NFTA_NAT_REG_ADDR_MIN, big: address.number)
            builder.put(NFTA_NAT_REG_PROTO_MIN, big: port.number)
        case .masquerade: break
        case .verdict(let verdict):
            builder.put(NFTA_IMMEDIATE_DREG, big: Register.verdict.number)
            builder.nest(NFTA_IMMEDIATE_DATA) { $0.data(verdict) }
        }
    }

    private static func conntrack(_ key: UInt32, _ register: Register, _ builder: inout MessageBuilder) {
        builder.put(NFTA_CT_DREG, big: register.number)
        builder.put(NFTA_CT_KEY, big: key)
    }

    private static func bitwise(_ register: Register, _ bits: UInt32, _ builder: inout MessageBuilder) {
        builder.put(NFTA_BITWISE_SREG, big: register.number)
        builder.put(NFTA_BITWISE_DREG, big: register.number)
        builder.put(NFTA_BITWISE_LEN, big: UInt32(4))
        builder.nest(NFTA_BITWISE_MASK) { $0.put(NFTA_DATA_VALUE, native: bits) }
        builder.nest(NFTA_BITWISE_XOR) { $0.put(NFTA_DATA_VALUE, native: UInt32(0)) }
    }

    private static func compare(
        _ operation: UInt32, _ register: Register, _ bytes: [UInt8], _ builder: inout MessageBuilder
    ) {
        builder.put(NFTA_CMP_SREG, big: register.number)
        builder.put(NFTA_CMP_OP, big: operation)
        builder.nest(NFTA_CMP_DATA) { $0.put(NFTA_DATA_VALUE, bytes) }
    }

    private static func lookup(
        _ set: String, _ key: Register, _ result: Register?, _ flags: UInt32, _ builder: inout MessageBuilder
    ) {
        builder.put(NFTA_LOOKUP_SET, string: set)
        builder.put(NFTA_LOOKUP_SREG, big: key.number)
        if let result { builder.put(NFTA_LOOKUP_DREG, big: result.number) }
        if flags != 0 { builder.put(NFTA_LOOKUP_FLAGS, big: flags) }
    }
}

extension MessageBuilder {
    /// `NFTA_DATA_VERDICT`.
    mutating func data(_ verdict: Verdict) {
        nest(NFTA_DATA_VERDICT) {
            $0.put(NFTA_VERDICT_CODE, big: verdict.code)
            if let chain = verdict.chain { $0.put(NFTA_VERDICT_CHAIN, string: chain) }
        }
    }
}
