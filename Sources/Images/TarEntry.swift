import CLibArchive
import CLinux
import Glibc

/// What a tar entry makes.
enum EntryKind: Equatable {
    case file, directory, symlink(target: [UInt8]), hardlink(target: [UInt8])
    case characterDevice, blockDevice, fifo
}

/// One entry's header. Everything in it is as hostile as its author.
struct TarEntry {
    var path: EntryPath
    var kind: EntryKind
    /// Permission bits with setuid, setgid and sticky.
    var mode: mode_t
    var uid: uid_t
    var gid: gid_t
    /// Access and modification time, as `utimensat(2)` takes them.
    var times: [timespec]
    var device: dev_t
    /// Apparent size: of a sparse file, holes included.
    var byteCount: Int64
    /// Extended attributes, without those an image may not bring.
    var attributes: [ExtendedAttribute]

    /// - Parameter takesWhiteouts: a character device 0:0 is no error: whoever asks for it makes none of it.
    init(_ entry: OpaquePointer, takesWhiteouts: Bool = false) throws(ImageError) {
        path = try EntryPath(cleaning: entryBytes(archive_entry_pathname(entry)))
        kind = try TarEntry.kind(of: entry, path)
        mode = archive_entry_perm(entry) & 0o7777
        (uid, gid) = try TarEntry.owner(of: entry, path)
        let modified = TarEntry.time(seconds: archive_entry_mtime(entry), archive_entry_mtime_nsec(entry))
        times = [modified, modified]
        byteCount = archive_entry_size(entry)
        device = try TarEntry.device(of: entry, path, kind, takesWhiteouts)
        attributes = []
        readAttributes(entry)
        guard byteCount >= 0 else { throw .archive(why: "entry \(quoted(path.bytes)): negative size") }
    }

    /// Outside what 64 bits of nanoseconds since 1970 hold it is 1970, as with Docker and Podman; libarchive besides
    /// reads fractions before 1970 wrongly.
    private static func time(seconds: Int, _ nanoseconds: Int) -> timespec {
        guard (0..<(Int.max / 1_000_000_000)).contains(seconds), (0..<1_000_000_000).contains(nanoseconds) else {
            return timespec(tv_sec: 0, tv_nsec: 0)
        }
        return timespec(tv_sec: seconds, tv_nsec: nanoseconds)
    }

    private static func kind(of entry: OpaquePointer, _ path: EntryPath) throws(ImageError) -> EntryKind {
        if archive_entry_hardlink(entry) != nil {
            return .hardlink(target: entryBytes(archive_entry_hardlink(entry)))
        }
        switch archive_entry_filetype(entry) {
        case S_IFREG: return .file
        case S_IFDIR: return .directory
        case S_IFCHR: return .characterDevice
        case S_IFBLK: return .blockDevice
        case S_IFIFO: return .fifo
        case S_IFLNK:
            let target = entryBytes(archive_entry_symlink(entry))
            guard !target.isEmpty else { throw .archive(why: "link \(quoted(path.bytes)) without a target") }
            return .symlink(target: target)
        default: throw .archive(why: "entry \(quoted(path.bytes)) is of an unknown kind")
        }
    }

    private static func owner(
        of entry: OpaquePointer, _ path: EntryPath
    ) throws(ImageError) -> (uid: uid_t, gid: gid_t) {
        // The highest number means "unchanged" to chown(2).
        guard let uid = uid_t(exactly: archive_entry_uid(entry)), let gid = gid_t(exactly: archive_entry_gid(entry)),
            uid < uid_t.max, gid < gid_t.max
        else { throw .archive(why: "entry \(quoted(path.bytes)) has an impossible owner") }
        return (uid, gid)
    }

    private static func device(
        of entry: OpaquePointer, _ path: EntryPath, _ kind: EntryKind, _ takesWhiteouts: Bool
    ) throws(ImageError) -> dev_t {
        guard kind == .characterDevice || kind == .blockDevice else { return 0 }
        // The kernel's device numbers have 12 and 20 bits (include/linux/kdev_t.h).
        let major = archive_entry_rdevmajor(entry)
        let minor = archive_entry_rdevminor(entry)
        guard major < 1 << 12, minor < 1 << 20 else {
            throw .archive(why: "entry \(quoted(path.bytes)) has an impossible device number")
        }
        // A character device 0:0 is overlayfs's whiteout: as an entry it would hide what lies below.
        guard kind == .blockDevice || major != 0 || minor != 0 || takesWhiteouts else {
            throw .archive(why: "entry \(quoted(path.bytes)) is device 0:0")
        }
        return archive_entry_rdev(entry)
    }

    private mutating func readAttributes(_ entry: OpaquePointer) {
        archive_entry_xattr_reset(entry)
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var byteCount = 0
        while archive_entry_xattr_next(entry, &name, &value, &byteCount) == ARCHIVE_OK {
            let bytes = UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : byteCount)
            // A record without a value takes back what was said before (POSIX pax, "pax Extended Header").
            if bytes.isEmpty { continue }
            if let attribute = ExtendedAttribute(name: entryBytes(name), value: Array(bytes)) {
                attributes.append(attribute)
            }
        }
    }
}

/// An extended attribute that an image may bring (xattr(7)).
package struct ExtendedAttribute: Equatable {
    package let name: [UInt8]
    package let value: [UInt8]
    /// The image does not work without it. Others are set where the file system and our privileges allow.
    package let isRequired: Bool

    /// nil for overlayfs's own marks, which would redirect and hide across layers, and for labels that are the host's
    /// to give (`security.selinux`, `security.ima`, …).
    package init?(name: [UInt8], value: [UInt8]) {
        func starts(_ prefix: String) -> Bool { name.starts(with: Array(prefix.utf8)) }
        isRequired = name.elementsEqual("security.capability".utf8)
        if starts(OverlayAttributes.trusted.rawValue) || starts(OverlayAttributes.user.rawValue) { return nil }
        guard isRequired || starts("user.") || starts("trusted.") || starts("system.posix_acl_") else { return nil }
        self.name = name
        self.value = value
    }
}
