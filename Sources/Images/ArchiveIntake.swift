import CLibArchive
import CLinux
import Glibc
import LinuxSystem

/// The files of an image archive, taken in as they come and put aside under temporary names: entries may stand in any
/// order and the stream cannot be read twice.
final class ArchiveIntake {
    struct Member: Sendable {
        var path: String
        var digest: Digest
        var byteCount: Int64
        /// The first bytes.
        var magic: [UInt8]
        var number: Int
        /// It looked like a layer, and is being unpacked or was.
        var isSubmitted = false

        /// How it is packed, whatever its media type says.
        var compression: Compression {
            get throws(ImageError) { try Compression(magic: magic) }
        }
    }

    private let folder: String
    private let limits: ImageLimits
    private let workers: LayerWorkers?
    private let isKnownLayer: (Digest) -> Bool
    private var members: [String: Member] = [:]
    private var links: [String: String] = [:]

    /// `folder` must exist; the caller removes it in the end. What looks like a layer goes to `workers` at once, unless
    /// its name says that it is a known one: `isKnownLayer` is asked with a blob's digest or a diff id.
    init(
        folder: String, limits: ImageLimits, workers: LayerWorkers? = nil,
        isKnownLayer: @escaping (Digest) -> Bool = { _ in false }
    ) {
        self.folder = folder
        self.limits = limits
        self.workers = workers
        self.isKnownLayer = isKnownLayer
    }

    func read(_ source: any ByteSource) throws(ImageError) {
        let bounded = MeasuringSource(
            try decoded(withoutOtherPacking(source)), hashing: false, byteCountMax: limits.archiveByteCountMax,
            what: "the archive")
        let reader = try TarReader(bounded)
        var entryCount = 0
        while let entry = try reader.next() {
            entryCount += 1
            guard entryCount <= limits.archiveEntryCountMax else {
                throw .archive(why: "more than \(limits.archiveEntryCountMax) entries")
            }
            try take(entry, reader, number: entryCount)
        }
        guard entryCount > 0 else { throw .archive(why: "it is empty, or no tar file") }
        // Who sends the archive is still writing the padding at its end.
        _ = try bounded.finish()
    }

    private func take(_ entry: OpaquePointer, _ reader: TarReader, number: Int) throws(ImageError) {
        let path = try EntryPath(cleaning: entryBytes(archive_entry_pathname(entry)))
        let name = String(decoding: path.bytes, as: UTF8.self)
        if archive_entry_hardlink(entry) != nil {
            let target = try EntryPath(cleaning: entryBytes(archive_entry_hardlink(entry)))
            setLink(name, to: target)
        } else if archive_entry_filetype(entry) == S_IFLNK {
            // Docker's archives link equal layers; the target counts from the link's folder.
            let target = entryBytes(archive_entry_symlink(entry))
            setLink(name, to: try EntryPath(cleaning: path.parent + [UInt8(ascii: "/")] + target))
        } else if archive_entry_filetype(entry) == S_IFREG {
            links[name] = nil
            let file = try GrowingFile(path: "\(folder)/member-\(number)")
            // Whoever follows a file that will not be whole must not wait for more.
            defer { file.end(.abandoned) }
            members[name] = try putAside(reader, file, name: name, number: number)
        }
    }

    /// The last of several entries of a name wins.
    private func setLink(_ name: String, to target: EntryPath) {
        members[name] = nil
        links[name] = String(decoding: target.bytes, as: UTF8.self)
    }

    private func putAside(
        _ reader: TarReader, _ file: GrowingFile, name: String, number: Int
    ) throws(ImageError) -> Member {
        let hasher = Hasher256()
        var member = Member(
            path: file.path, digest: Digest.sha256(of: []), byteCount: 0, magic: [], number: number)
        var head: [UInt8] = []
        var isSubmitted = isKnownName(name)
        while let block = try reader.block() {
            guard block.offset == member.byteCount else {
                throw .archive(why: "a sparse file where an image's part should be")
            }
            member.byteCount += Int64(block.bytes.count)
            head += block.bytes.prefix(LayerHead.byteCount - head.count)
            try file.append(block.bytes)
            if !isSubmitted, head.count == LayerHead.byteCount {
                isSubmitted = true
                if LayerHead.isLayer(head), let workers { member.isSubmitted = workers.submit(number, file) }
            }
            hasher.update(block.bytes)
        }
        member.magic = Array(head.prefix(Compression.magicByteCount))
        member.digest = hasher.finish()
        file.end(.complete)
        return member
    }

    /// Archives name layers by digest: `blobs/sha256/<hex>`, `<hex>.tar`, `<hex>/layer.tar`.
    private func isKnownName(_ name: String) -> Bool {
        name.split(whereSeparator: { $0 == "/" || $0 == "." }).contains { part in
            Digest(hex: String(part)).map(isKnownLayer) ?? false
        }
    }

    /// The file of this name, through links.
    func member(_ name: String) throws(ImageError) -> Member? {
        var name = try EntryPath(cleaning: Array(name.utf8)).bytes
        for _ in 0...limits.depthMax {
            let text = String(decoding: name, as: UTF8.self)
            if let member = members[text] { return member }
            guard let target = links[text] else { return nil }
            name = Array(target.utf8)
        }
        throw .archive(why: "\(quoted(name)) is a loop of links")
    }

    func requiredMember(_ name: String, what: String) throws(ImageError) -> Member {
        guard let member = try member(name) else {
            throw .archive(why: "\(what) \(quoted(Array(name.utf8))) is missing")
        }
        return member
    }

    func document(_ name: String) throws(ImageError) -> [UInt8]? {
        guard let member = try member(name) else { return nil }
        return try document(member, what: name)
    }

    func document(_ member: Member, what: String) throws(ImageError) -> [UInt8] {
        guard member.byteCount <= Int64(limits.documentByteCountMax) else {
            throw .archive(why: "\(what) is larger than \(limits.documentByteCountMax) bytes")
        }
        let byteCountMax = limits.documentByteCountMax
        return try converting { () throws(SystemError) in
            try FileSystem.readFile(member.path, byteCountMax: byteCountMax)
        }
    }

    /// A blob of an OCI layout: by its path, and then its digest must be the one that the path says.
    func blob(_ descriptor: Descriptor, what: String) throws(ImageError) -> Member {
        guard let member = try member("blobs/sha256/\(descriptor.digest.hex)") else {
            throw .archive(why: "\(what) \(descriptor.digest) is missing")
        }
        guard member.digest == descriptor.digest else {
            throw .digestMismatch(expected: descriptor.digest, actual: member.digest, what: what)
        }
        guard member.byteCount == descriptor.size else {
            throw .archive(why: "\(what) \(descriptor.digest) has \(member.byteCount) bytes, not \(descriptor.size)")
        }
        return member
    }
}

/// The beginning of a member, and whether it may be that of a layer.
enum LayerHead {
    /// One block of a tar.
    static let byteCount = 512

    static func isLayer(_ head: [UInt8]) -> Bool {
        guard head.count == byteCount else { return false }
        // `ustar` stands at 257 in all but the oldest tars (POSIX pax, "ustar Interchange Format").
        if head[257..<262].elementsEqual("ustar".utf8) { return true }
        do {
            return try Compression(magic: Array(head.prefix(Compression.magicByteCount))) != .none
        } catch {
            // An unsupported compression is told when it turns out to be a layer.
            return false
        }
    }
}
