import CLinux
import Glibc

extension RuleExpression {
    /// The steps of a rule (`NFTA_RULE_EXPRESSIONS`).
    static func list(_ bytes: ArraySlice<UInt8>) throws(NetlinkError) -> [RuleExpression] {
        var expressions: [RuleExpression] = []
        for item in try Attribute.parse(bytes) { expressions.append(try RuleExpression(item.nested())) }
        return expressions
    }

    /// An element of a rule's list. What this room has no words for is kept as `other`.
    init(_ attributes: [Attribute]) throws(NetlinkError) {
        guard let name = attributes[of: NFTA_EXPR_NAME]?.string else { throw .malformed("expression without name") }
        let data = attributes[of: NFTA_EXPR_DATA]
        let fields = ExpressionFields(try data?.nested() ?? [])
        // Not as one expression: a typed error thrown within the right side of `??` comes out damaged (Swift 6.3.1).
        if let source = try Self.source(name, fields) {
            self = source
        } else if let test = try Self.test(name, fields) {
            self = test
        } else if let action = try Self.action(name, fields) {
            self = action
        } else {
            self = .other(name: name, attributes: data.map { Array($0.payload) } ?? [])
        }
    }

    private static func source(_ name: String, _ fields: ExpressionFields) throws(NetlinkError) -> RuleExpression? {
        switch name {
        case "meta":
            guard let key = MetaKey(rawValue: try fields.number(NFTA_META_KEY) ?? .max) else { return nil }
            if let register = try fields.register(NFTA_META_SREG) { return .setMeta(key, from: register) }
            return try fields.register(NFTA_META_DREG).map { .meta(key, into: $0) }
        case "payload":
            guard let base = PayloadBase(rawValue: try fields.number(NFTA_PAYLOAD_BASE) ?? .max),
                let offset = try fields.number(NFTA_PAYLOAD_OFFSET), let count = try fields.number(NFTA_PAYLOAD_LEN),
                let register = try fields.register(NFTA_PAYLOAD_DREG)
            else { return nil }
            return .payload(base, offset: offset, byteCount: count, into: register)
        case "ct":
            guard let key = ConnectionKey(rawValue: try fields.number(NFTA_CT_KEY) ?? .max) else { return nil }
            if let register = try fields.register(NFTA_CT_SREG) { return .setConnection(key, from: register) }
            guard let register = try fields.register(NFTA_CT_DREG) else { return nil }
            let direction = try fields.byte(NFTA_CT_DIRECTION).flatMap(ConnectionDirection.init(rawValue:))
            return .connection(key, direction: direction, into: register)
        case "fib":
            guard let result = RouteQuery.Result(rawValue: try fields.number(NFTA_FIB_RESULT) ?? .max),
                let flags = try fields.number(NFTA_FIB_FLAGS), let register = try fields.register(NFTA_FIB_DREG)
            else { return nil }
            return .route(RouteQuery(result, flags: flags), into: register)
        case "rt":
            guard try fields.number(NFTA_RT_KEY) == NFT_RT_TCPMSS.rawValue else { return nil }
            return try fields.register(NFTA_RT_DREG).map { .routeSegmentSize(into: $0) }
        case "numgen":
            guard let source = NumberSource(rawValue: try fields.number(NFTA_NG_TYPE) ?? .max),
                let modulus = try fields.number(NFTA_NG_MODULUS), let register = try fields.register(NFTA_NG_DREG)
            else { return nil }
            return .number(source, modulus: modulus, offset: try fields.number(NFTA_NG_OFFSET) ?? 0, into: register)
        case "hash": return try hash(fields)
        default: return nil
        }
    }

    private static func hash(_ fields: ExpressionFields) throws(NetlinkError) -> RuleExpression? {
        guard try fields.number(NFTA_HASH_TYPE) ?? NFT_HASH_JENKINS.rawValue == NFT_HASH_JENKINS.rawValue,
            let key = try fields.register(NFTA_HASH_SREG), let count = try fields.number(NFTA_HASH_LEN),
            let modulus = try fields.number(NFTA_HASH_MODULUS), let register = try fields.register(NFTA_HASH_DREG)
        else { return nil }
        return .hash(
            key, byteCount: count, modulus: modulus, seed: try fields.number(NFTA_HASH_SEED),
            offset: try fields.number(NFTA_HASH_OFFSET) ?? 0, into: register)
    }

    private static func test(_ name: String, _ fields: ExpressionFields) throws(NetlinkError) -> RuleExpression? {
        switch name {
        case "bitwise":
            guard try fields.number(NFTA_BITWISE_OP) ?? 0 == 0, let key = try fields.register(NFTA_BITWISE_SREG),
                let mask = try fields.value(NFTA_BITWISE_MASK), let xor = try fields.value(NFTA_BITWISE_XOR),
                let register = try fields.register(NFTA_BITWISE_DREG)
            else { return nil }
            return .bits(key, mask: mask, xor: xor, into: register)
        case "byteorder":
            guard try fields.number(NFTA_BYTEORDER_OP) == NFT_BYTEORDER_HTON.rawValue,
                try fields.number(NFTA_BYTEORDER_SIZE) == 2, let key = try fields.register(NFTA_BYTEORDER_SREG),
                let count = try fields.number(NFTA_BYTEORDER_LEN),
                let register = try fields.register(NFTA_BYTEORDER_DREG)
            else { return nil }
            return .toNetworkOrder(key, byteCount: count, into: register)
        case "cmp":
            guard let comparison = Comparison(rawValue: try fields.number(NFTA_CMP_OP) ?? .max),
                let key = try fields.register(NFTA_CMP_SREG), let bytes = try fields.value(NFTA_CMP_DATA)
            else { return nil }
            return .compare(key, comparison, bytes)
        case "range":
            guard let key = try fields.register(NFTA_RANGE_SREG), let from = try fields.value(NFTA_RANGE_FROM_DATA),
                let to = try fields.value(NFTA_RANGE_TO_DATA)
            else { return nil }
            let isInverted = try fields.number(NFTA_RANGE_OP) == NFT_RANGE_NEQ.rawValue
            return .range(key, from: from, to: to, isInverted: isInverted)
        case "lookup":
            guard let key = try fields.register(NFTA_LOOKUP_SREG), let set = fields[NFTA_LOOKUP_SET]?.string else {
                return nil
            }
            if let register = try fields.register(NFTA_LOOKUP_DREG) { return .lookUp(key, map: set, into: register) }
            let isInverted = try (fields.number(NFTA_LOOKUP_FLAGS) ?? 0) & NFT_LOOKUP_F_INV.rawValue != 0
            return isInverted ? .notMember(key, set: set) : .member(key, set: set)
        case "dynset": return try update(fields)
        default: return nil
        }
    }

    private static func update(_ fields: ExpressionFields) throws(NetlinkError) -> RuleExpression? {
        guard let operation = SetUpdate.Operation(rawValue: try fields.number(NFTA_DYNSET_OP) ?? .max),
            let set = fields[NFTA_DYNSET_SET_NAME]?.string, let key = try fields.register(NFTA_DYNSET_SREG_KEY),
            fields[NFTA_DYNSET_EXPR] == nil, fields[NFTA_DYNSET_EXPRESSIONS] == nil
        else { return nil }
        return .update(
            SetUpdate(
                operation, set: set, key: key, value: try fields.register(NFTA_DYNSET_SREG_DATA),
                timeoutMilliseconds: try fields[NFTA_DYNSET_TIMEOUT]?.big(),
                isInverted: try (fields.number(NFTA_DYNSET_FLAGS) ?? 0) & NFT_DYNSET_F_INV.rawValue != 0))
    }

    private static func action(_ name: String, _ fields: ExpressionFields) throws(NetlinkError) -> RuleExpression? {
        switch name {
        case "immediate":
            guard let register = try fields.register(NFTA_IMMEDIATE_DREG),
                let data = try fields[NFTA_IMMEDIATE_DATA]?.nested()
            else { return nil }
            if let verdict = data[of: NFTA_DATA_VERDICT] { return .verdict(try Verdict(verdict.nested())) }
            return data[of: NFTA_DATA_VALUE].map { .load(Array($0.payload), into: register) }
        case "nat": return try translation(fields)
        case "masq": return fields.isEmpty ? .masquerade : nil
        case "redir":
            guard try fields.number(NFTA_REDIR_FLAGS) ?? 0 & ~NAT.implied == 0 else { return nil }
            let port = try fields.register(NFTA_REDIR_REG_PROTO_MIN)
            guard try fields.register(NFTA_REDIR_REG_PROTO_MAX).map({ $0 == port }) ?? true else { return nil }
            return .redirect(port: port)
        case "exthdr":
            guard try fields.number(NFTA_EXTHDR_OP) == NFT_EXTHDR_OP_TCPOPT.rawValue,
                try fields.byte(NFTA_EXTHDR_TYPE) == UInt8(TCPOPT_MAXSEG), try fields.number(NFTA_EXTHDR_OFFSET) == 2,
                try fields.number(NFTA_EXTHDR_LEN) == 2
            else { return nil }
            return try fields.register(NFTA_EXTHDR_SREG).map { .setSegmentSize(from: $0) }
        case "reject": return try reject(fields)
        case "counter":
            return .count(
                packets: try fields[NFTA_COUNTER_PACKETS]?.big() ?? 0, bytes: try fields[NFTA_COUNTER_BYTES]?.big() ?? 0
            )
        case "log":
            guard fields.has(only: NFTA_LOG_PREFIX), let prefix = fields[NFTA_LOG_PREFIX] else { return nil }
            return .log(prefix: prefix.string)
        case "notrack": return .noTracking
        default: return nil
        }
    }

    private static func reject(_ fields: ExpressionFields) throws(NetlinkError) -> RuleExpression? {
        let code = try fields.byte(NFTA_REJECT_ICMP_CODE) ?? 0
        switch try fields.number(NFTA_REJECT_TYPE) {
        case NFT_REJECT_TCP_RST.rawValue: return .reject(.tcpReset)
        case NFT_REJECT_ICMP_UNREACH.rawValue: return .reject(.icmp(code: code))
        case NFT_REJECT_ICMPX_UNREACH.rawValue:
            return Reject.Unreachable(rawValue: code).map { .reject(.unreachable($0)) }
        default: return nil
        }
    }

    /// What follows from the registers is left out, as when the translation is made.
    private static func translation(_ fields: ExpressionFields) throws(NetlinkError) -> RuleExpression? {
        guard let end = Translation.End(rawValue: try fields.number(NFTA_NAT_TYPE) ?? .max),
            let number = try fields.number(NFTA_NAT_FAMILY), number <= 255,
            let family = NetfilterFamily(rawValue: UInt8(number))
        else { return nil }
        let address = try fields.register(NFTA_NAT_REG_ADDR_MIN)
        let addressEnd = try fields.register(NFTA_NAT_REG_ADDR_MAX)
        let port = try fields.register(NFTA_NAT_REG_PROTO_MIN)
        let portEnd = try fields.register(NFTA_NAT_REG_PROTO_MAX)
        return .translate(
            Translation(
                end, family, address: address, addressEnd: addressEnd == address ? nil : addressEnd, port: port,
                portEnd: portEnd == port ? nil : portEnd,
                flags: try (fields.number(NFTA_NAT_FLAGS) ?? 0) & ~NAT.implied))
    }

    private enum NAT {
        static let implied = UInt32(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED)
    }
}

/// Attributes of an expression, whose numbers are all in network byte order.
private struct ExpressionFields {
    private let attributes: [Attribute]

    init(_ attributes: [Attribute]) { self.attributes = attributes }

    var isEmpty: Bool { attributes.isEmpty }

    subscript(type: some KernelConstant) -> Attribute? { attributes[of: type] }

    func has(only type: some KernelConstant) -> Bool { attributes.allSatisfy { $0.type == type.type16 } }

    func number(_ type: some KernelConstant) throws(NetlinkError) -> UInt32? { try self[type]?.big() }

    func byte(_ type: some KernelConstant) throws(NetlinkError) -> UInt8? { try self[type]?.native() }

    func register(_ type: some KernelConstant) throws(NetlinkError) -> Register? {
        guard let number = try number(type) else { return nil }
        return try Register(kernel: number)
    }

    /// The bytes of an attribute of the kind `nft_data_attributes`.
    func value(_ type: some KernelConstant) throws(NetlinkError) -> [UInt8]? {
        try self[type]?.nested()[of: NFTA_DATA_VALUE].map { Array($0.payload) }
    }
}
