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

    /// Every path that differs, parents first, as `docker diff` lists them: a folder that is only on the way to what
    /// changed is named when the change is right in it.
    public func changes() throws(ImageError) -> [ContainerChange] {
        var changes: [ContainerChange] = []
        /// Folders on the way down that are as they were, and where they would stand.
        var silent: [(path: [UInt8], index: Int)] = []
        func parent(of path: [UInt8]) -> ArraySlice<UInt8> {
            path[..<(path.lastIndex(of: UInt8(ascii: "/")) ?? 0)]
        }
        try TreeWalk.visit(path, toleratesLoss: true) { object, _, _ throws(ImageError) in
            if object.path.isEmpty { return }
            silent.removeAll { !object.path.starts(with: $0.path + [UInt8(ascii: "/")]) }
            let below = object.isWhiteout ? nil : try statusBelow(object.path)
            if let below, object.type == S_IFDIR, isSame(below, object) {
                return silent.append((object.path, changes.count))
            }
            if let last = silent.last, last.path.elementsEqual(parent(of: object.path)) {
                changes.insert(ContainerChange(kind: .changed, path: text(last.path)), at: last.index)
                silent.removeLast()
            }
            let kind: ContainerChange.Kind = object.isWhiteout ? .deleted : below == nil ? .added : .changed
            changes.append(ContainerChange(kind: kind, path: text(object.path)))
        }
        return changes
    }

    private func text(_ path: [UInt8]) -> String { "/" + String(decoding: path, as: UTF8.self) }

    private func isSame(_ below: stat, _ object: TreeObject) -> Bool {
        let status = object.status
        guard object.attribute(overlay.rawValue + "opaque") == nil else { return false }
        return below.st_mode == status.st_mode && below.st_uid == status.st_uid && below.st_gid == status.st_gid
            && below.st_mtim.tv_sec == status.st_mtim.tv_sec && below.st_mtim.tv_nsec == status.st_mtim.tv_nsec
    }

    /// What the lower layers show at `path`: the topmost that says anything decides. nil: nothing.
    private func statusBelow(_ path: [UInt8]) throws(ImageError) -> stat? {
        for lower in lowerDirectories {
            let root = try converting { () throws(SystemError) in
                try FileDescriptor.open(lower, O_PATH | O_DIRECTORY)
            }
            switch try look(path, in: root.raw) {
            case .present(let status): return status
            case .hidden: return nil
            case .absent: continue
            }
        }
        return nil
    }

    private enum Finding { case present(stat), hidden, absent }

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
            if prefix.count == path.count { return .present(status) }
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
        _ = try writeLayer(with: TarWriter(descriptor: descriptor))
    }

    /// Answers the bytes of file content.
    func writeLayer(with writer: TarWriter) throws(ImageError) -> UInt64 {
        var byteCount: UInt64 = 0
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
            try writer.header(TarHeader(object, link: link))
            if object.type == S_IFREG, link == nil {
                try content(object, parent, name, writer)
                byteCount &+= UInt64(clamping: object.status.st_size)
            }
            if object.type == S_IFDIR, object.attribute(opaque) == [UInt8(ascii: "y")] {
                let prefix = object.path.isEmpty ? [] : object.path + [UInt8(ascii: "/")]
                try emptyFile(prefix + Array(".wh..wh..opq".utf8), writer)
            }
        }
        try writer.finish()
        return byteCount
    }

    private func whiteoutPath(_ path: [UInt8]) throws(ImageError) -> [UInt8] {
        let entry = try EntryPath(cleaning: path)
        let prefix = entry.parent.isEmpty ? [] : entry.parent + [UInt8(ascii: "/")]
        return prefix + Whiteout.prefix + entry.name
    }

    private func emptyFile(_ path: [UInt8], _ writer: TarWriter) throws(ImageError) {
        try writer.header(TarHeader(path: path, mode: 0o600))
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
