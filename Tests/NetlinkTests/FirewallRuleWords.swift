import CLinux
import Testing

@testable import Netlink

// Ours.
extension Words {
    /// The words of a rule, sorted: JSON has no order of steps. `named`: what nft says of it; it keeps silent about the
    /// protocol that a field needs.
    static func rule(_ expressions: [RuleExpression], named: [String]) -> [String] {
        var words: [String] = []
        var rest = expressions[...]
        while let step = rest.popFirst() {
            if case .meta(let key, _) = step, let name = metaNames[key], !named.contains("meta \(name)"),
                [.family, .transport, .protocolNumber].contains(key), case .compare(_, .equal, _) = rest.first
            {
                rest = rest.dropFirst()
            } else {
                words += self.words(step)
            }
        }
        return words.sorted()
    }

    static let metaNames: [MetaKey: String] = [
        .protocolNumber: "protocol", .mark: "mark", .inputIndex: "iif", .outputIndex: "oif", .inputName: "iifname",
        .outputName: "oifname", .family: "nfproto", .transport: "l4proto",
    ]

    private static func words(_ step: RuleExpression) -> [String] {
        switch step {
        case .meta(let key, _): ["meta \(metaNames[key] ?? "\(key)")"]
        case .setMeta(let key, _): ["set meta \(metaNames[key] ?? "\(key)")"]
        case .payload(let base, let offset, let count, _): ["payload \(base) \(offset) \(count)"]
        case .connection(let key, let direction, _):
            ["ct \(direction.map { "\($0) " } ?? "")\(connectionNames[key] ?? "\(key)")"]
        case .setConnection(let key, _): ["set ct \(key)"]
        case .route(let query, _): ["fib \(query.result == .addressKind ? "type" : "oif") \(query.flags)"]
        case .routeSegmentSize: ["rt mtu"]
        case .bits(_, let mask, _, _): ["mask \(Bytes.hexadecimal(mask))"]
        // Follows from the type of the value.
        case .toNetworkOrder: []
        case .compare(_, let comparison, let bytes): ["\(comparison) \(Bytes.hexadecimal(bytes))"]
        case .range(_, let from, let to, false):
            words(.compare(.word(0), .greaterOrEqual, from)) + words(.compare(.word(0), .lessOrEqual, to))
        case .range(_, let from, let to, true): ["outside \(Bytes.hexadecimal(from)) \(Bytes.hexadecimal(to))"]
        case .load(let bytes, _): ["load \(Bytes.hexadecimal(bytes))"]
        case .number(let source, let modulus, let offset, _):
            ["numgen \(source == .random ? "random" : "inc") \(modulus) \(offset)"]
        case .hash(_, _, let modulus, let seed, let offset, _): ["jhash \(modulus) \(seed ?? 0) \(offset)"]
        case .member(_, let set): ["in \(set.hasPrefix("__") ? "a set" : set)"]
        case .notMember(_, let set): ["not in \(set)"]
        case .lookUp(_, let map, _): ["map \(map)"]
        default: action(step)
        }
    }

    static let connectionNames: [ConnectionKey: String] = [.destinationPort: "proto-dst", .sourcePort: "proto-src"]

    private static func action(_ step: RuleExpression) -> [String] {
        switch step {
        case .update(let update):
            ["\(update.operation) \(update.set) \(update.timeoutMilliseconds.map { "\($0 / 1000)" } ?? "")"]
        case .translate(let translation):
            ["\(translation.end == .source ? "snat" : "dnat") \(translation.family == .ipv6 ? "ip6" : "ip")"]
        case .masquerade: ["masquerade"]
        case .redirect: ["redirect"]
        case .setSegmentSize: ["set maxseg"]
        case .reject(.tcpReset): ["reject tcp reset"]
        case .reject(.icmp(let code)): ["reject icmp \(code)"]
        case .reject(.unreachable(let code)): ["reject icmpx \(code.rawValue)"]
        case .count(let packets, let bytes): ["counter \(packets) \(bytes)"]
        case .log(let prefix): ["log \(prefix)"]
        case .noTracking: ["notrack"]
        case .verdict(let verdict): [word(verdict)]
        case .other(let name, _): [name]
        default: ["?"]
        }
    }
}

// nft's.
extension Words {
    static func rule(_ statements: [JSON]) throws -> [String] { try statements.flatMap(statement).sorted() }

    private static func statement(_ json: JSON) throws -> [String] {
        if let verdict = verdict(json) { return [verdict] }
        guard case .object(let fields) = json, let (name, body) = fields.first else { return ["?"] }
        switch name {
        case "match": return try match(body)
        case "counter": return ["counter \(body["packets"]?.int ?? 0) \(body["bytes"]?.int ?? 0)"]
        case "dnat", "snat":
            return ["\(name) \(body["family"]?.string ?? "")"]
                + (try address(body, isV6: body["family"]?.string == "ip6"))
        case "redirect": return ["redirect"] + (try port(body))
        case "mangle": return try mangle(body)
        case "vmap": return try source(body["key"]) + ["map \(setName(body["data"]))"]
        case "set":
            let element = body["elem"]?["elem"]
            let timeout = element?["timeout"]?.int.map { "\($0)" } ?? ""
            let map = try body["data"].map { try source($0) } ?? []
            return ["\(body["op"]?.string ?? "") \(setName(body["set"])) \(timeout)"] + (try source(element?["val"]))
                + map
        case "reject": return [reject(body)]
        case "log": return ["log \(body["prefix"]?.string ?? "")"]
        case "limit", "masquerade", "notrack": return [name]
        default: return ["?\(name)"]
        }
    }

    private static func setName(_ json: JSON?) -> String { String((json?.string ?? "").drop { $0 == "@" }) }

    private static func match(_ body: JSON) throws -> [String] {
        let left = try #require(body["left"])
        let right = try #require(body["right"])
        let op = ["==": "equal", "!=": "notEqual", ">=": "greaterOrEqual", "<=": "lessOrEqual"][
            body["op"]?.string ?? ""]
        if let set = right.string, set.hasPrefix("@") { return try source(left) + ["in \(setName(right))"] }
        if right["set"] != nil { return try source(left) + ["in a set"] }
        let (byteCount, order) = shape(of: left)
        let bytes = { (json: JSON) in try Bytes.of(json, byteCount: byteCount, order) }
        if body["op"]?.string == "in" {
            let masks = try (right.list.isEmpty ? [right] : right.list).map(bytes)
            let zero = [UInt8](repeating: 0, count: byteCount)
            let mask = masks.reduce(zero, Bytes.or)
            return try source(left) + ["mask \(Bytes.hexadecimal(mask))", "notEqual \(Bytes.hexadecimal(zero))"]
        }
        if let ends = right["range"]?.list {
            return try source(left) + [
                "greaterOrEqual \(Bytes.hexadecimal(bytes(ends[0])))",
                "lessOrEqual \(Bytes.hexadecimal(bytes(ends[1])))",
            ]
        }
        guard let prefix = right["prefix"] else {
            return try source(left) + ["\(op ?? "?") \(Bytes.hexadecimal(bytes(right)))"]
        }
        let length = try #require(prefix["len"]?.int)
        let network = try bytes(#require(prefix["addr"]))
        // Whole bytes are compared by themselves.
        if length % 8 == 0 {
            return try source(left, byteCount: length / 8) + [
                "equal \(Bytes.hexadecimal(Array(network.prefix(length / 8))))"
            ]
        }
        let mask = Bytes.mask(length, byteCount: byteCount)
        return try source(left) + ["mask \(Bytes.hexadecimal(mask))", "equal \(Bytes.hexadecimal(network))"]
    }

    /// Bytes of a field and their order.
    private static func shape(of json: JSON) -> (Int, Bytes.Order) {
        if let field = json["payload"] { return (place(field)?.byteCount ?? 0, .network) }
        switch json["meta"]?["key"]?.string {
        case "l4proto", "nfproto": return (1, .network)
        case "iifname", "oifname": return (16, .network)
        case "protocol": return (2, .network)
        default:
            return (
                json["ct"]?["key"]?.string?.hasPrefix("proto") == true ? 2 : 4,
                json["ct"]?["dir"] == nil ? .host : .network
            )
        }
    }

    private static let fields = [
        "ip saddr": ("network", 12, 4), "ip daddr": ("network", 16, 4), "ip ttl": ("network", 8, 1),
        "ip6 saddr": ("network", 8, 16), "ip6 daddr": ("network", 24, 16), "th dport": ("transport", 2, 2),
        "th sport": ("transport", 0, 2), "tcp flags": ("transport", 13, 1), "icmp type": ("transport", 0, 1),
        "icmpv6 type": ("transport", 0, 1), "ether type": ("link", 12, 2), "arp operation": ("network", 6, 2),
    ]

    private static func place(_ json: JSON) -> (base: String, offset: Int, byteCount: Int)? {
        if let base = json["base"]?.string, let offset = json["offset"]?.int, let count = json["len"]?.int {
            return (["nh": "network", "th": "transport", "ll": "link"][base] ?? base, offset / 8, count / 8)
        }
        let field = json["field"]?.string ?? ""
        let isPort = ["dport", "sport"].contains(field)
        return fields["\(isPort ? "th" : json["protocol"]?.string ?? "") \(field)"]
    }

    /// What fills a register.
    private static func source(_ json: JSON?, byteCount: Int? = nil) throws -> [String] {
        guard let json, case .object(let fields) = json, let (name, body) = fields.first else { return ["?"] }
        switch name {
        case "concat": return try body.list.flatMap { try source($0) }
        case "meta": return ["meta \(body["key"]?.string ?? "")"]
        case "ct":
            return ["ct \(body["dir"]?.string.map { "\($0) " } ?? "")\(body["key"]?.string ?? "")"]
        case "rt": return ["rt \(body["key"]?.string ?? "")"]
        case "payload":
            let place = try #require(self.place(body), "\(body)")
            return ["payload \(place.base) \(place.offset) \(byteCount ?? place.byteCount)"]
        case "fib":
            let bits = ["saddr": NFTA_FIB_F_SADDR.rawValue, "daddr": NFTA_FIB_F_DADDR.rawValue]
            let flags = body["flags"]?.list.reduce(0) { $0 | (bits[$1.string ?? ""] ?? 0) } ?? 0
            return ["fib \(body["result"]?.string ?? "") \(flags)"]
        case "numgen":
            return ["numgen \(body["mode"]?.string ?? "") \(body["mod"]?.int ?? 0) \(body["offset"]?.int ?? 0)"]
        case "jhash":
            let word = "jhash \(body["mod"]?.int ?? 0) \(body["seed"]?.int ?? 0) \(body["offset"]?.int ?? 0)"
            return [word] + (try source(body["expr"]))
        case "map": return try source(body["key"]) + ["map \(setName(body["data"]))"]
        default: return ["?\(name)"]
        }
    }

    private static func address(_ body: JSON, isV6: Bool) throws -> [String] {
        guard let address = body["addr"] else { return try port(body) }
        if address["map"] != nil { return try source(address) + port(body) }
        let bytes = try Bytes.of(address, byteCount: isV6 ? 16 : 4, .network)
        return ["load \(Bytes.hexadecimal(bytes))"] + (try port(body))
    }

    private static func port(_ body: JSON) throws -> [String] {
        try body["port"].map { ["load \(Bytes.hexadecimal(try Bytes.of($0, byteCount: 2, .network)))"] } ?? []
    }

    private static func mangle(_ body: JSON) throws -> [String] {
        let key = try #require(body["key"])
        let target = key["tcp option"] == nil ? "set " + (try source(key)).joined() : "set maxseg"
        guard let value = body["value"], value.int != nil else { return [target] + (try source(body["value"])) }
        return [target, "load \(Bytes.hexadecimal(try Bytes.of(value, byteCount: 4, .host)))"]
    }

    private static func reject(_ body: JSON) -> String {
        let codes = ["admin-prohibited": "3", "port-unreachable": body["type"]?.string == "icmp" ? "3" : "1"]
        let code = body["expr"]?.string.map { " " + (codes[$0] ?? $0) } ?? ""
        return "reject \(body["type"]?.string ?? "")\(code)"
    }
}
