import CLinux
import Glibc
import Images
import LinuxSystem
import Registry

/// SHA-256 of a file's content, or of content and attributes where it has any of the latter: 32 bytes.
struct Fingerprint: Equatable, Sendable {
    var bytes: [UInt8]

    static let byteCount = 32
}

/// Reads files to hash them.
final class ContentHash {
    private static let bufferByteCount = 256 << 10
    /// Somebody may write to a file while it is read, but not for ever.
    private static let attemptsMax = 3
    private let source: CopySource
    private let index: DigestIndex?
    private let stop: Cancellation?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferByteCount, alignment: 64)

    init(_ source: CopySource, _ index: DigestIndex?, _ stop: Cancellation?) {
        self.source = source
        self.index = index
        self.stop = stop
    }

    deinit { buffer.deallocate() }

    /// - Parameter stamp: of the file when it was listed; of what was read in the end.
    func fingerprint(of entry: SelectedEntry, _ stamp: inout FileStamp) throws(BuildError) -> Fingerprint {
        if let known = index?.fingerprint(of: stamp) { return known }
        for _ in 1...Self.attemptsMax {
            let file = try source.openFile(entry)
            let before = try status(file, entry)
            let fingerprint = try hash(file, entry, attributes: try FileAttributes.read(file.raw, entry.path))
            let after = try status(file, entry)
            guard before == after else { continue }
            stamp = after
            index?.record(fingerprint, of: after)
            return fingerprint
        }
        throw source.changed(entry.path)
    }

    private func status(_ file: borrowing FileDescriptor, _ entry: SelectedEntry) throws(BuildError) -> FileStamp {
        let raw = file.raw
        var status = stat()
        try building { () throws(SystemError) in
            _ = try check("fstat", path: quoted(entry.path)) { fstat(raw, &status) }
        }
        return FileStamp(status)
    }

    private func hash(
        _ file: borrowing FileDescriptor, _ entry: SelectedEntry, attributes: [ExtendedAttribute]
    ) throws(BuildError) -> Fingerprint {
        let raw = file.raw
        let hasher = Hasher256()
        while true {
            let count = try building { () throws(SystemError) -> Int in
                try check("read", path: quoted(entry.path)) { read(raw, buffer.baseAddress, buffer.count) }
            }
            if count == 0 { break }
            if stop?.isCancelled == true { throw .cancelled }
            hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        let content = hasher.finishBytes()
        guard !attributes.isEmpty else { return Fingerprint(bytes: content) }
        var record = DigestRecord()
        record.add(content)
        record.add(attributes)
        return Fingerprint(bytes: record.finish())
    }
}

extension CopySource {
    /// A regular file of a walk, for reading. What has its name by now is not opened unless it is one, too.
    func openFile(_ entry: SelectedEntry) throws(BuildError) -> FileDescriptor {
        // A pipe in its place must not be waited for, a terminal not become ours.
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
        let raw = entry.name.withPointer { gantry_openat(entry.folder.raw, $0, flags, 0) }
        guard raw >= 0 else {
            let code = errno
            if [ENOENT, ELOOP, ENXIO, ENOTDIR].contains(code) { throw changed(entry.path) }
            throw BuildError(SystemError("open", path: "\(quoted(entry.path)) in \(name)", code: code))
        }
        let file = FileDescriptor(owning: raw)
        var status = stat()
        try building { () throws(SystemError) in _ = try check("fstat") { fstat(raw, &status) } }
        guard gantry_is_regular(status.st_mode) != 0 else { throw changed(entry.path) }
        return file
    }
}

/// Extended attributes that an image may have, sorted by name.
enum FileAttributes {
    /// `XATTR_LIST_MAX` and `XATTR_SIZE_MAX` (linux/limits.h).
    private static let byteCountMax = 64 << 10

    static func read(_ descriptor: Int32, _ path: [UInt8]) throws(BuildError) -> [ExtendedAttribute] {
        // Most have none, or are on a file system without, which the length alone says.
        guard flistxattr(descriptor, nil, 0) > 0 else { return [] }
        var list = [CChar](repeating: 0, count: byteCountMax)
        let count = flistxattr(descriptor, &list, list.count)
        guard count >= 0 else { throw BuildError(SystemError("flistxattr", path: quoted(path), code: errno)) }
        var found: [ExtendedAttribute] = []
        for name in list[..<count].map({ UInt8(bitPattern: $0) }).split(separator: 0) {
            guard ExtendedAttribute(name: Array(name), value: []) != nil else { continue }
            var value = [UInt8](repeating: 0, count: byteCountMax)
            let size = CPath(name).withPointer { fgetxattr(descriptor, $0, &value, value.count) }
            // ENODATA: it was taken away meanwhile.
            if size < 0, errno == ENODATA { continue }
            guard size >= 0 else { throw BuildError(SystemError("fgetxattr", path: quoted(path), code: errno)) }
            if let attribute = ExtendedAttribute(name: Array(name), value: Array(value[..<size])) {
                found.append(attribute)
            }
        }
        return found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }
}
