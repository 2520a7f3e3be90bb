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

        /// How it is packed, whatever its media type says.
        var compression: Compression {
            get throws(ImageError) { try Compression(magic: magic) }
        }
    }

    private let folder: String
    private let limits: ImageLimits
    private var members: [String: Member] = [:]
    private var links: [String: String] = [:]

    /// `folder` must exist; the caller removes it in the end.
    init(folder: String, limits: ImageLimits) {
        self.folder = folder
        self.limits = limits
    }

    func read(_ source: any ByteSource) throws(ImageError) {
        let bounded = MeasuringSource(
            try DecompressedSource.opening(source), hashing: false, byteCountMax: limits.archiveByteCountMax,
            what: "the archive")
        let reader = try TarReader(bounded, format: .tar)
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
            members[name] = try putAside(reader, "\(folder)/member-\(number)")
        }
    }

    /// The last of several entries of a name wins.
    private func setLink(_ name: String, to target: EntryPath) {
        members[name] = nil
        links[name] = String(decoding: target.bytes, as: UTF8.self)
    }

    private func putAside(_ reader: TarReader, _ path: String) throws(ImageError) -> Member {
        let file = try converting { () throws(SystemError) -> FileDescriptor in
            try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        }
        let raw = file.raw
        let hasher = Hasher256()
        var member = Member(path: path, digest: Digest.sha256(of: []), byteCount: 0, magic: [])
        while let block = try reader.block() {
            guard block.offset == member.byteCount else {
                throw .archive(why: "a sparse file where an image's part should be")
            }
            member.byteCount += Int64(block.bytes.count)
            member.magic += block.bytes.prefix(Compression.magicByteCount - member.magic.count)
            hasher.update(block.bytes)
            try converting { () throws(SystemError) in
                var done = 0
                while done < block.bytes.count {
                    done += try check("write", path: path) {
                        write(raw, block.bytes.baseAddress.map { $0 + done }, block.bytes.count - done)
                    }
                }
            }
        }
        member.digest = hasher.finish()
        return member
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
