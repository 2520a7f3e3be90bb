import CLibCurl
import Synchronization

/// HTTP by libcurl, which is loaded with the first exchange. Handles, and with them connections, are kept for later
/// exchanges.
public final class CurlTransport: HTTPTransport {
    // SAFETY: a handle is used by one thread at a time: whoever took it out of `idle`.
    private final class Handle: @unchecked Sendable {
        let raw: UnsafeMutableRawPointer
        init(_ raw: UnsafeMutableRawPointer) { self.raw = raw }
        deinit { gantry_curl_close(raw) }
    }

    private static let idleHandleCountMax = 16
    private static let connectTimeoutMilliseconds: Int64 = 30_000
    private static let lowSpeedByteCount: Int64 = 64
    private let idle = Mutex<[Handle]>([])
    private let userAgent: String

    /// `userAgent` as in RFC 9110 section 10.1.5.
    public init(userAgent: String = "gantry") { self.userAgent = userAgent }

    func perform(
        _ request: HTTPRequest, stop: Cancellation, _ consumer: BodyConsumer?
    ) throws(RegistryError) -> HTTPResponse {
        if stop.isCancelled { throw .cancelled }
        let handle = try takeHandle()
        let exchange = CurlExchange(request, stop: stop, consumer)
        let result = run(exchange, handle)
        // One that failed is not used again: after a host that cannot be resolved, libcurl 7.88 refuses the next.
        if result.failure == GANTRY_CURL_OK {
            idle.withLock { idle in
                if idle.count < Self.idleHandleCountMax { idle.append(handle) }
            }
        }
        if let failure = exchange.failure { throw failure }
        if stop.isCancelled { throw .cancelled }
        if let error = Self.error(result, host: request.url.authority) { throw error }
        guard exchange.head.status > 0 else {
            throw .invalidResponse(host: request.url.authority, why: "no HTTP status")
        }
        return HTTPResponse(head: exchange.head, body: exchange.body, url: request.url)
    }

    private func takeHandle() throws(RegistryError) -> Handle {
        if let handle = idle.withLock({ $0.popLast() }) { return handle }
        if let why = gantry_curl_load() { throw .libraryMissing(why: String(cString: why)) }
        guard let raw = gantry_curl_open() else { throw .libraryMissing(why: "curl_easy_init failed") }
        return Handle(raw)
    }

    private func run(_ exchange: CurlExchange, _ handle: Handle) -> gantry_curl_result {
        let request = exchange.request
        var call = gantry_curl_request()
        call.no_body = request.method == "HEAD"
        call.upload_byte_count = request.body?.byteCount ?? -1
        call.skip_verify = request.tls.skipsVerification
        call.connect_timeout_ms = Self.connectTimeoutMilliseconds
        call.low_speed_byte_count = Self.lowSpeedByteCount
        call.low_speed_seconds = request.stallSeconds
        call.context = Unmanaged.passUnretained(exchange).toOpaque()
        call.on_header = { bytes, size, count, context in
            exchangeOf(context)?.receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
        }
        call.on_body = { bytes, size, count, context in
            exchangeOf(context)?.receiveBody(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
        }
        call.read_body = { bytes, size, count, context in
            exchangeOf(context)?.giveBody(UnsafeMutableRawBufferPointer(start: bytes, count: size * count)) ?? 0
        }
        call.seek_body = { context, offset, _ in exchangeOf(context)?.seek(offset) ?? 1 }
        call.should_stop = { context in exchangeOf(context)?.stop.isCancelled == false ? 0 : 1 }
        return withStrings(call, request) { call in
            withExtendedLifetime(exchange) { withUnsafePointer(to: call) { gantry_curl_perform(handle.raw, $0) } }
        }
    }

    /// The strings live as long as `body` runs.
    private func withStrings<Result>(
        _ call: gantry_curl_request, _ request: HTTPRequest, _ body: (gantry_curl_request) -> Result
    ) -> Result {
        var call = call
        // Without `Expect`: servers that do not know it cost a second each.
        var lines = request.headers.fields.map { "\($0.name): \($0.value)" } + ["Expect:"]
        if request.body != nil, request.headers["content-type"] == nil { lines.append("Content-Type:") }
        var arena = StringArena()
        call.url = arena.add(request.url.description)
        call.method = arena.add(request.method)
        call.user_agent = arena.add(userAgent)
        call.client_certificate = request.tls.clientCertificate.flatMap { arena.add($0) }
        call.client_key = request.tls.clientKey.flatMap { arena.add($0) }
        let pointers = lines.map { arena.add($0) } + [nil]
        defer { arena.free() }
        return pointers.withUnsafeBufferPointer { pointers in
            request.tls.authorities.withUnsafeBytes { authorities in
                call.headers = pointers.baseAddress
                if !authorities.isEmpty {
                    call.ca_pem = authorities.bindMemory(to: CChar.self).baseAddress
                    call.ca_pem_byte_count = authorities.count
                }
                return body(call)
            }
        }
    }

    private static func error(_ result: gantry_curl_result, host: String) -> RegistryError? {
        let why = withUnsafeBytes(of: result.message) { bytes in
            harmless(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
        }
        switch result.failure {
        case GANTRY_CURL_OK: return nil
        case GANTRY_CURL_RESOLVE: return .unreachable(host: host, why: why, isPermanent: true)
        case GANTRY_CURL_CONNECT, GANTRY_CURL_TIMED_OUT, GANTRY_CURL_BROKEN:
            return .unreachable(host: host, why: why, isPermanent: false)
        case GANTRY_CURL_HANDSHAKE: return .handshake(host: host, why: why)
        case GANTRY_CURL_CERTIFICATE: return .certificate(host: host, why: why)
        case GANTRY_CURL_CREDENTIAL_FILE:
            return .configuration(path: "certificates for \(host)", line: 0, why: why)
        case GANTRY_CURL_ABORTED: return .cancelled
        default: return .unreachable(host: host, why: why, isPermanent: true)
        }
    }
}

private func exchangeOf(_ context: UnsafeMutableRawPointer?) -> CurlExchange? {
    context.map { Unmanaged<CurlExchange>.fromOpaque($0).takeUnretainedValue() }
}

/// Strings for C, freed together.
private struct StringArena {
    private var strings: [UnsafeMutablePointer<CChar>] = []

    mutating func add(_ text: String) -> UnsafePointer<CChar> {
        let bytes = text.utf8CString
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        for (index, byte) in bytes.enumerated() { copy[index] = byte }
        strings.append(copy)
        return UnsafePointer(copy)
    }

    func free() {
        for string in strings { string.deallocate() }
    }
}

/// One exchange as its callbacks see it; on one thread.
private final class CurlExchange {
    private static let headerByteCountMax = 64 << 10
    private static let headerCountMax = 200

    let request: HTTPRequest
    let stop: Cancellation
    private let consumer: BodyConsumer?
    private(set) var head = HTTPHead(status: 0, headers: HTTPHeaders())
    private(set) var body: [UInt8] = []
    private(set) var failure: RegistryError?
    private var headerByteCount = 0
    private var bodyHasBegun = false
    private var sentByteCount: Int64 = 0

    init(_ request: HTTPRequest, stop: Cancellation, _ consumer: BodyConsumer?) {
        self.request = request
        self.stop = stop
        self.consumer = consumer
    }

    private var host: String { request.url.authority }

    /// One line of the head with its line end; trailers come here too and are of no interest.
    func receiveHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
        headerByteCount += bytes.count
        guard headerByteCount <= Self.headerByteCountMax, head.headers.fields.count < Self.headerCountMax else {
            failure = .invalidResponse(host: host, why: "more than \(Self.headerByteCountMax) bytes of header")
            return 0
        }
        let line = bytes.prefix { $0 != 0x0d && $0 != 0x0a }
        let text = String(decoding: line, as: UTF8.self)
        if bodyHasBegun { return bytes.count }
        if text.hasPrefix("HTTP/") {
            // Also after an interim answer (100 Continue) or a proxy's.
            let status = text.split(separator: " ", omittingEmptySubsequences: true).dropFirst().first.flatMap {
                Int($0)
            }
            head = HTTPHead(status: status ?? 0, headers: HTTPHeaders())
        } else if let colon = text.firstIndex(of: ":") {
            let value = text[text.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            let end = value.lastIndex { $0 != " " && $0 != "\t" }.map { value.index(after: $0) } ?? value.startIndex
            head.headers.add(String(text[..<colon]), String(value[..<end]))
        }
        return bytes.count
    }

    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        bodyHasBegun = true
        do throws(RegistryError) {
            if let consumer, try consumer(head, bytes) { return bytes.count }
            guard body.count + bytes.count <= request.answerByteCountMax else {
                throw .tooLarge(what: "the answer of \(host)", byteCountMax: request.answerByteCountMax)
            }
            body += bytes
            return bytes.count
        } catch {
            failure = error
            // A zero-length piece must be told from success, too.
            return bytes.isEmpty ? 1 : 0
        }
    }

    func giveBody(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        // CURL_READFUNC_ABORT
        let abort = 0x1000_0000
        guard let supply = request.body else { return abort }
        do throws(RegistryError) {
            let count = try supply.read(at: sentByteCount, into: buffer)
            sentByteCount += Int64(count)
            return count
        } catch {
            failure = error
            return abort
        }
    }

    func seek(_ offset: Int64) -> Int32 {
        guard offset >= 0, offset <= request.body?.byteCount ?? 0 else { return 1 }
        sentByteCount = offset
        return 0
    }
}
