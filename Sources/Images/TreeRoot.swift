import CLibArchive
import CLinux
import Glibc
import LinuxSystem

/// What is at a path, as Docker's `X-Docker-Container-Path-Stat` tells it.
public struct PathStatus: Equatable, Sendable {
    /// Last component of the path asked for.
    public var name: String
    public var byteCount: Int64
    /// `st_mode`.
    public var mode: UInt32
    /// Since 1970.
    public var modifiedSeconds: Int64
    public var modifiedNanoseconds: Int64
    /// Where a link leads in the end, counted from the root; empty for what is no link.
    public var linkTarget: String

    public var isFolder: Bool { gantry_is_directory(mode) != 0 }
    public var isLink: Bool { gantry_is_symlink(mode) != 0 }

    public init(
        name: String, byteCount: Int64, mode: UInt32, modifiedSeconds: Int64, modifiedNanoseconds: Int64,
        linkTarget: String
    ) {
        self.name = name
        self.byteCount = byteCount
        self.mode = mode
        self.modifiedSeconds = modifiedSeconds
        self.modifiedNanoseconds = modifiedNanoseconds
        self.linkTarget = linkTarget
    }
}

/// A root whose content is somebody else's: every path is looked up by `openat2(2)` with `RESOLVE_IN_ROOT`, so that
/// absolute links and `..` end inside, and magic links (`/proc/self/root`) are refused.
public struct TreeRoot: Sendable {
    private static let linksMax = 255
    public let descriptor: SharedDescriptor

    public init(_ descriptor: SharedDescriptor) { self.descriptor = descriptor }

    /// What is at `path` (cleaned by `CopyPath.absolute`); a link at its end stays a link.
    public func status(_ path: String) throws(CopyError) -> PathStatus {
        let object = try open(path, O_PATH | O_NOFOLLOW)
        var status = stat()
        let raw = object.raw
        try copying { () throws(SystemError) in _ = try check("fstat", path: path) { fstat(raw, &status) } }
        let isLink = gantry_is_symlink(status.st_mode) != 0
        return PathStatus(
            name: CopyPath.base(path), byteCount: Int64(status.st_size), mode: status.st_mode,
            modifiedSeconds: Int64(status.st_mtim.tv_sec), modifiedNanoseconds: Int64(status.st_mtim.tv_nsec),
            linkTarget: isLink ? try linkTarget(path) : "")
    }

    /// What is at `path`, held for a `TreeArchive`; Docker's archives have it under `CopyPath.base(path)`.
    public func object(_ path: String) throws(CopyError) -> FileDescriptor {
        let object = try open(path, O_PATH | O_NOFOLLOW)
        guard !KernelFileSystem.contains(object.raw) else {
            throw .refused("\(path) is in a file system of the kernel's: there is nothing to copy")
        }
        return object
    }

    /// That `path` is a folder which can be written to.
    public func checkFolder(_ path: String) throws(CopyError) {
        let folder = SharedDescriptor(try openFolder(path))
        let isReadOnly = try isReadOnly(folder.raw)
        if isReadOnly, try mountID(folder.raw) == mountID(descriptor.raw) {
            throw .readOnly("container rootfs is marked read-only")
        }
        if isReadOnly { throw .readOnly("mounted volume is marked read-only") }
        guard !KernelFileSystem.contains(folder.raw) else {
            throw .refused("\(path) is in a file system of the kernel's: nothing is written there")
        }
    }

    private func openFolder(_ path: String) throws(CopyError) -> FileDescriptor {
        do throws(CopyError) {
            return try open(path, O_PATH | O_DIRECTORY)
        } catch {
            guard case .conflict = error else { throw error }
            throw .conflict("extraction point is not a directory")
        }
    }

    /// A small file's content; empty when there is none. What is no regular file is not opened.
    public func content(_ path: String, byteCountMax: Int) throws(CopyError) -> [UInt8] {
        do throws(CopyError) {
            return try existingContent(path, byteCountMax: byteCountMax)
        } catch {
            guard case .notFound = error else { throw error }
            return []
        }
    }

    private func existingContent(_ path: String, byteCountMax: Int) throws(CopyError) -> [UInt8] {
        let object = SharedDescriptor(try open(path, O_PATH))
        return try copying { () throws(SystemError) in
            var status = stat()
            try check("fstat", path: path) { fstat(object.raw, &status) }
            guard gantry_is_regular(status.st_mode) != 0 else { throw SystemError("read", path: path, code: EINVAL) }
            return try FileDescriptor.open("/proc/self/fd/\(object.raw)", O_RDONLY | O_NONBLOCK | O_NOCTTY)
                .readAll(byteCountMax: byteCountMax)
        }
    }

    private func open(_ path: String, _ flags: Int32) throws(CopyError) -> FileDescriptor {
        let root: FileDescriptor
        do throws(SystemError) {
            root = try descriptor.duplicate()
        } catch {
            throw .system(error)
        }
        do throws(SystemError) {
            return try root.openInRoot(path, flags)
        } catch {
            switch error.code {
            case ENOENT: throw .notFound(path)
            case ENOTDIR: throw .conflict("\(path) is not a directory")
            case ELOOP: throw .refused("\(path) leads through too many links, or a link of the kernel's")
            default: throw CopyError(error)
            }
        }
    }

    private func isReadOnly(_ raw: Int32) throws(CopyError) -> Bool {
        var status = statvfs()
        try copying { () throws(SystemError) in _ = try check("fstatvfs") { fstatvfs(raw, &status) } }
        return status.f_flag & UInt(ST_RDONLY) != 0
    }

    private func mountID(_ raw: Int32) throws(CopyError) -> UInt64 {
        var status = statx()
        try copying { () throws(SystemError) in
            _ = try check("statx") { statx(raw, "", AT_EMPTY_PATH, UInt32(STATX_MNT_ID), &status) }
        }
        return status.stx_mnt_id
    }

    // MARK: - Links

    /// Where a link leads, evaluated to its end; what does not exist on the way is taken as it is written. It is only
    /// told: who uses it looks it up anew.
    private func linkTarget(_ path: String) throws(CopyError) -> String {
        var rest = path.split(separator: "/").map(String.init)[...]
        var done: [String] = []
        var linkCount = 0
        while let part = rest.popFirst() {
            if part == "." { continue }
            if part == ".." {
                _ = done.popLast()
                continue
            }
            let here = "/" + (done + [part]).joined(separator: "/")
            guard let target = try readLink(here) else {
                done.append(part)
                continue
            }
            linkCount += 1
            guard linkCount <= Self.linksMax else { throw .refused("\(path) leads through too many links") }
            if target.hasPrefix("/") { done = [] }
            rest = target.split(separator: "/").map(String.init)[...] + rest
        }
        return "/" + done.joined(separator: "/")
    }

    private func readLink(_ path: String) throws(CopyError) -> String? {
        let link: FileDescriptor
        do {
            link = try open(path, O_PATH | O_NOFOLLOW)
        } catch {
            switch error {
            case .notFound, .conflict: return nil
            default: throw error
            }
        }
        let raw = link.raw
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { readlinkat(raw, "", $0, buffer.count) } ?? -1
        }
        // EINVAL, ENOENT: it is no link.
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}
