import Images

extension RegistryClient {
    private static let byteCountOfOnePut: Int64 = 4 << 20

    /// Whether a repository has a blob.
    public func hasBlob(_ digest: Digest, _ name: RepositoryName) throws(RegistryError) -> Bool {
        var call = RegistryCall(name, "blobs/\(digest)", actions: ["pull", "push"], what: "blob \(digest)")
        call.method = "HEAD"
        call.capability = .push
        call.accepted = [200, 404]
        return try perform(call).response.status == 200
    }

    /// How a blob came to be in a repository.
    public enum BlobPush: Equatable, Sendable { case wasThere, mounted, sent }

    /// Sees to it that a repository has a blob: asks first, then tries to take it from a repository of the same
    /// registry, then sends it.
    /// - Parameters:
    ///   - source: another repository of the registry that may have it.
    ///   - chunkByteCount: the most that is sent in one request; nil sends all at once.
    ///   - progress: told the bytes sent so far.
    public func pushBlob(
        _ blob: ContentDescriptor, _ name: RepositoryName, mountingFrom source: String? = nil,
        chunkByteCount: Int64? = nil, supply: some BlobSupply, progress: @escaping @Sendable (Int64) -> Void = { _ in }
    ) throws(RegistryError) -> BlobPush {
        guard supply.byteCount == blob.size else {
            throw .wrongSize(expected: blob.size, actual: supply.byteCount, what: "blob \(blob.digest)")
        }
        if try hasBlob(blob.digest, name) { return .wasThere }
        var upload = BlobUpload(client: self, blob: blob, name: name, supply: supply, progress: progress)
        upload.chunkByteCount = chunkByteCount
        if try upload.begin(mountingFrom: source) { return .mounted }
        try upload.sendAll(inOnePut: blob.size <= Self.byteCountOfOnePut && chunkByteCount == nil)
        return .sent
    }

    /// Puts a manifest or an index under a tag, or its digest without one. What it refers to must be there.
    public func pushManifest(
        _ bytes: [UInt8], mediaType: String, _ name: RepositoryName, tag: String?
    ) throws(RegistryError) -> Digest {
        let digest = Digest.sha256(of: bytes)
        let what = "\(name):\(tag ?? digest.description)"
        var call = RegistryCall(name, "manifests/\(tag ?? digest.description)", actions: ["pull", "push"], what: what)
        call.method = "PUT"
        call.capability = .push
        call.accepted = [201]
        call.headers.add("content-type", mediaType)
        call.body = MemorySupply(bytes: bytes)
        let answer = try perform(call)
        if let text = answer.response.headers["docker-content-digest"], let said = Digest(text), said != digest {
            throw .digestMismatch(expected: digest, actual: said, what: "the manifest that \(name.registry) stored")
        }
        return digest
    }
}

/// Content to send, from any offset, on any thread.
public protocol BlobSupply: Sendable {
    /// Of the whole blob.
    var byteCount: Int64 { get }
    /// Fills the beginning of `buffer` with what is at `offset`; 0 only at the end.
    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int
}

/// A part of a blob as the body of a request.
private struct SupplyPart: ByteSupply {
    let supply: any BlobSupply
    let first: Int64
    let byteCount: Int64
    let progress: @Sendable (Int64) -> Void

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        let count = Int(min(Int64(buffer.count), byteCount - offset))
        guard count > 0 else { return 0 }
        let read = try supply.read(at: first + offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
        guard read > 0 else { throw .content("a blob that is sent ends after \(first + offset) bytes") }
        progress(first + offset + Int64(read))
        return read
    }
}

/// One blob on its way to a registry (distribution-spec, "Pushing blobs").
private struct BlobUpload {
    private static let restartCountMax = 3

    let client: RegistryClient
    let blob: ContentDescriptor
    let name: RepositoryName
    let supply: any BlobSupply
    let progress: @Sendable (Int64) -> Void
    var chunkByteCount: Int64?
    /// Where to send the next piece.
    private var session: (endpoint: RegistryEndpoint, url: RegistryURL)?
    private var sentByteCount: Int64 = 0
    /// The most that the registry had of this upload, and how often it had no more after another piece.
    private var sentByteCountMax: Int64 = 0
    private var standstillCount = 0

    init(
        client: RegistryClient, blob: ContentDescriptor, name: RepositoryName, supply: any BlobSupply,
        progress: @escaping @Sendable (Int64) -> Void
    ) {
        self.client = client
        self.blob = blob
        self.name = name
        self.supply = supply
        self.progress = progress
    }

    private func call(_ method: String, _ path: String = "blobs/uploads/") -> RegistryCall {
        var call = RegistryCall(name, path, actions: ["pull", "push"], what: "blob \(blob.digest)")
        call.method = method
        call.capability = .push
        call.continuation = session
        // Registries move what they received elsewhere before they answer.
        call.stallSecondsMin = 300
        return call
    }

    /// `true` when the blob was mounted and nothing is left to do.
    mutating func begin(mountingFrom source: String? = nil) throws(RegistryError) -> Bool {
        session = nil
        (sentByteCount, sentByteCountMax, standstillCount) = (0, 0, 0)
        var query = ""
        if let source, source != name.repository {
            query = "?mount=\(percentEncoded(blob.digest.description))&from=\(percentEncoded(source))"
        }
        var call = call("POST", "blobs/uploads/\(query)")
        if let source, source != name.repository {
            call.scopes = call.scopes.union(ScopeSet([.repository(source, ["pull"])]))
        }
        call.body = MemorySupply(bytes: [])
        call.accepted = [201, 202]
        let answer: RegistryAnswer
        do throws(RegistryError) {
            answer = try client.perform(call)
        } catch {
            // Not allowed to read the other repository: without it, then.
            guard source != nil else { throw error }
            switch error {
            case .denied, .unauthorized, .notFound: return try begin()
            default: throw error
            }
        }
        if answer.response.status == 201, source != nil { return true }
        try follow(answer)
        if let text = answer.response.headers["oci-chunk-min-length"], let least = Int64(text), let chunkByteCount {
            self.chunkByteCount = max(chunkByteCount, least)
        }
        return false
    }

    private mutating func follow(_ answer: RegistryAnswer) throws(RegistryError) {
        var endpoint = answer.endpoint
        endpoint.url.scheme = answer.response.url.scheme
        guard let text = answer.response.headers["location"], let url = answer.response.url.resolving(text) else {
            throw .invalidResponse(host: name.registry, why: "an upload without a good Location")
        }
        guard url.scheme == .https || endpoint.url.scheme == .http else {
            throw .invalidResponse(host: name.registry, why: "an upload is sent away from https to \(url.authority)")
        }
        session = (endpoint, url)
    }

    private func target(_ method: String) -> RegistryCall {
        var call = call(method)
        if method == "PUT" { call.continuation?.url.appendQuery("digest", blob.digest.description) }
        return call
    }

    private func body(_ first: Int64, _ byteCount: Int64) -> SupplyPart {
        SupplyPart(supply: supply, first: first, byteCount: byteCount, progress: progress)
    }

    /// - Parameter inOnePut: everything goes with the request that ends the upload.
    mutating func sendAll(inOnePut: Bool) throws(RegistryError) {
        var restartCount = 0
        while true {
            do throws(RegistryError) {
                if inOnePut { return try finish(with: body(0, blob.size)) }
                while sentByteCount < blob.size { try sendPiece() }
                return try finish(with: nil)
            } catch {
                // The upload is gone or not where we think it is.
                restartCount += 1
                guard Self.isLost(error), restartCount <= Self.restartCountMax, !client.stop.isCancelled else {
                    throw error
                }
                _ = try begin()
            }
        }
    }

    private static func isLost(_ error: RegistryError) -> Bool {
        switch error {
        case .notFound, .status(_, 416, _), .status(_, 400, _): true
        default: false
        }
    }

    /// One request; after a broken one, as much again as the registry does not have.
    private mutating func sendPiece() throws(RegistryError) {
        let retry = client.connections.retry
        var attempt = 0
        while true {
            let failure: RegistryError
            do throws(RegistryError) {
                return try sendOnce()
            } catch {
                failure = error
            }
            attempt += 1
            guard retry.allowsRetry(after: failure), attempt < retry.attemptCountMax else { throw failure }
            client.connections.clock.sleep(
                retry.delay(after: failure, attempt: attempt - 1, client.connections.clock), client.stop)
            let before = sentByteCount
            try askStatus()
            if sentByteCount > before { attempt = 0 }
            if sentByteCount >= blob.size { return }
        }
    }

    private mutating func sendOnce() throws(RegistryError) {
        let count = min(blob.size - sentByteCount, chunkByteCount ?? Int64.max)
        var call = target("PATCH")
        call.headers.add("content-type", "application/octet-stream")
        call.headers.add("content-range", "\(sentByteCount)-\(sentByteCount + count - 1)")
        call.body = body(sentByteCount, count)
        call.accepted = [202, 201, 204]
        let answer = try client.performOnce(call)
        try follow(answer)
        let expected = sentByteCount + count
        if let text = answer.response.headers["range"] {
            guard let range = ContentRange.parseUpload(text), range.first == 0, range.last < expected else {
                throw .invalidResponse(host: name.registry, why: "Range \(harmless(text)) of an upload")
            }
            // Fewer than were sent: the rest goes again.
            sentByteCount = range.last + 1
        } else {
            sentByteCount = expected
        }
        try noteProgress()
    }

    /// A registry that keeps nothing of what it takes must not be sent it for ever.
    private mutating func noteProgress() throws(RegistryError) {
        if sentByteCount > sentByteCountMax {
            (sentByteCountMax, standstillCount) = (sentByteCount, 0)
            return
        }
        standstillCount += 1
        guard standstillCount < client.connections.retry.attemptCountMax else {
            throw .invalidResponse(host: name.registry, why: "an upload that does not go on")
        }
    }

    /// distribution-spec, end-13.
    private mutating func askStatus() throws(RegistryError) {
        var call = target("GET")
        call.accepted = [204, 202, 200]
        let answer = try client.perform(call)
        try follow(answer)
        guard let text = answer.response.headers["range"] else {
            sentByteCount = 0
            return
        }
        guard let range = ContentRange.parseUpload(text), range.first == 0, range.last < blob.size else {
            throw .invalidResponse(host: name.registry, why: "Range \(harmless(text)) of an upload")
        }
        // `0-0` is also what an empty upload has.
        sentByteCount = range.last == 0 ? 0 : range.last + 1
    }

    private func finish(with content: SupplyPart?) throws(RegistryError) {
        var call = target("PUT")
        call.accepted = [201]
        if let content {
            call.headers.add("content-type", "application/octet-stream")
            call.body = content
        } else {
            call.body = MemorySupply(bytes: [])
        }
        do throws(RegistryError) {
            _ = try client.perform(call)
        } catch {
            // The answer may have been lost, not the request.
            if case .notFound = error, try client.hasBlob(blob.digest, name) { return }
            throw error
        }
    }
}
