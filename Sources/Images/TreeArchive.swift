import CLinux
import Glibc
import LinuxSystem

/// Writes trees as a tar while somebody else may change them: a running container's, a user's.
///
/// Every object is opened once, as itself (`O_PATH|O_NOFOLLOW` below its folder's descriptor), and looked at and read
/// through that descriptor only: a link, a device or a pipe put in its place meanwhile is never followed or opened.
/// What vanishes on the way is left out; a file that shrinks is filled up with zeros.
public final class TreeArchive {
    public enum Attributes: Sendable {
        /// As Docker's archives of files: capabilities only.
        case capabilities
        /// All that an image may have.
        case all
    }

    /// Each level holds a descriptor.
    private static let depthMax = 512
    private let writer: TarWriter
    private let attributes: Attributes
    private let leavesKernelOut: Bool
    private var linked: [FileIdentity: [UInt8]] = [:]

    /// - Parameter leavesKernelOut: folders of `/proc`, `/sys` and their kind are empty in the archive: what is in
    ///   there is no content, and some of it never ends.
    public init(
        to descriptor: Int32, attributes: Attributes = .capabilities, leavesKernelOut: Bool = false
    ) {
        writer = TarWriter(descriptor: descriptor)
        self.attributes = attributes
        self.leavesKernelOut = leavesKernelOut
    }

    /// Hands each piece of the archive to `sink`, whose error ends it.
    public init(
        attributes: Attributes = .capabilities, leavesKernelOut: Bool = false,
        sink: @escaping (UnsafeRawBufferPointer) throws(ImageError) -> Void
    ) {
        writer = TarWriter(sink: sink)
        self.attributes = attributes
        self.leavesKernelOut = leavesKernelOut
    }

    /// A folder whose content is being added. Kept in a list, not on the thread's stack: who made the tree decides how
    /// deep it is.
    private final class Level {
        let folder: FileDescriptor
        let path: [UInt8]
        let device: dev_t
        let isKernels: Bool
        var names: ArraySlice<[UInt8]>

        init(_ folder: consuming FileDescriptor, _ object: TreeObject, isKernels: Bool) throws(ImageError) {
            names = try isKernels ? [] : folderNames(folder.raw, path: object.path)[...]
            self.folder = folder
            let needsSlash = !object.path.isEmpty && object.path.last != UInt8(ascii: "/")
            path = needsSlash ? object.path + [UInt8(ascii: "/")] : object.path
            device = object.status.st_dev
            self.isKernels = isKernels
        }
    }

    /// Adds what `object` (opened with `O_PATH|O_NOFOLLOW`) is, and all that is below it.
    ///
    /// - Parameter name: what it is called in the archive: `bar`, `.` for what is in a folder, `/` for a root; empty
    /// for a root
    ///   whose content stands at the archive's top.
    public func add(_ object: consuming FileDescriptor, as name: [UInt8]) throws(CopyError) {
        do throws(ImageError) { try addTree(object, name) } catch { throw CopyError(error) }
    }

    /// As above, of a descriptor that others hold, too.
    public func add(_ object: SharedDescriptor, as name: [UInt8]) throws(CopyError) {
        try add(try copying { () throws(SystemError) in try object.duplicate() }, as: name)
    }

    /// Adds what `object` is without what is below it.
    public func addAlone(_ object: consuming FileDescriptor, as name: [UInt8]) throws(CopyError) {
        do throws(ImageError) { _ = try add(object, name, in: nil) } catch { throw CopyError(error) }
    }

    /// Adds a whiteout, which removes what has the name where `ExtractionOptions.whiteoutsRemove` holds.
    public func addRemoval(of name: [UInt8]) throws(CopyError) {
        try reading { () throws(ImageError) in
            try writer.header(TarHeader(path: name, type: UInt8(ascii: "3")))
        }
    }

    private func addTree(_ object: consuming FileDescriptor, _ name: [UInt8]) throws(ImageError) {
        var levels: [Level] = []
        if let level = try add(object, name, in: nil) { levels.append(level) }
        while let level = levels.last {
            guard let name = level.names.popFirst() else {
                levels.removeLast()
                continue
            }
            let folder = level.folder.raw
            let child = CPath(name).withPointer { gantry_openat(folder, $0, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0) }
            guard child >= 0 else {
                let code = errno
                if code == ENOENT { continue }
                throw ImageError(SystemError("openat", path: quoted(level.path + name), code: code))
            }
            guard let below = try add(FileDescriptor(owning: child), level.path + name, in: level) else { continue }
            guard levels.count < Self.depthMax else {
                throw .unsupported("\(quoted(below.path)) is more than \(Self.depthMax) folders deep")
            }
            levels.append(below)
        }
    }

    public func finish() throws(CopyError) { try reading { () throws(ImageError) in try writer.finish() } }

    /// One object; a folder is handed back to be gone through.
    private func add(
        _ descriptor: consuming FileDescriptor, _ path: [UInt8], in parent: Level?
    ) throws(ImageError) -> Level? {
        var object = try TreeObject(descriptor: descriptor, path: path)
        if object.type == S_IFSOCK { return nil }
        let isKernels =
            leavesKernelOut
            && (parent.map { $0.device == object.status.st_dev } == true
                ? parent?.isKernels == true : KernelFileSystem.contains(descriptor.raw))
        if isKernels, object.type != S_IFDIR { return nil }
        object.attributes = isKernels ? [] : object.attributes.filter { isWanted($0) }
        var link: [UInt8]?
        if object.type != S_IFDIR, object.status.st_nlink > 1 {
            let identity = FileIdentity(object.status)
            link = linked[identity]
            if link == nil { linked[identity] = path }
        }
        try writer.header(TarHeader(object, link: link))
        if object.type == S_IFREG, link == nil { try addContent(object, descriptor) }
        return object.type == S_IFDIR ? try Level(descriptor, object, isKernels: isKernels) : nil
    }

    private func isWanted(_ attribute: (name: [UInt8], value: [UInt8])) -> Bool {
        guard let known = ExtendedAttribute(name: attribute.name, value: attribute.value) else { return false }
        return attributes == .all || known.isRequired
    }

    private func addContent(_ object: TreeObject, _ descriptor: borrowing FileDescriptor) throws(ImageError) {
        // The very file that was looked at, whatever has its name by now.
        let raw = descriptor.raw
        let file = try converting { () throws(SystemError) in
            do throws(SystemError) {
                return try FileDescriptor.open("/proc/self/fd/\(raw)", O_RDONLY | O_NONBLOCK | O_NOCTTY)
            } catch {
                throw SystemError("open", path: quoted(object.path), code: error.code)
            }
        }
        try writer.changingContent(of: file, byteCount: Int64(object.status.st_size), what: object.path)
    }
}

/// What tells one file from another on this machine.
private struct FileIdentity: Hashable {
    var device: dev_t
    var number: ino_t

    init(_ status: stat) { (device, number) = (status.st_dev, status.st_ino) }
}

/// Names in a folder, without `.` and `..`, in the order of their bytes.
///
/// - Parameter folder: a descriptor of it, `O_PATH` will do.
package func folderNames(_ folder: Int32, path: [UInt8]) throws(ImageError) -> [[UInt8]] {
    let raw = gantry_openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    guard raw >= 0 else { throw ImageError(SystemError("openat", path: quoted(path), code: errno)) }
    return try converting { () throws(SystemError) in
        do throws(SystemError) {
            return try FileDescriptor(owning: raw).names().map { Array($0.bytes) }
        } catch {
            throw SystemError(error.call, path: quoted(path), code: error.code)
        }
    }.sorted { $0.lexicographicallyPrecedes($1) }
}

/// File systems whose files are the kernel's doors rather than content.
public enum KernelFileSystem {
    /// `statfs(2)`, by include/uapi/linux/magic.h: proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs, bpf,
    /// devpts, mqueue, pstore, efivarfs, binfmt_misc, configfs, selinuxfs, smackfs, nsfs, rdtgroup.
    private static let magics: Set<UInt32> = [
        0x9fa0, 0x6265_6572, 0x27_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0xcafe_4a11, 0x1cd1,
        0x1980_0202, 0x6165_676c, 0xde5e_81e4, 0x4249_4e4d, 0x6265_6570, 0xf97c_ff8c, 0x4341_5d53, 0x6e73_6673,
        0x765_5821,
    ]

    /// Whether the file is in one. One that cannot be asked is taken for content: reading it will tell.
    public static func contains(_ descriptor: Int32) -> Bool {
        var status = statfs()
        guard fstatfs(descriptor, &status) == 0 else { return false }
        return magics.contains(UInt32(truncatingIfNeeded: status.f_type))
    }
}

extension TreeObject {
    private static let linkByteCountMax = 4096

    /// What an `O_PATH` descriptor stands for.
    init(descriptor: borrowing FileDescriptor, path: [UInt8]) throws(ImageError) {
        let raw = descriptor.raw
        var status = stat()
        guard fstat(raw, &status) == 0 else { throw ImageError(SystemError("fstat", path: quoted(path), code: errno)) }
        self.init(path: path, status: status)
        if type == S_IFLNK {
            var bytes = [UInt8](repeating: 0, count: Self.linkByteCountMax)
            let count = bytes.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { readlinkat(raw, "", $0, buffer.count) } ?? -1
            }
            guard count >= 0 else { throw ImageError(SystemError("readlinkat", path: quoted(path), code: errno)) }
            target = Array(bytes[..<count])
        }
        attributes = try Self.attributes(raw, path: path)
    }
}

extension TarHeader {
    /// - Parameter link: the name of the same file earlier in the archive.
    init(_ object: TreeObject, link: [UInt8]?) {
        let status = object.status
        self.init(
            path: object.path, mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid,
            modified: status.st_mtim)
        if let link {
            (type, target) = (UInt8(ascii: "1"), link)
            return
        }
        switch object.type {
        case S_IFDIR:
            type = UInt8(ascii: "5")
            if path.last != UInt8(ascii: "/") { path = path.isEmpty ? Array("./".utf8) : path + [UInt8(ascii: "/")] }
        case S_IFLNK: (type, target) = (UInt8(ascii: "2"), object.target)
        case S_IFCHR: (type, device) = (UInt8(ascii: "3"), status.st_rdev)
        case S_IFBLK: (type, device) = (UInt8(ascii: "4"), status.st_rdev)
        case S_IFIFO: type = UInt8(ascii: "6")
        default: byteCount = Int64(status.st_size)
        }
        attributes = object.attributes.filter { ExtendedAttribute(name: $0.name, value: $0.value) != nil }
    }
}
