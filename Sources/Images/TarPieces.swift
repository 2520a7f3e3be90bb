import CLibArchive
import CLinux
import Glibc

/// A tar stream of entries that come from elsewhere, for whoever sends its pieces on.
public final class TarPieces {
    public struct Entry: Sendable {
        public enum Kind: Sendable {
            case file
            case directory
            case hardLink(to: String)
            case symbolicLink(to: String)
            case fifo
        }

        public var path: String
        public var kind: Kind
        /// Permission bits with setuid, setgid and sticky.
        public var mode: UInt32
        public var userID: UInt32 = 0
        public var groupID: UInt32 = 0
        /// Of a file.
        public var byteCount: Int64 = 0
        /// Nanoseconds since 1970.
        public var modifiedAt: Int64 = 0
        public var attributes: [String: [UInt8]] = [:]

        public init(path: String, kind: Kind, mode: UInt32) {
            (self.path, self.kind, self.mode) = (path, kind, mode)
        }
    }

    private final class Collected {
        var bytes: [UInt8] = []
    }

    private let collected = Collected()
    private let writer: TarWriter

    public init() {
        let collected = collected
        writer = TarWriter { bytes throws(ImageError) in collected.bytes += bytes }
    }

    /// What precedes an entry's content, of which exactly `byteCount` bytes are to follow.
    public func begin(_ entry: Entry) throws(ImageError) -> [UInt8] {
        var header = TarHeader(path: Array(entry.path.utf8), mode: entry.mode, uid: entry.userID, gid: entry.groupID)
        switch entry.kind {
        case .file: header.byteCount = entry.byteCount
        case .hardLink(let target): (header.type, header.target) = (UInt8(ascii: "1"), Array(target.utf8))
        case .symbolicLink(let target): (header.type, header.target) = (UInt8(ascii: "2"), Array(target.utf8))
        case .directory: header.type = UInt8(ascii: "5")
        case .fifo: header.type = UInt8(ascii: "6")
        }
        let second: Int64 = 1_000_000_000
        header.modified = timespec(
            tv_sec: Int(entry.modifiedAt / second), tv_nsec: Int(max(0, entry.modifiedAt % second)))
        header.attributes = entry.attributes.sorted { $0.key < $1.key }.map { (Array($0.key.utf8), $0.value) }
        try writer.header(header)
        return try take()
    }

    /// What follows the content of a file of `byteCount` bytes.
    public func end(byteCount: Int64) throws(ImageError) -> [UInt8] {
        try writer.pad(byteCount)
        return try take()
    }

    /// The end of the archive.
    public func finish() throws(ImageError) -> [UInt8] {
        try writer.finish()
        return try take()
    }

    private func take() throws(ImageError) -> [UInt8] {
        try writer.flush()
        defer { collected.bytes = [] }
        return collected.bytes
    }
}
