import BuildKitProtocol
import Images

/// Files of a client's folder, by the stream `DiffCopy` of its session.
struct SessionFiles: Sendable {
    static let path = "/moby.filesync.v1.FileSync/DiffCopy"
    /// Of what is read into memory.
    private static let textByteCountMax: Int64 = 16 << 20
    private static let fileCountMax = 2_000_000

    let session: BuildSession
    /// What the client calls it: `context`, `dockerfile`.
    let folder: String

    /// Small files, by their paths; those that are not there are left out.
    func texts(_ paths: [String]) async throws -> [String: [UInt8]] {
        let metadata = metadata(including: paths, excluding: [])
        return try await session.call(Self.path, metadata: metadata) { call in
            var transfer = SyncTransfer(files: try await Self.list(&call))
            var texts: [String: [UInt8]] = [:]
            for (index, file) in transfer.files.enumerated() where paths.contains(file.path) && file.hasContent {
                guard file.byteCount <= Self.textByteCountMax else {
                    throw GRPCStatus(.invalidArgument, "\(file.path) is too long")
                }
                var text: [UInt8] = []
                while let piece = try await transfer.next(of: index, &call) { text += piece }
                texts[file.path] = text
            }
            try await Self.end(&call)
            return texts
        }
    }

    /// All files but those that `patterns` name, as a tar.
    ///
    /// - Parameter sink: false when nobody wants more.
    func archive(excluding patterns: [String], _ sink: @Sendable ([UInt8]) async throws -> Bool) async throws {
        let metadata = metadata(including: [], excluding: patterns)
        try await session.call(Self.path, metadata: metadata) { call in
            var transfer = SyncTransfer(files: try await Self.list(&call))
            let tar = TarPieces()
            for (index, file) in transfer.files.enumerated() {
                guard let entry = file.tarEntry else { continue }
                guard try await sink(try tar.begin(entry)) else { return }
                guard file.hasContent else { continue }
                while let piece = try await transfer.next(of: index, &call) {
                    guard try await sink(piece) else { return }
                }
                guard try await sink(try tar.end(byteCount: file.byteCount)) else { return }
            }
            try await Self.end(&call)
            _ = try await sink(try tar.finish())
        }
    }

    private func metadata(including: [String], excluding: [String]) -> [(String, String)] {
        Self.headers("dir-name", [folder]) + Self.headers("include-patterns", including)
            + Self.headers("exclude-patterns", excluding)
    }

    /// What is not ASCII is percent-encoded, and said to be.
    private static func headers(_ name: String, _ values: [String]) -> [(String, String)] {
        guard values.contains(where: { !$0.utf8.allSatisfy { (0x20...0x7E).contains($0) } }) else {
            return values.map { (name, $0) }
        }
        return values.map { (name, escaped($0)) } + [("\(name)-encoded", "1")]
    }

    /// As Go's url.QueryEscape; a space may be `%20` as well.
    private static func escaped(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF".unicodeScalars)
        var result = String.UnicodeScalarView()
        for byte in text.utf8 {
            let scalar = Unicode.Scalar(byte)
            if scalar.isASCII, scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
                result.append(scalar)
            } else {
                result.append(contentsOf: ["%", hex[Int(byte >> 4)], hex[Int(byte & 15)]])
            }
        }
        return String(result)
    }

    private static func list(_ call: inout GRPCCall) async throws -> [SyncedFile] {
        var files: [SyncedFile] = []
        while true {
            guard case .file(let file) = try await packet(&call) else {
                throw GRPCStatus(.invalidArgument, "content that was not asked for")
            }
            guard let file else { return files }
            files.append(file)
            guard files.count <= fileCountMax else {
                throw GRPCStatus(.invalidArgument, "more than \(fileCountMax) files")
            }
        }
    }

    fileprivate static func packet(_ call: inout GRPCCall) async throws -> SyncPacket {
        guard let message = try await call.next() else {
            try await call.check()
            throw GRPCStatus(.unavailable, "the client's session has ended")
        }
        let packet = try SyncPacket(message)
        if case .error(let text) = packet { throw GRPCStatus(.unknown, text) }
        return packet
    }

    private static func end(_ call: inout GRPCCall) async throws {
        try await call.send(SyncPacket.finish)
        // The client closes the stream as soon as it has answered: there is nothing to end.
        while true {
            if case .end = try await packet(&call) { return }
        }
    }
}

/// Content that is asked for ahead of its turn, so that small files need not wait for each other.
private struct SyncTransfer {
    private static let aheadCountMax = 64
    private static let aheadByteCountMax: Int64 = 8 << 20

    private struct Arriving {
        var pieces: [[UInt8]] = []
        var byteCount: Int64 = 0
        var taken: Int64 = 0
        var hasEnded = false
    }

    let files: [SyncedFile]
    private var arriving: [Int: Arriving] = [:]
    private var asked = 0
    private var aheadByteCount: Int64 = 0

    init(files: [SyncedFile]) { self.files = files }

    /// The next piece of a file, in all exactly its length, whatever has become of it since it was listed; `nil` after
    /// the last.
    mutating func next(of index: Int, _ call: inout GRPCCall) async throws -> [UInt8]? {
        try await ask(from: index, &call)
        while let file = arriving[index] {
            if !file.pieces.isEmpty {
                let piece = arriving[index]?.pieces.removeFirst() ?? []
                arriving[index]?.taken += Int64(piece.count)
                return piece
            }
            if file.hasEnded {
                let missing = files[index].byteCount - file.taken
                guard missing > 0 else { break }
                // It has become shorter: zeros, as GNU tar does.
                let zeros = [UInt8](repeating: 0, count: Int(min(missing, 1 << 20)))
                arriving[index]?.taken += Int64(zeros.count)
                return zeros
            }
            try await receive(&call)
        }
        arriving[index] = nil
        aheadByteCount -= files[index].byteCount
        return nil
    }

    private mutating func ask(from index: Int, _ call: inout GRPCCall) async throws {
        // What was passed over is not wanted.
        asked = max(asked, index)
        while asked < files.count,
            asked == index || (asked - index < Self.aheadCountMax && aheadByteCount < Self.aheadByteCountMax)
        {
            if files[asked].hasContent, arriving[asked] == nil {
                arriving[asked] = Arriving()
                aheadByteCount += files[asked].byteCount
                try await call.send(SyncPacket.request(UInt32(asked)))
            }
            asked += 1
        }
    }

    private mutating func receive(_ call: inout GRPCCall) async throws {
        guard case .data(let id, let bytes) = try await SessionFiles.packet(&call) else {
            throw GRPCStatus(.invalidArgument, "not the content that was asked for")
        }
        let index = Int(id)
        guard var file = arriving[index], !file.hasEnded else {
            throw GRPCStatus(.invalidArgument, "content that was not asked for")
        }
        if bytes.isEmpty {
            file.hasEnded = true
        } else {
            // It has become longer: cut.
            let rest = max(0, files[index].byteCount - file.byteCount)
            let piece = Array(bytes.prefix(Int(clamping: rest)))
            file.byteCount += Int64(piece.count)
            if !piece.isEmpty { file.pieces.append(piece) }
        }
        arriving[index] = file
    }
}

extension SyncedFile {
    /// It can be asked for.
    fileprivate var hasContent: Bool { mode.isRegular && linkName.isEmpty && byteCount >= 0 }

    /// `nil` for what no context has: sockets and devices.
    fileprivate var tarEntry: TarPieces.Entry? {
        let kind: TarPieces.Entry.Kind
        if mode.isDirectory {
            kind = .directory
        } else if mode.isLink {
            kind = .symbolicLink(to: linkName)
        } else if mode.isPipe {
            kind = .fifo
        } else if mode.isRegular, byteCount >= 0 {
            kind = linkName.isEmpty ? .file : .hardLink(to: linkName)
        } else {
            return nil
        }
        var entry = TarPieces.Entry(path: path, kind: kind, mode: mode.permissions)
        (entry.userID, entry.groupID) = (userID, groupID)
        (entry.byteCount, entry.modifiedAt) = (byteCount, modifiedAt)
        entry.attributes = attributes
        return entry
    }
}
