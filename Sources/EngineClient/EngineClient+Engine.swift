import CLinux
import EngineWire
import FoundationEssentials
import Glibc
import LinuxSystem

/// What `POST /images/load` says, line by line.
public enum LoadMessage: Equatable, Sendable {
    case text(String)
    case failed(String)
}

extension EngineClient {
    /// `POST /engine/stop`: the engine ends, containers run on.
    public func stopEngine() throws(EngineClientError) { try send(HTTPRequest("POST", ["engine", "stop"])) }

    /// `GET /_ping`.
    public func ping() throws(EngineClientError) { try send(HTTPRequest("GET", ["_ping"])) }

    /// `GET /version`.
    public func version() throws(EngineClientError) -> VersionReply {
        try reply(VersionReply.self, HTTPRequest("GET", ["version"]), "the version")
    }

    /// `GET /images/json`.
    public func images() throws(EngineClientError) -> [ImageSummary] {
        try reply([ImageSummary].self, HTTPRequest("GET", ["images", "json"]), "the list of images")
    }

    /// `GET /images/{name}/json`; refused with 404 when the engine has no such image.
    public func image(_ name: String) throws(EngineClientError) -> ImageInspect {
        try reply(ImageInspect.self, HTTPRequest("GET", ["images", name, "json"]), "the image")
    }

    /// `GET /events` about the containers of one stack; each line is one event as JSON.
    public func containerEvents(stack: String) throws(EngineClientError) -> LineStream {
        let label = try jsonText("com.docker.compose.project=\(stack)")
        let filters = #"{"type":["container"],"label":[\#(label)]}"#
        return LineStream(try open(HTTPRequest("GET", ["events"], query: [(name: "filters", value: filters)])))
    }

    /// `POST /images/load`: sends the archive in `archive` to its end, then hands every message to `report`.
    /// `length`: bytes when known, as of a regular file.
    public func loadImages(
        from archive: borrowing FileDescriptor, length: UInt64?, report: (LoadMessage) -> Void
    ) throws(EngineClientError) {
        let request = HTTPRequest("POST", ["images", "load"], body: .tar(length: length))
        try send(request, archive, length: length, report)
    }

    /// Sends a request with an archive for its body, then hands every line of the answer to `report`.
    func send(
        _ request: HTTPRequest, _ archive: borrowing FileDescriptor, length: UInt64?, _ report: (LoadMessage) -> Void
    ) throws(EngineClientError) {
        let stream = try open(request)
        do throws(EngineClientError) {
            try sendArchive(archive, length: length, to: stream)
        } catch .system(let error) where error.call == "send" && (error.code == EPIPE || error.code == ECONNRESET) {
            // The engine has refused without reading on: its answer, read below, says why.
        }
        let lines = LineStream(stream)
        while let batch = try lines.receive() {
            for line in batch { report(try Self.loadMessage(line)) }
        }
    }

    private func sendArchive(
        _ archive: borrowing FileDescriptor, length: UInt64?, to stream: EngineStream
    ) throws(EngineClientError) {
        let pieceByteCount = 256 << 10
        var remaining = length
        while remaining != 0 {
            let wanted = remaining.map { Int(min($0, UInt64(pieceByteCount))) } ?? pieceByteCount
            let piece: [UInt8]
            do { piece = try archive.read(upTo: wanted) } catch { throw .system(error) }
            if piece.isEmpty {
                // A file that shrank under our hands: the engine must not take half an archive for a whole one.
                if let remaining, remaining > 0 { throw .system(SystemError("read", code: EIO)) }
                break
            }
            if let known = remaining {
                try stream.send(piece)
                remaining = known - UInt64(piece.count)
            } else {
                try stream.send(Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [0x0d, 0x0a])
            }
        }
        if length == nil { try stream.send(Array("0\r\n\r\n".utf8)) }
    }

    static func loadMessage(_ line: [UInt8]) throws(EngineClientError) -> LoadMessage {
        struct Line: Decodable {
            var stream: String?
            var status: String?
            var error: String?
        }
        let message = try decodeJSON(Line.self, line, "a message of load")
        if let error = message.error { return .failed(error) }
        return .text(message.stream ?? message.status ?? "")
    }

    private func jsonText(_ text: String) throws(EngineClientError) -> String {
        do {
            return String(decoding: try JSONEncoder().encode(text), as: UTF8.self)
        } catch {
            throw .unexpectedAnswer("this request as JSON")
        }
    }
}
