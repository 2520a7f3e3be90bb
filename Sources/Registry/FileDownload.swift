import Images

/// Fetches single files by http and https, by libcurl: what ADD names by its address.
public struct FileDownload: Sendable {
    /// As Go's client, which BuildKit uses.
    private static let redirectCountMax = 10
    private let transport: any HTTPTransport
    private let retry: RetryPolicy
    private let clock: RegistryClock

    /// What the file was like when it was fetched before: the server may answer that it still is.
    public struct Validator: Equatable, Sendable {
        /// Of `ETag`, quotes and all; empty for none.
        public var tag: String
        /// Of `Last-Modified`, as the server wrote it; empty for none.
        public var date: String

        public init(tag: String, date: String) {
            self.tag = tag
            self.date = date
        }

        public var isEmpty: Bool { tag.isEmpty && date.isEmpty }
    }

    public struct Answer: Sendable {
        /// Nothing was sent: the file is as the validator has it.
        public var isUnchanged: Bool
        public var validator: Validator
    }

    public init(transport: CurlTransport = CurlTransport(), retry: RetryPolicy = RetryPolicy()) {
        self.init(transport: transport, retry: retry, clock: .system)
    }

    init(transport: any HTTPTransport, retry: RetryPolicy, clock: RegistryClock) {
        self.transport = transport
        self.retry = retry
        self.clock = clock
    }

    /// - Parameters:
    ///   - authorization: of `Authorization:`, which only the address's own scheme, host and port get.
    ///   - restart: called before each attempt; what came before is void.
    ///   - sink: takes the file in pieces.
    public func fetch(
        _ address: String, unless known: Validator?, authorization: String? = nil, byteCountMax: Int64,
        stop: Cancellation, restart: () throws(RegistryError) -> Void, into sink: @escaping BlobSink
    ) throws(RegistryError) -> Answer {
        guard let url = RegistryURL(address) else {
            throw .invalidReference("an http address has no user name, no spaces, and ASCII only")
        }
        var attempt = 0
        while true {
            let failure: RegistryError
            do throws(RegistryError) {
                try restart()
                return try fetchOnce(url, known, authorization, byteCountMax, stop, sink)
            } catch {
                failure = error
            }
            attempt += 1
            guard failure.isTransient, attempt < retry.attemptCountMax else { throw failure }
            clock.sleep(retry.delayMilliseconds(attempt: attempt - 1, random: clock.random()), stop)
            if stop.isCancelled { throw .cancelled }
        }
    }

    private func fetchOnce(
        _ url: RegistryURL, _ known: Validator?, _ authorization: String?, _ byteCountMax: Int64, _ stop: Cancellation,
        _ sink: @escaping BlobSink
    ) throws(RegistryError) -> Answer {
        var request = HTTPRequest(url: url, stallSeconds: retry.stallSeconds)
        if let known, !known.tag.isEmpty { request.headers.set("if-none-match", known.tag) }
        if let known, !known.date.isEmpty { request.headers.set("if-modified-since", known.date) }
        for _ in 0...Self.redirectCountMax {
            request.headers.remove("authorization")
            if let authorization, request.url.isSameOrigin(as: url) {
                request.headers.set("authorization", authorization)
            }
            var byteCount: Int64 = 0
            let response = try transport.perform(request, stop: stop) { head, piece throws(RegistryError) in
                guard head.status == 200 else { return false }
                byteCount += Int64(piece.count)
                guard byteCount <= byteCountMax else {
                    throw .tooLarge(what: url.description, byteCountMax: Int(clamping: byteCountMax))
                }
                try sink(piece)
                return true
            }
            if let next = try redirect(response) {
                request.url = next
                continue
            }
            return try answer(response, known)
        }
        throw .invalidResponse(host: url.authority, why: "more than \(Self.redirectCountMax) redirects")
    }

    private func answer(_ response: HTTPResponse, _ known: Validator?) throws(RegistryError) -> Answer {
        let headers = response.headers
        let validator = Validator(tag: headers["etag"] ?? "", date: headers["last-modified"] ?? "")
        switch response.status {
        case 200: return Answer(isUnchanged: false, validator: validator)
        case 304:
            guard let known, !known.isEmpty else {
                throw .invalidResponse(host: response.url.authority, why: "304 without being asked for it")
            }
            return Answer(isUnchanged: true, validator: known)
        case 404, 410: throw .notFound(what: "\(response.url) is not found", message: "")
        default: throw .status(host: response.url.authority, code: response.status, details: [])
        }
    }

    private func redirect(_ response: HTTPResponse) throws(RegistryError) -> RegistryURL? {
        guard [301, 302, 303, 307, 308].contains(response.status), let location = response.headers["location"] else {
            return nil
        }
        let host = response.url.authority
        guard let next = response.url.resolving(location) else {
            throw .invalidResponse(host: host, why: "a redirect to \(harmless(location))")
        }
        guard next.scheme == .https || response.url.scheme == .http else {
            throw .invalidResponse(host: host, why: "a redirect away from https to \(next.authority)")
        }
        return next
    }
}
