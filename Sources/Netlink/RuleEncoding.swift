import CLinux
import Glibc

extension RuleExpression {
    /// Name of the kernel's module for the instruction.
    var name: String {
        switch self {
        case .meta, .setMeta: "meta"
        case .payload: "payload"
        case .connection, .setConnection: "ct"
        case .route: "fib"
        case .routeSegmentSize: "rt"
        case .bits: "bitwise"
        case .toNetworkOrder: "byteorder"
        case .compare: "cmp"
        case .range: "range"
        case .load, .verdict: "immediate"
        case .number: "numgen"
        case .hash: "hash"
        case .member, .notMember, .lookUp: "lookup"
        case .update: "dynset"
        case .translate: "nat"
        case .masquerade: "masq"
        case .redirect: "redir"
        case .setSegmentSize: "exthdr"
        case .reject: "reject"
        case .count: "counter"
        case .log: "log"
        case .noTracking: "notrack"
        case .other(let name, _): name
        }
    }

    /// As an element of a rule's list (`NFTA_LIST_ELEM`).
    func encode(into builder: inout MessageBuilder) {
        builder.nest(NFTA_LIST_ELEM) {
            $0.put(NFTA_EXPR_NAME, string: name)
            $0.nest(NFTA_EXPR_DATA) { encodeData(into: &$0) }
        }
    }

    private func encodeData(into builder: inout MessageBuilder) {
        switch self {
        case .meta, .setMeta, .payload, .connection, .setConnection, .route, .routeSegmentSize, .load, .number, .hash:
            encodeSource(into: &builder)
        case .bits, .toNetworkOrder, .compare, .range, .member, .notMember, .lookUp, .update:
            encodeTest(into: &builder)
        case .translate, .masquerade, .redirect, .setSegmentSize, .reject, .count, .log, .noTracking, .verdict, .other:
            encodeAction(into: &builder)
        }
    }

    /// What fills a register (or a mark).
    private func encodeSource(into builder: inout MessageBuilder) {
        switch self {
        case .meta(let key, let register):
            builder.put(NFTA_META_DREG, big: register.number)
            builder.put(NFTA_META_KEY, big: key.number)
        case .setMeta(let key, let register):
            builder.put(NFTA_META_KEY, big: key.number)
            builder.put(NFTA_META_SREG, big: register.number)
        case .payload(let base, let offset, let byteCount, let register):
            builder.put(NFTA_PAYLOAD_DREG, big: register.number)
            builder.put(NFTA_PAYLOAD_BASE, big: base.number)
            builder.put(NFTA_PAYLOAD_OFFSET, big: offset)
            builder.put(NFTA_PAYLOAD_LEN, big: byteCount)
        case .connection(let key, let direction, let register):
            builder.put(NFTA_CT_DREG, big: register.number)
            builder.put(NFTA_CT_KEY, big: key.rawValue)
            if let direction { builder.put(NFTA_CT_DIRECTION, [direction.rawValue]) }
        case .setConnection(let key, let register):
            builder.put(NFTA_CT_KEY, big: key.rawValue)
            builder.put(NFTA_CT_SREG, big: register.number)
        case .route(let query, let register):
            builder.put(NFTA_FIB_DREG, big: register.number)
            builder.put(NFTA_FIB_RESULT, big: query.result.rawValue)
            builder.put(NFTA_FIB_FLAGS, big: query.flags)
        case .routeSegmentSize(let register):
            builder.put(NFTA_RT_DREG, big: register.number)
            builder.put(NFTA_RT_KEY, big: NFT_RT_TCPMSS.rawValue)
        case .load(let bytes, let register):
            builder.put(NFTA_IMMEDIATE_DREG, big: register.number)
            builder.nest(NFTA_IMMEDIATE_DATA) { $0.put(NFTA_DATA_VALUE, bytes) }
        case .number(let source, let modulus, let offset, let register):
            builder.put(NFTA_NG_DREG, big: register.number)
            builder.put(NFTA_NG_MODULUS, big: modulus)
            builder.put(NFTA_NG_TYPE, big: source.rawValue)
            builder.put(NFTA_NG_OFFSET, big: offset)
        case .hash(let register, let byteCount, let modulus, let seed, let offset, let result):
            builder.put(NFTA_HASH_SREG, big: register.number)
            builder.put(NFTA_HASH_DREG, big: result.number)
            builder.put(NFTA_HASH_LEN, big: byteCount)
            builder.put(NFTA_HASH_MODULUS, big: modulus)
            if let seed { builder.put(NFTA_HASH_SEED, big: seed) }
            builder.put(NFTA_HASH_OFFSET, big: offset)
            builder.put(NFTA_HASH_TYPE, big: NFT_HASH_JENKINS.rawValue)
        default: break
        }
    }

    /// What changes or tests registers.
    private func encodeTest(into builder: inout MessageBuilder) {
        switch self {
        case .bits(let register, let mask, let xor, let result):
            builder.put(NFTA_BITWISE_SREG, big: register.number)
            builder.put(NFTA_BITWISE_DREG, big: result.number)
            builder.put(NFTA_BITWISE_LEN, big: UInt32(truncatingIfNeeded: mask.count))
            builder.nest(NFTA_BITWISE_MASK) { $0.put(NFTA_DATA_VALUE, mask) }
            builder.nest(NFTA_BITWISE_XOR) { $0.put(NFTA_DATA_VALUE, xor) }
        case .toNetworkOrder(let register, let byteCount, let result):
            builder.put(NFTA_BYTEORDER_SREG, big: register.number)
            builder.put(NFTA_BYTEORDER_DREG, big: result.number)
            builder.put(NFTA_BYTEORDER_OP, big: NFT_BYTEORDER_HTON.rawValue)
            builder.put(NFTA_BYTEORDER_LEN, big: byteCount)
            builder.put(NFTA_BYTEORDER_SIZE, big: UInt32(2))
        case .compare(let register, let comparison, let bytes):
            builder.put(NFTA_CMP_SREG, big: register.number)
            builder.put(NFTA_CMP_OP, big: comparison.rawValue)
            builder.nest(NFTA_CMP_DATA) { $0.put(NFTA_DATA_VALUE, bytes) }
        case .range(let register, let from, let to, let isInverted):
            builder.put(NFTA_RANGE_SREG, big: register.number)
            builder.put(NFTA_RANGE_OP, big: isInverted ? NFT_RANGE_NEQ.rawValue : NFT_RANGE_EQ.rawValue)
            builder.nest(NFTA_RANGE_FROM_DATA) { $0.put(NFTA_DATA_VALUE, from) }
            builder.nest(NFTA_RANGE_TO_DATA) { $0.put(NFTA_DATA_VALUE, to) }
        case .member(let register, let set): Self.lookup(set, register, nil, 0, &builder)
        case .notMember(let register, let set): Self.lookup(set, register, nil, NFT_LOOKUP_F_INV.rawValue, &builder)
        case .lookUp(let register, let map, let result): Self.lookup(map, register, result, 0, &builder)
        case .update(let update):
            builder.put(NFTA_DYNSET_SET_NAME, string: update.set)
            builder.put(NFTA_DYNSET_OP, big: update.operation.rawValue)
            builder.put(NFTA_DYNSET_SREG_KEY, big: update.key.number)
            if let value = update.value { builder.put(NFTA_DYNSET_SREG_DATA, big: value.number) }
            if let timeout = update.timeoutMilliseconds { builder.put(NFTA_DYNSET_TIMEOUT, big: timeout) }
            if update.isInverted { builder.put(NFTA_DYNSET_FLAGS, big: NFT_DYNSET_F_INV.rawValue) }
        default: break
        }
    }

    /// What acts on the packet.
    private func encodeAction(into builder: inout MessageBuilder) {
        switch self {
        case .translate(let translation): Self.translation(translation, &builder)
        case .redirect(let port):
            if let port { builder.put(NFTA_REDIR_REG_PROTO_MIN, big: port.number) }
        case .setSegmentSize(let register):
            builder.put(NFTA_EXTHDR_SREG, big: register.number)
            builder.put(NFTA_EXTHDR_TYPE, [UInt8(TCPOPT_MAXSEG)])
            builder.put(NFTA_EXTHDR_OFFSET, big: UInt32(2))
            builder.put(NFTA_EXTHDR_LEN, big: UInt32(2))
            builder.put(NFTA_EXTHDR_OP, big: NFT_EXTHDR_OP_TCPOPT.rawValue)
        case .reject(.tcpReset):
            builder.put(NFTA_REJECT_TYPE, big: NFT_REJECT_TCP_RST.rawValue)
            builder.put(NFTA_REJECT_ICMP_CODE, [UInt8(0)])
        case .reject(.icmp(let code)):
            builder.put(NFTA_REJECT_TYPE, big: NFT_REJECT_ICMP_UNREACH.rawValue)
            builder.put(NFTA_REJECT_ICMP_CODE, [code])
        case .reject(.unreachable(let code)):
            builder.put(NFTA_REJECT_TYPE, big: NFT_REJECT_ICMPX_UNREACH.rawValue)
            builder.put(NFTA_REJECT_ICMP_CODE, [code.rawValue])
        case .count(let packets, let bytes):
            builder.put(NFTA_COUNTER_BYTES, big: bytes)
            builder.put(NFTA_COUNTER_PACKETS, big: packets)
        case .log(let prefix): builder.put(NFTA_LOG_PREFIX, string: prefix)
        case .verdict(let verdict):
            builder.put(NFTA_IMMEDIATE_DREG, big: Register.verdict.number)
            builder.nest(NFTA_IMMEDIATE_DATA) { $0.data(verdict) }
        case .other(_, let attributes): builder.append(attributes)
        default: break
        }
    }

    private static func translation(_ translation: Translation, _ builder: inout MessageBuilder) {
        builder.put(NFTA_NAT_TYPE, big: translation.end.rawValue)
        builder.put(NFTA_NAT_FAMILY, big: UInt32(translation.family.rawValue))
        if let address = translation.address { builder.put(NFTA_NAT_REG_ADDR_MIN, big: address.number) }
        if let address = translation.addressEnd { builder.put(NFTA_NAT_REG_ADDR_MAX, big: address.number) }
        if let port = translation.port { builder.put(NFTA_NAT_REG_PROTO_MIN, big: port.number) }
        if let port = translation.portEnd { builder.put(NFTA_NAT_REG_PROTO_MAX, big: port.number) }
        if translation.flags != 0 { builder.put(NFTA_NAT_FLAGS, big: translation.flags) }
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
