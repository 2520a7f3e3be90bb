import Glibc
import Testing

@testable import Netlink

/// Rule sets as plain words: ours and those of nft's JSON (libnftables-json(5)) come out the same when they mean the
/// same.
enum Words {
    static func family(_ place: FirewallPlace) -> String {
        switch place.knownFamily {
        case .ipv4: "ip"
        case .ipv6: "ip6"
        case let family?: "\(family)"
        case nil: "family \(place.family)"
        }
    }

    static func table(_ table: TableEntry) -> String {
        "\(family(table.place)) \(table.place.table) \(table.handle ?? 0)"
    }

    static func table(_ json: JSON) -> String {
        "\(json["family"]?.string ?? "") \(json["name"]?.string ?? "") \(json["handle"]?.int ?? 0)"
    }

    static func chain(_ chain: ChainEntry) -> String {
        let name = "\(family(chain.place)) \(chain.place.table) \(chain.name) \(chain.handle ?? 0)"
        guard let hook = chain.hook else { return name }
        let place = chain.base.map { "\($0.hook)" } ?? (chain.place.knownFamily == .arp ? "input" : "ingress")
        return "\(name) \(hook.type) \(place) \(hook.priority) \(hook.dropsByDefault ? "drop" : "accept")"
    }

    static func chain(_ json: JSON) -> String {
        let texts = ["family", "table", "name"].map { json[$0]?.string ?? "" }
        let name = texts.joined(separator: " ") + " \(json["handle"]?.int ?? 0)"
        guard let type = json["type"]?.string else { return name }
        let priority = json["prio"]?.int ?? 0
        return "\(name) \(type) \(json["hook"]?.string ?? "") \(priority) \(json["policy"]?.string ?? "")"
    }

    /// `["inet_proto", "inet_service"]`, `"ipv4_addr . inet_service"` or `"mark"`; empty for verdicts.
    static func types(_ json: JSON?) -> [SetType] {
        let names = json?.string.map(names) ?? json?.list.compactMap(\.string) ?? []
        return names.compactMap(SetType.init(rawValue:))
    }

    private static func names(_ text: String) -> [String] {
        text.split(separator: " ").filter { $0 != "." }.map(String.init)
    }
}

/// A type of set keys and values: its number among libnftables' `enum datatypes` and its bytes.
enum SetType: String {
    case ipv4_addr, ipv6_addr, inet_proto, inet_service, mark, ifname

    var number: UInt32 {
        switch self {
        case .ipv4_addr: 7
        case .ipv6_addr: 8
        case .inet_proto: 12
        case .inet_service: 13
        case .mark: 19
        case .ifname: 41
        }
    }

    var byteCount: Int {
        switch self {
        case .ipv4_addr, .mark: 4
        case .ipv6_addr, .ifname: 16
        case .inet_proto: 1
        case .inet_service: 2
        }
    }

    static func number(_ types: [SetType]) -> UInt32 { types.reduce(0) { $0 << 6 | $1.number } }

    /// Every field of a concatenation is padded to four bytes.
    static func byteCount(_ types: [SetType]) -> Int {
        types.count == 1 ? types[0].byteCount : types.reduce(0) { $0 + ($1.byteCount + 3) & ~3 }
    }

    /// The first and last value that `json` stands for.
    func range(_ json: JSON) throws -> (first: [UInt8], last: [UInt8]) {
        if let ends = json["range"]?.list { return (try bytes(ends[0]), try bytes(ends[1])) }
        guard let prefix = json["prefix"] else {
            let value = try bytes(json)
            return (value, value)
        }
        let first = try bytes(try #require(prefix["addr"]))
        let length = try #require(prefix["len"]?.int)
        return (first, Bytes.or(first, Bytes.inverted(Bytes.mask(length, byteCount: first.count))))
    }

    private func bytes(_ json: JSON) throws -> [UInt8] {
        let order: Bytes.Order = self == .mark ? .host : .network
        return try Bytes.of(json, byteCount: byteCount, order)
    }
}

/// Values of nft's JSON as the kernel has them.
enum Bytes {
    enum Order { case host, network }

    static func of(_ json: JSON, byteCount: Int, _ order: Order) throws -> [UInt8] {
        if let number = json.int {
            let bytes = withUnsafeBytes(of: number.littleEndian) { Array($0.prefix(byteCount)) }
            return order == .host ? bytes : bytes.reversed()
        }
        let text = try #require(json.string, "\(json)")
        if let number = symbols[text] { return try of(.int(number), byteCount: byteCount, order) }
        if text == "lo", byteCount == 4 { return try of(.int(1), byteCount: 4, order) }
        var address = [UInt8](repeating: 0, count: 16)
        if byteCount == 4, inet_pton(AF_INET, text, &address) == 1 { return Array(address.prefix(4)) }
        if byteCount == 16, inet_pton(AF_INET6, text, &address) == 1 { return address }
        // A name of an interface, or how it begins.
        if text.hasSuffix("*") { return Array(text.utf8.dropLast()) }
        return Array(text.utf8) + [UInt8](repeating: 0, count: 16 - text.utf8.count)
    }

    private static let symbols = [
        "tcp": 6, "udp": 17, "local": 2, "invalid": 1, "established": 2, "related": 4, "syn": 2, "echo-request": 8,
        "request": 1, "ip": 0x800, "ipv4": 2, "ipv6": 10,
    ]

    static func mask(_ length: Int, byteCount: Int) -> [UInt8] {
        (0..<byteCount).map { index in UInt8(truncatingIfNeeded: 0xff00 >> min(8, max(0, length - index * 8))) }
    }
    static func or(_ one: [UInt8], _ other: [UInt8]) -> [UInt8] { zip(one, other).map { $0 | $1 } }
    static func inverted(_ bytes: [UInt8]) -> [UInt8] { bytes.map { ~$0 } }
    static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// One less, as a number in network byte order.
    static func decremented(_ bytes: [UInt8]) -> [UInt8] {
        var result = bytes
        for index in result.indices.reversed() {
            result[index] &-= 1
            if result[index] != 0xff { break }
        }
        return result
    }
}
