/// Fields of a message in order; names without regard to case (RFC 9110 section 5.1).
struct HTTPHeaders: Equatable, Sendable {
    struct Field: Equatable, Sendable {
        var name: String
        var value: String
    }

    private(set) var fields: [Field] = []

    init(_ fields: [(String, String)] = []) {
        for (name, value) in fields { add(name, value) }
    }

    mutating func add(_ name: String, _ value: String) { fields.append(Field(name: name.lowercased(), value: value)) }

    /// Replaces every field of that name.
    mutating func set(_ name: String, _ value: String) {
        remove(name)
        add(name, value)
    }

    mutating func remove(_ name: String) { fields.removeAll { $0.name == name.lowercased() } }

    func all(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    /// The only or first value; `name` in lower case.
    subscript(_ name: String) -> String? { fields.first { $0.name == name }?.value }
}

/// What a connection trusts and shows.
struct TLSSettings: Hashable, Sendable {
    /// PEM, trusted besides the system's; empty for none.
    var authorities: [UInt8] = []
    /// Paths of PEM files.
    var clientCertificate: String?
    var clientKey: String?
    var skipsVerification = false
}

/// Bytes to send, from any offset: sending may begin anew.
protocol ByteSupply: Sendable {
    var byteCount: Int64 { get }
    /// Fills the beginning of `buffer` with what is at `offset`; 0 only at the end.
    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int
}

/// A body in memory.
struct MemorySupply: ByteSupply {
    let bytes: [UInt8]
    var byteCount: Int64 { Int64(bytes.count) }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        let count = min(bytes.count - Int(clamping: offset), buffer.count)
        guard offset >= 0, count > 0 else { return 0 }
        bytes.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)...].prefix(count)))
        }
        return count
    }
}

struct HTTPRequest: Sendable {
    var method = "GET"
    var url: RegistryURL
    var headers = HTTPHeaders()
    var body: (any ByteSupply)?
    var tls = TLSSettings()
    /// Of a body that is not streamed.
    var answerByteCountMax = 4 << 20
    /// Seconds without progress after which the server is given up.
    var stallSeconds: Int64 = 60
}

struct HTTPHead: Sendable {
    var status: Int
    var headers: HTTPHeaders
}

struct HTTPResponse: Sendable {
    var head: HTTPHead
    /// Empty when it went to the consumer.
    var body: [UInt8] = []
    /// Where the answer came from, after redirects.
    var url: RegistryURL

    var status: Int { head.status }
    var headers: HTTPHeaders { head.headers }
}

/// Takes the body of an answer in pieces. `false`: not this one (an error, a redirect), collect it instead.
typealias BodyConsumer = (HTTPHead, UnsafeRawBufferPointer) throws(RegistryError) -> Bool

/// One exchange, without following redirects; blocks the thread. The network as a parameter.
protocol HTTPTransport: Sendable {
    func perform(
        _ request: HTTPRequest, stop: Cancellation, _ consumer: BodyConsumer?
    ) throws(RegistryError) -> HTTPResponse
}
