import EngineWire

/// The lines of a build as they come.
public final class BuildStream {
    private let lines: LineStream
    private var sawEnd = false

    init(_ stream: EngineStream) { lines = LineStream(stream) }

    /// For `poll`.
    public var descriptor: Int32 { lines.descriptor }

    /// Reads once; `nil` is the end. A stream without `done` or `failed` was `cut`.
    public func receive() throws(EngineClientError) -> [BuildLine]? {
        guard let raw = try lines.receive() else {
            guard sawEnd else { throw .cut }
            return nil
        }
        var found: [BuildLine] = []
        for bytes in raw where !bytes.isEmpty {
            let line = try decodeJSON(BuildLine.self, bytes, "a line of the build")
            switch line {
            case .done, .failed: sawEnd = true
            case .started, .output, .finished, .warning, .built: break
            }
            found.append(line)
        }
        return found
    }
}

extension EngineClient {
    /// `POST /build/batch`. Closing the stream ends the build.
    public func build(_ batch: BuildBatch) throws(EngineClientError) -> BuildStream {
        BuildStream(try open(HTTPRequest("POST", ["build", "batch"], body: json(batch))))
    }

    /// `POST /build/archive`: builds from folders that are sent along, as the tar that `produce` hands to its argument,
    /// which answers whether the engine still reads.
    public func build(
        _ batch: BuildBatch,
        sending produce: (_ send: (UnsafeRawBufferPointer) throws(EngineClientError) -> Bool) throws -> Void
    ) throws -> BuildStream {
        guard case .json(let request) = try json(batch) else {
            throw EngineClientError.unexpectedAnswer("this request as JSON")
        }
        let query = [(name: "request", value: "\(request.count)")]
        let stream = try open(HTTPRequest("POST", ["build", "archive"], query: query, body: .tar(length: nil)))
        try Self.sendChunks(over: stream, first: request, produce: produce)
        return BuildStream(stream)
    }

    /// `POST /build/prune`.
    public func pruneBuilds(
        all: Bool, keepStorage: Int64?, filters: [String: [String]]
    ) throws(EngineClientError) -> BuildPruneReply {
        var query = try filterQuery(filters)
        if all { query.append((name: "all", value: "1")) }
        if let keepStorage { query.append((name: "keep-storage", value: "\(keepStorage)")) }
        return try reply(
            BuildPruneReply.self, HTTPRequest("POST", ["build", "prune"], query: query), "what was removed")
    }
}
