import CLinux
import EngineWire
import FoundationEssentials
import Glibc
import LinuxSystem

/// What a commit is told beside the container and the image's name.
public struct CommitRequest: Sendable {
    public var repository: String?
    public var tag: String?
    public var author: String?
    public var comment: String?
    public var changes: [String] = []
    public var pause = true

    public init() {}
}

extension EngineClient {
    /// `HEAD /containers/{id}/archive`; nil when there is nothing at the path, or no such container, or no way there:
    /// an answer without a body cannot say which, the request that follows can.
    public func pathStat(_ id: String, path: String) throws(EngineClientError) -> ContainerPathStat? {
        let stream = try open(HTTPRequest("HEAD", ["containers", id, "archive"], query: [("path", path)]))
        do throws(EngineClientError) {
            _ = try stream.receiveHead()
        } catch .refused(status: 400..<500, _) {
            return nil
        } catch {
            throw error
        }
        return try Self.pathStat(stream.head)
    }

    /// `GET /containers/{id}/archive`: what is there, and the stream of its tar.
    public func archive(_ id: String, path: String) throws(EngineClientError) -> (ContainerPathStat, ArchiveStream) {
        let stream = try open(HTTPRequest("GET", ["containers", id, "archive"], query: [("path", path)]))
        let first = try stream.receiveHead()
        return (try Self.pathStat(stream.head), ArchiveStream(stream, first: first))
    }

    /// `GET /containers/{id}/export`.
    public func export(_ id: String) throws(EngineClientError) -> ArchiveStream {
        let stream = try open(HTTPRequest("GET", ["containers", id, "export"]))
        let first = try stream.receiveHead()
        return ArchiveStream(stream, first: first)
    }

    /// `PUT /containers/{id}/archive`: sends what `produce` hands to its argument, which answers whether the engine
    /// still reads.
    ///
    /// - Parameter whiteoutsRemove: character devices 0:0 of the archive remove what has their name.
    public func extract(
        _ id: String, path: String, keepsKinds: Bool, ownedByUser: Bool, whiteoutsRemove: Bool = false,
        produce: (_ send: (UnsafeRawBufferPointer) throws(EngineClientError) -> Bool) throws -> Void
    ) throws {
        var query = [(name: "path", value: path)]
        if keepsKinds { query.append((name: "noOverwriteDirNonDir", value: "true")) }
        if ownedByUser { query.append((name: "copyUIDGID", value: "true")) }
        if whiteoutsRemove { query.append((name: "whiteoutsRemove", value: "true")) }
        let stream = try open(
            HTTPRequest("PUT", ["containers", id, "archive"], query: query, body: .tar(length: nil)))
        try Self.sendChunks(over: stream, produce: produce)
        _ = try stream.readAll(byteCountMax: Self.replyByteCountMax)
    }

    /// A body of unknown length: `first`, and what `produce` hands to its argument, which answers whether the engine
    /// still reads.
    static func sendChunks(
        over stream: EngineStream, first: [UInt8] = [],
        produce: (_ send: (UnsafeRawBufferPointer) throws(EngineClientError) -> Bool) throws -> Void
    ) throws {
        var isRead = true
        func sendUnlessRefused(_ bytes: [UInt8]) throws(EngineClientError) {
            do throws(EngineClientError) {
                try stream.send(bytes)
            } catch .system(let error) where error.code == EPIPE || error.code == ECONNRESET {
                // The engine has refused without reading on: its answer says why.
                isRead = false
            }
        }
        if !first.isEmpty {
            try sendUnlessRefused(Array("\(String(first.count, radix: 16))\r\n".utf8) + first + [0x0d, 0x0a])
        }
        try produce { (bytes: UnsafeRawBufferPointer) throws(EngineClientError) in
            guard isRead, !bytes.isEmpty else { return isRead }
            try sendUnlessRefused(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + [0x0d, 0x0a])
            return isRead
        }
        if isRead { try sendUnlessRefused(Array("0\r\n\r\n".utf8)) }
    }

    /// `GET /containers/{id}/changes`.
    public func changes(_ id: String) throws(EngineClientError) -> [ChangeReply] {
        try reply([ChangeReply].self, HTTPRequest("GET", ["containers", id, "changes"]), "the changes")
    }

    /// `POST /commit`; the answer is the image's id.
    public func commit(_ id: String, _ commit: CommitRequest) throws(EngineClientError) -> String {
        var query = [(name: "container", value: id), (name: "pause", value: commit.pause ? "1" : "0")]
        for (name, value) in [
            ("repo", commit.repository), ("tag", commit.tag), ("author", commit.author), ("comment", commit.comment),
        ] {
            if let value { query.append((name: name, value: value)) }
        }
        query += commit.changes.map { (name: "changes", value: $0) }
        return try reply(IdReply.self, HTTPRequest("POST", ["commit"], query: query), "the new image").Id
    }

    static func pathStat(_ head: ResponseHead?) throws(EngineClientError) -> ContainerPathStat {
        guard let text = head?.values(lowercased(ContainerPathStat.header)).first, let data = Data(base64Encoded: text)
        else { throw .unexpectedAnswer("what is at the path") }
        return try decodeJSON(ContainerPathStat.self, Array(data), "what is at the path")
    }
}

/// A tar as it comes in.
public final class ArchiveStream {
    private let stream: EngineStream
    private var first: [UInt8]

    init(_ stream: EngineStream, first: [UInt8]) {
        self.stream = stream
        self.first = first
    }

    /// The next piece, never empty; nil at the end. Throws `cut` when the engine could not finish it.
    public func next() throws(EngineClientError) -> [UInt8]? {
        if !first.isEmpty {
            defer { first = [] }
            return first
        }
        while let bytes = try stream.receive() {
            if !bytes.isEmpty { return bytes }
        }
        return nil
    }
}
