import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem

/// Folders that `RUN --mount=type=cache` keeps between builds, each by its id's digest: an id is a user's text and
/// never part of a path. Who uses one at a time is known here alone, so there is one of these for a store.
public actor CacheMounts {
    private struct Use {
        var shared = 0
        var isLocked = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let folder: String
    private var uses: [String: Use] = [:]

    /// - Parameter folder: absolute; made when it is needed.
    public init(folder: String) { self.folder = folder }

    /// A folder in use; `release` gives it back.
    struct Held: Sendable {
        var name: String
        /// What is mounted.
        var path: String
        /// It was made just now.
        var isNew: Bool
        var isLocked: Bool
    }

    /// - Parameter sharing: `locked` waits for whoever has the folder; `private` takes another folder then.
    func take(
        _ id: String, _ sharing: Mount.Sharing, mode: UInt32, uid: UInt32, gid: UInt32
    ) async throws(BuildFailure) -> Held {
        let base = Digest.sha256(of: Array(id.utf8)).hex
        var name = base
        switch sharing {
        case .shared: while uses[name]?.isLocked == true { await wait(for: name) }
        case .locked:
            while let use = uses[name], use.isLocked || use.shared > 0 { await wait(for: name) }
        case .private:
            var number = 0
            while let use = uses[name], use.isLocked || use.shared > 0 {
                number += 1
                name = "\(base)-\(number)"
            }
        }
        var use = uses[name] ?? Use()
        if sharing == .shared { use.shared += 1 } else { use.isLocked = true }
        uses[name] = use
        do throws(BuildFailure) {
            let path = "\(folder)/\(name)/data"
            let isNew = try make(path, mode: mode, uid: uid, gid: gid)
            return Held(name: name, path: path, isNew: isNew, isLocked: sharing != .shared)
        } catch {
            release(name, isLocked: sharing != .shared)
            throw error
        }
    }

    func release(_ held: Held) { release(held.name, isLocked: held.isLocked) }

    private func release(_ name: String, isLocked: Bool) {
        guard var use = uses[name] else { return }
        if isLocked { use.isLocked = false } else { use.shared -= 1 }
        let waiters = use.waiters
        use.waiters = []
        uses[name] = use.isLocked || use.shared > 0 ? use : nil
        for waiter in waiters { waiter.resume() }
    }

    private func wait(for name: String) async {
        await withCheckedContinuation { continuation in uses[name, default: Use()].waiters.append(continuation) }
    }

    private func make(_ path: String, mode: UInt32, uid: UInt32, gid: UInt32) throws(BuildFailure) -> Bool {
        // When it was last used: for pruning only.
        utimensat(AT_FDCWD, FileSystem.parent(of: path), nil, 0)
        guard !FileSystem.exists(path) else { return false }
        try calling { () throws(SystemError) in
            try FileSystem.makeDirectories(FileSystem.parent(of: path))
            // Under another name first: a folder that is there has its owner.
            let fresh = "\(path).new"
            try FileSystem.removeTree(fresh)
            try FileSystem.makeDirectories(fresh)
            try check("chown", path: fresh) { chown(fresh, uid, gid) }
            try check("chmod", path: fresh) { chmod(fresh, mode_t(mode & 0o7777)) }
            try check("rename", path: path) { rename(fresh, path) }
        }
        return true
    }

    // MARK: - Pruning

    /// Removes folders that nobody uses and that were last used before a moment (seconds since 1970).
    ///
    /// - Returns: bytes given back.
    public func prune(usedBefore moment: Int64?) throws(SystemError) -> UInt64 {
        var byteCount: UInt64 = 0
        for (name, bytes, usedAt) in try folders() where uses[name] == nil {
            if let moment, usedAt >= moment { continue }
            try FileSystem.removeTree("\(folder)/\(name)")
            byteCount &+= bytes
        }
        return byteCount
    }

    /// Number and bytes of all folders.
    public func usage() throws(SystemError) -> (count: Int, byteCount: UInt64) {
        let all = try folders()
        return (all.count, all.reduce(0) { $0 &+ $1.byteCount })
    }

    private func folders() throws(SystemError) -> [(name: String, byteCount: UInt64, usedAt: Int64)] {
        guard FileSystem.exists(folder) else { return [] }
        return try FileSystem.list(folder).map { name throws(SystemError) in
            var status = stat()
            let path = "\(folder)/\(name)"
            try check("lstat", path: path) { lstat(path, &status) }
            return (name, try FileSystem.treeByteCount(path), Int64(status.st_mtim.tv_sec))
        }
    }
}
