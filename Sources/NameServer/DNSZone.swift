import InternetAddress

/// What one container can look up.
public struct DNSZone: Equatable, Sendable {
    /// Name to addresses of either family. Names are compared without case; a name that the DNS cannot carry (a label
    /// above 63 bytes) cannot be asked for and has no effect. A name without addresses exists, and has none.
    public var names: [String: [IPAddress]]
    /// Whether names that are not here are asked of other servers; `false` on internal networks.
    public var external: Bool
    /// Servers in place of the host's: `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`; with a port as `192.0.2.1#5353`.
    public var forwarders: [String]

    public init(
        names: [String: [IPAddress]] = [:], external: Bool = true, forwarders: [String] = []
    ) {
        self.names = names
        self.external = external
        self.forwarders = forwarders
    }
}

/// A zone that many containers may share; compiled when one of them asks for a name for the first time, for zones
/// change with every start and are rarely asked between two.
final class SharedZone {
    /// `nil`: the names are not known yet.
    var source: DNSZone? { didSet { made = nil } }
    private var made: CompiledZone?

    init(_ source: DNSZone? = nil) { self.source = source }

    var compiled: CompiledZone? {
        if let made { return made }
        made = source.map(CompiledZone.init)
        return made
    }
}

/// A zone in the form that answers: names as they stand in packets.
final class CompiledZone: Sendable {
    struct Addresses {
        var v4: [IPAddress] = []
        var v6: [IPAddress] = []

        var count: Int { v4.count + v6.count }
        var all: [IPAddress] { v4 + v6 }

        func of(type: UInt16) -> [IPAddress] {
            switch type {
            case DNSType.a: v4
            case DNSType.aaaa: v6
            case DNSType.any: all
            default: []
            }
        }
    }

    let source: DNSZone
    let addresses: [[UInt8]: Addresses]
    /// `4.3.2.1.in-addr.arpa` and `….ip6.arpa` to the names of that address, those that are its alone first.
    let pointers: [[UInt8]: [[UInt8]]]
    let forwarders: ResolvConf

    init(_ zone: DNSZone) {
        source = zone
        var addresses: [[UInt8]: Addresses] = [:]
        for (text, list) in zone.names {
            guard let name = DNSReader.name(text) else { continue }
            var known = addresses[name] ?? Addresses()
            for address in list {
                if address.isV6 { known.v6.append(address) } else { known.v4.append(address) }
            }
            addresses[name] = known
        }
        self.addresses = addresses
        pointers = Self.pointers(addresses)
        forwarders = ResolvConf(
            servers: Array(zone.forwarders.compactMap(ResolverAddress.init).prefix(DNSLimits.serverCountMax)))
    }

    private static func pointers(_ addresses: [[UInt8]: Addresses]) -> [[UInt8]: [[UInt8]]] {
        var names: [IPAddress: [[UInt8]]] = [:]
        // A name that many addresses share (a service) says less about one of them than a name of its own.
        let sorted = addresses.sorted { left, right in
            left.value.count == right.value.count
                ? left.key.lexicographicallyPrecedes(right.key) : left.value.count < right.value.count
        }
        for (name, list) in sorted {
            for address in Set(list.all) { names[address, default: []].append(name) }
        }
        var pointers: [[UInt8]: [[UInt8]]] = [:]
        for (address, list) in names { pointers[reverseName(address)] = list }
        return pointers
    }

    /// RFC 1035 section 3.5, RFC 3596 section 2.5.
    static func reverseName(_ address: IPAddress) -> [UInt8] {
        var name: [UInt8] = []
        func append(_ text: String) {
            name.append(UInt8(text.utf8.count))
            name += text.utf8
        }
        for byte in address.bytes.reversed() {
            if address.isV6 {
                append(String(byte & 0xF, radix: 16))
                append(String(byte >> 4, radix: 16))
            } else {
                append(String(byte))
            }
        }
        append(address.isV6 ? "ip6" : "in-addr")
        append("arpa")
        return name + [0]
    }
}

/// Decides what happens to a packet from a container.
enum DNSResponder {
    enum Decision: Equatable {
        case reply([UInt8])
        case forward(DNSQuery)
        case drop
    }

    /// `zone` is `nil` while the container's names are not known. `isDatagram`: UDP, where answers have to fit.
    static func decide(
        _ packet: [UInt8], zone: CompiledZone?, isDatagram: Bool, random: inout some RandomNumberGenerator
    ) -> Decision {
        switch DNSQuery.parse(packet) {
        case .ignore:
            return .drop
        case .refuse(let code):
            return DNSHeader(packet).map { .reply(DNSReply.refusal($0, code)) } ?? .drop
        case .query(let query):
            let byteCountMax = isDatagram ? query.datagramByteCountMax : DNSLimits.messageByteCountMax
            guard let (code, records) = answer(query, zone, &random) else { return .forward(query) }
            return .reply(DNSReply.answer(query, code, records, byteCountMax: byteCountMax))
        }
    }

    /// `nil`: other servers have to say.
    private static func answer(
        _ query: DNSQuery, _ zone: CompiledZone?, _ random: inout some RandomNumberGenerator
    ) -> (DNSCode, [DNSReply.Record])? {
        guard let zone else { return (.serverFailure, []) }
        if let edns = query.edns, edns.version != 0 { return (.badVersion, []) }
        let question = query.question
        if question.class == DNSClass.internet || question.class == DNSClass.any {
            if let addresses = zone.addresses[question.name] {
                // A name that is ours has addresses and nothing else: whatever is asked besides, the answer is an empty
                // one, never that of a server elsewhere.
                return (.noError, addresses.of(type: question.type).shuffled(using: &random).map { .address($0) })
            }
            if let names = zone.pointers[question.name] {
                guard question.type == DNSType.ptr || question.type == DNSType.any else { return (.noError, []) }
                return (.noError, names.map { .pointer(name: $0) })
            }
        }
        return zone.source.external ? nil : (.nameError, [])
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): spreads load over addresses. Nothing that has to be unpredictable.
struct SpreadingGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
