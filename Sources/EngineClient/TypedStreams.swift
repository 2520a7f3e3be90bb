import EngineWire
import FoundationEssentials

/// The events of `apply`, `down`, `start`, `stop`, `restart`, `kill` as they come.
public final class ProgressStream {
    private let stream: EngineStream
    private var splitter = LineSplitter()
    private var sawEnd = false

    init(_ stream: EngineStream) { self.stream = stream }

    /// For `poll`.
    public var descriptor: Int32 { stream.descriptor }

    /// Reads once; `nil` is the end. A stream without `done` or `failed` was `cut`.
    public func receive() throws(EngineClientError) -> [ProgressEvent]? {
        guard let bytes = try stream.receive() else {
            let last = splitter.finish()
            if let last { return [try decode(last)] }
            guard sawEnd else { throw .cut }
            return nil
        }
        var events: [ProgressEvent] = []
        for line in try split(bytes, &splitter) { events.append(try decode(line)) }
        return events
    }

    private func decode(_ line: [UInt8]) throws(EngineClientError) -> ProgressEvent {
        let event = try decodeJSON(ProgressEvent.self, line, "a progress event")
        switch event {
        case .done, .failed: sawEnd = true
        case .object, .warning, .waiting, .locked, .failure: break
        }
        return event
    }
}

/// A container's output: its log, or an attached process.
public final class OutputStream {
    public let stream: EngineStream
    private var decoder: FrameDecoder

    init(_ stream: EngineStream, raw: Bool) {
        self.stream = stream
        decoder = FrameDecoder(raw: raw)
    }

    /// For `poll`.
    public var descriptor: Int32 { stream.descriptor }

    /// Reads once; `nil` is the end.
    public func receive() throws(EngineClientError) -> [StreamFrame]? {
        guard let bytes = try stream.receive() else {
            do { try decoder.finish() } catch { throw .cut }
            return nil
        }
        return try frames(bytes)
    }

    /// Waits until the engine has accepted; output that came along is returned.
    public func receiveHead() throws(EngineClientError) -> [StreamFrame] { try frames(stream.receiveHead()) }

    private func frames(_ bytes: [UInt8]) throws(EngineClientError) -> [StreamFrame] {
        do { return try decoder.feed(bytes[...]) } catch { throw .malformed(error) }
    }
}

/// Lines of JSON: events, messages of `load`.
public final class LineStream {
    private let stream: EngineStream
    private var splitter = LineSplitter()

    init(_ stream: EngineStream) { self.stream = stream }

    /// For `poll`.
    public var descriptor: Int32 { stream.descriptor }

    /// Reads once; `nil` is the end.
    public func receive() throws(EngineClientError) -> [[UInt8]]? {
        guard let bytes = try stream.receive() else { return splitter.finish().map { [$0] } }
        return try split(bytes, &splitter)
    }
}

private func split(_ bytes: [UInt8], _ splitter: inout LineSplitter) throws(EngineClientError) -> [[UInt8]] {
    do { return try splitter.feed(bytes) } catch { throw .malformed(error) }
}

/// Decodes one answer; `what` names it in the error.
func decodeJSON<Value: Decodable>(
    _ type: Value.Type, _ bytes: [UInt8], _ what: String
) throws(EngineClientError) -> Value {
    do {
        return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
        throw .unexpectedAnswer(what)
    }
}
