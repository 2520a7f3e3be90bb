import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// A layer that an image may be made of: unpacked under a temporary name, or there before.
struct ReadyLayer: Sendable {
    var size: LayerSize
    /// nil when it has its final name already.
    var folder: String?
}

/// What loads, pulls and commits share: temporary folders, leases, final names.
extension ImageStore {
    /// Runs `body` with a folder that is gone afterwards.
    func inTemporaryFolder<Result>(_ body: (String) throws(ImageError) -> Result) throws(ImageError) -> Result {
        let folder = try makeTemporaryFolder()
        defer { trash.discard(folder) }
        return try body(folder)
    }

    // MARK: - Leases

    /// From now on these are not garbage. Waits for a running collection, so that what exists afterwards stays.
    func lease(_ digests: Set<Digest>) {
        writer.withLock { _ in
            state.withLock { state in
                for digest in digests { state.leases[digest, default: 0] += 1 }
            }
        }
    }

    func release(_ digests: Set<Digest>) {
        state.withLock { state in
            for digest in digests {
                let count = (state.leases[digest] ?? 1) - 1
                state.leases[digest] = count > 0 ? count : nil
            }
        }
    }

    // MARK: - Final names

    /// What a layer holds; nil when the layer is not there.
    func layerSize(_ diffID: Digest) throws(ImageError) -> LayerSize? {
        let folder = layerFolder(diffID)
        guard FileSystem.exists("\(folder)/fs") else { return nil }
        let bytes = try converting { () throws(SystemError) in
            try FileSystem.readFile("\(folder)/size", byteCountMax: 64)
        }
        guard let size = LayerSize(text: String(decoding: bytes, as: UTF8.self)) else {
            throw .damaged("\(folder)/size")
        }
        return size
    }

    /// One flush of the file system instead of one for each of many thousand files.
    func syncFileSystem() throws(ImageError) {
        guard options.durable else { return }
        try flushing.flush { () throws(ImageError) in
            let root = root
            try converting { () throws(SystemError) in
                let folder = try FileDescriptor.open(root, O_RDONLY | O_DIRECTORY)
                let raw = folder.raw
                try check("syncfs", path: root) { syncfs(raw) }
            }
        }
    }

    /// A link, not a rename: another image may need the same file under its temporary name. What has the name is
    /// replaced: it is the same, or damaged. For holders of `writer`; `source` has the digest that `path` says.
    func place(_ source: String, at path: String) throws(ImageError) {
        if link(source, path) == 0 { return }
        guard errno == EEXIST else { throw ImageError(SystemError("link", path: path, code: errno)) }
        let second = "\(source).second"
        try converting { () throws(SystemError) in
            try check("link", path: second) { link(source, second) }
            // Still there when both names were one file's already.
            defer { unlink(second) }
            try check("rename", path: path) { rename(second, path) }
        }
    }

    /// For holders of `writer`.
    func placeLayer(_ folder: String, _ diffID: Digest) throws(ImageError) {
        let final = layerFolder(diffID)
        if rename(folder, final) == 0 { return }
        let code = errno
        // Another load was first: its layer is the same, byte for byte.
        guard code != EEXIST, code != ENOTEMPTY else { return }
        throw ImageError(SystemError("rename", path: final, code: code))
    }
}
