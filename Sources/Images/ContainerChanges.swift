import CLinux
import Glibc
import LinuxSystem

/// What a container changed in its image's files.
public struct ContainerChange: Equatable, Sendable {
    public enum Kind: String, Sendable { case added = "A", changed = "C", deleted = "D" }
    public let kind: Kind
    /// Absolute in the container; bytes that are no UTF-8 are replaced.
    public let path: String
}

/// The upper directory of a container's overlay, against the layers below it.
public struct UpperDirectory: Sendable {
    let path: String
    let lowerDirectories: [String]
    let overlay: OverlayAttributes

    /// - Parameter lowerDirectories: top first, as the container has them.
    public init(path: String, lowerDirectories: [String], overlay: OverlayAttributes = .trusted) {
        self.path = path
        self.lowerDirectories = lowerDirectories
        self.overlay = overlay
    }

    /// Every path that differs, parents first, as `docker diff` lists them.
    public func changes() throws(ImageError) -> [ContainerChange] {
        var changes: [ContainerChange] = []
        try TreeWalk.visit(path) { object, _, _ throws(ImageError) in
            if object.path.isEmpty { return }
            let kind: ContainerChange.Kind =
                if object.isWhiteout {
                    .deleted
                } else if try isBelow(object.path) {
                    .changed
                } else {
                    .added
                }
            changes.append(ContainerChange(kind: kind, path: "/" + String(decoding: object.path, as: UTF8.self)))
        }
        return changes
    }

    /// Whether the lower layers show something at `path`: the topmost that says anything decides.
    private func isBelow(_ path: [UInt8]) throws(ImageError) -> Bool {
        for lower in lowerDirectories {
            let root = try converting { () throws(SystemError) in
                try FileDescriptor.open(lower, O_PATH | O_DIRECTORY)
            }
            switch try look(path, in: root.raw) {
            case .present: return true
            case .hidden: return false
            case .absent: continue
            }
        }
        return false
    }

    private enum Finding { case present, hidden, absent }

    /// Looks at each part on the way: a whiteout or an opaque folder hides what lies below.
    private func look(_ path: [UInt8], in root: Int32) throws(ImageError) -> Finding {
        var missing = Finding.absent
        var prefix: [UInt8] = []
        for component in path.split(separator: UInt8(ascii: "/")) {
            if !prefix.isEmpty { prefix.append(UInt8(ascii: "/")) }
            prefix += component
            let raw = CPath(prefix).withPointer {
                gantry_openat2(
                    root, $0, UInt64(O_PATH | O_NOFOLLOW | O_CLOEXEC), 0,
                    UInt64(RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS))
            }
            if raw < 0 {
                let code = errno
                guard code == ENOENT || code == ENOTDIR || code == ELOOP else {
                    throw ImageError(SystemError("openat2", path: quoted(prefix), code: code))
                }
                return missing
            }
            let object = FileDescriptor(owning: raw)
            var status = stat()
            guard fstat(object.raw, &status) == 0 else {
                throw ImageError(SystemError("fstat", path: quoted(prefix), code: errno))
            }
            if status.st_mode & S_IFMT == S_IFCHR, status.st_rdev == 0 { return .hidden }
            if prefix.count == path.count { return .present }
            guard gantry_is_directory(status.st_mode) != 0 else { return .hidden }
            var value: UInt8 = 0
            let name = overlay.rawValue + "opaque"
            if getxattr("/proc/self/fd/\(object.raw)", name, &value, 1) == 1, value == UInt8(ascii: "y") {
                missing = .hidden
            }
        }
        return missing
    }

    // MARK: - As a layer

    /// Writes the upper directory as a layer's tar, whiteouts as names (image-spec `layer.md`). Equal trees give equal
    /// bytes. Sockets are left out: they are nothing without who listens.
    public func writeLayer(to descriptor: Int32) throws(ImageError) {
        let writer = TarWriter(descriptor: descriptor)
        var linked: [ino_t: [UInt8]] = [:]
        let opaque = overlay.rawValue + "opaque"
        let metacopy = overlay.rawValue + "metacopy"
        try TreeWalk.visit(path) { object, parent, name throws(ImageError) in
            if object.type == S_IFSOCK { return }
            guard object.attribute(metacopy) == nil, object.attribute(overlay.rawValue + "redirect") == nil else {
                throw .unsupported("\(quoted(object.path)) was renamed or changed by an overlay with other options")
            }
            if object.isWhiteout {
                return try emptyFile(try whiteoutPath(object.path), writer)
            }
            var link: [UInt8]?
            if object.type != S_IFDIR, object.status.st_nlink > 1 {
                link = linked[object.status.st_ino]
                if link == nil { linked[object.status.st_ino] = object.path }
            }
            try writer.header(header(object, link))
            if object.type == S_IFREG, link == nil { try content(object, parent, name, writer) }
            if object.type == S_IFDIR, object.attribute(opaque) == [UInt8(ascii: "y")] {
                let prefix = object.path.isEmpty ? [] : object.path + [UInt8(ascii: "/")]
                try emptyFile(prefix + Array(".wh..wh..opq".utf8), writer)
            }
        }
        try writer.finish()
    }

    private func whiteoutPath(_ path: [UInt8]) throws(ImageError) -> [UInt8] {
        let entry = try EntryPath(cleaning: path)
        let prefix = entry.parent.isEmpty ? [] : entry.parent + [UInt8(ascii: "/")]
        return prefix + Whiteout.prefix + entry.name
    }

    private func emptyFile(_ path: [UInt8], _ writer: TarWriter) throws(ImageError) {
        try writer.header(TarHeader(path: path, mode: 0o600))
    }

    private func header(_ object: TreeObject, _ link: [UInt8]?) -> TarHeader {
        let status = object.status
        var header = TarHeader(
            path: object.path, mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid,
            modified: status.st_mtim)
        if let link {
            (header.type, header.target) = (UInt8(ascii: "1"), link)
            return header
        }
        switch object.type {
        case S_IFDIR:
            header.type = UInt8(ascii: "5")
            header.path = object.path.isEmpty ? Array("./".utf8) : object.path + [UInt8(ascii: "/")]
        case S_IFLNK: (header.type, header.target) = (UInt8(ascii: "2"), object.target)
        case S_IFCHR: (header.type, header.device) = (UInt8(ascii: "3"), status.st_rdev)
        case S_IFBLK: (header.type, header.device) = (UInt8(ascii: "4"), status.st_rdev)
        case S_IFIFO: header.type = UInt8(ascii: "6")
        default: header.byteCount = Int64(status.st_size)
        }
        header.attributes = object.attributes.filter {
            ExtendedAttribute(name: $0.name, value: $0.value) != nil
        }
        return header
    }

    private func content(
        _ object: TreeObject, _ parent: Int32, _ name: CPath, _ writer: TarWriter
    ) throws(ImageError) {
        let raw = name.withPointer { gantry_openat(parent, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0) }
        guard raw >= 0 else { throw ImageError(SystemError("openat", path: quoted(object.path), code: errno)) }
        let file = FileDescriptor(owning: raw)
        try writer.content(
            of: DescriptorSource(descriptor: file.raw), byteCount: Int64(object.status.st_size),
            what: quoted(object.path))
    }
}
