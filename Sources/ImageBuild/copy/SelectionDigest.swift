import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem
import Registry

/// Values one after the other, each with its length: no two lists of values give the same bytes.
struct DigestRecord {
    private let hasher = Hasher256()
    private var bytes: [UInt8] = []
    private static let pieceByteCount = 64 << 10

    mutating func add(_ value: some Collection<UInt8>) {
        add(UInt64(value.count))
        bytes.append(contentsOf: value)
        if bytes.count >= Self.pieceByteCount { flush() }
    }

    mutating func add(_ number: UInt64) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func add(_ attributes: [ExtendedAttribute]) {
        add(UInt64(attributes.count))
        for attribute in attributes {
            add(attribute.name)
            add(attribute.value)
        }
    }

    private mutating func flush() {
        bytes.withUnsafeBytes { hasher.update($0) }
        bytes.removeAll(keepingCapacity: true)
    }

    /// The 32 bytes of a SHA-256. Call once.
    mutating func finish() -> [UInt8] {
        flush()
        return hasher.finishBytes()
    }
}

extension CopySelection {
    /// What says whether two selections bring the same: paths as they are named at the destination, kinds, permissions
    /// and owners as they will be, content, attributes, targets of links and numbers of devices. Not times, not which
    /// files are hard links, and not what the Dockerfile says: that is the caller's to add.
    public func digest(_ index: DigestIndex?, stop: Cancellation? = nil) throws(BuildError) -> Digest {
        let content = ContentHash(source, index, stop)
        var record = DigestRecord()
        var stamps: [FileStamp] = []
        record.add("gantry copy 1".utf8)
        for item in items {
            record.add(item.isFolder ? 1 : 0)
            let walk = try SelectionWalk(item, of: source, excludes: excludes)
            while let step = try walk.next() {
                if stop?.isCancelled == true { throw .cancelled }
                guard case .entry(let entry) = step else { continue }
                try add(entry, content, to: &record, &stamps)
                guard stamps.count <= Self.entryCountMax else {
                    throw .limit("more than \(Self.entryCountMax) files are to be copied from \(source.name)")
                }
            }
            // No kind of entry: the next source begins.
            record.add(UInt64.max)
        }
        for file in inline {
            record.add(2)
            record.add(file.name)
            record.add(file.bytes)
            record.add(UInt64(job.mode?.applied(to: Self.inlineMode, isFolder: false) ?? Self.inlineMode))
            record.add(UInt64(job.owner?.uid ?? 0) << 32 | UInt64(job.owner?.gid ?? 0))
        }
        witness.set(stamps)
        return Digest(bytes: record.finish())
    }

    static let inlineMode: UInt32 = 0o644

    private func add(
        _ entry: SelectedEntry, _ content: ContentHash, to record: inout DigestRecord, _ stamps: inout [FileStamp]
    ) throws(BuildError) {
        var stamp = FileStamp(entry.status)
        let owner = owner(of: entry.status)
        let isLink = gantry_is_symlink(entry.status.st_mode) != 0
        let fingerprint =
            gantry_is_regular(entry.status.st_mode) != 0 ? try content.fingerprint(of: entry, &stamp).bytes : []
        record.add(UInt64(isLink ? entry.type : entry.type | permissions(of: entry.status)))
        record.add(UInt64(owner.uid) << 32 | UInt64(owner.gid))
        record.add(entry.path)
        switch entry.type {
        case S_IFREG: record.add(fingerprint)
        case S_IFLNK: record.add(try source.linkTarget(entry))
        case S_IFCHR, S_IFBLK: record.add(UInt64(entry.status.st_rdev))
        case S_IFDIR:
            record.add(entry.isImplied ? 1 : 0)
            if let folder = entry.opened { record.add(try FileAttributes.read(folder.raw, entry.path)) }
        default: break
        }
        stamps.append(stamp)
    }
}

extension CopySource {
    func linkTarget(_ entry: SelectedEntry) throws(BuildError) -> [UInt8] {
        var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = target.withUnsafeMutableBytes { bytes in
            entry.name.withPointer { link in
                bytes.baseAddress.map { readlinkat(entry.folder.raw, link, $0, bytes.count) } ?? -1
            }
        }
        let code = errno
        guard count >= 0 else {
            // EINVAL: it is no link any more.
            if code == ENOENT || code == EINVAL { throw changed(entry.path) }
            throw BuildError(SystemError("readlinkat", path: quoted(entry.path), code: code))
        }
        return Array(target[..<count])
    }
}
