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
}
