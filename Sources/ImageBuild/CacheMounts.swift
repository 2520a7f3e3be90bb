import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem
import Synchronization

/// Folders that `RUN --mount=type=cache` keeps between builds, each by its id's digest: an id is a user's text and
/// never part of a path. Who uses one at a time is known here alone, so there is one of these for a store.
public final class CacheMounts: Sendable {
    private struct Use {
        var shared = 0
        var isLocked = false
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]

        var isFree: Bool { shared == 0 && !isLocked }
    }

    private struct State {
        var uses: [String: Use] = [:]
        var waiterCount: UInt64 = 0

        func isFree(_ name: String, for access: Access) -> Bool {
            guard let use = uses[name] else { return true }
            return access == .shared ? !use.isLocked : use.isFree
        }

        mutating func enter(_ name: String, _ access: Access) {
            switch access {
            case .shared: uses[name, default: Use()].shared += 1
            case .exclusive: uses[name, default: Use()].isLocked = true
            }
        }
    }

    private enum Access {
        case shared
        case exclusive
    }

    /// What one mount asks for.
    struct Request: Sendable {
        var id: String
        var sharing = Mount.Sharing.shared
        var mode: UInt32 = 0o755
        var uid: UInt32 = 0
        var gid: UInt32 = 0
    }

    /// A folder in use; `release` gives it back.
    struct Held: Sendable {
        var name: String
        /// What is mounted.
        var path: String
        var isLocked: Bool
    }

    private let folder: String
    private let state = Mutex(State())

    /// - Parameter folder: absolute; made when it is needed.
    public init(folder: String) { self.folder = folder }

    // MARK: - Taking

    /// Takes the folders of one step, all in one order whatever the step's own is: steps that want the same ones do
    /// not wait for each other for ever. `locked` waits for whoever has a folder, `private` takes another one then.
    /// A step that names a folder twice has it once, locked if either says so.
    ///
    /// - Parameters:
    ///   - requests: of one step.
    ///   - fill: gets the number of a request and a folder that is made for it, which nobody sees until it is filled.
    /// - Returns: the path of each request, and what is to be released.
    func take(
        _ requests: [Request], fill: (Int, String) async throws(BuildFailure) -> Void
    ) async throws(BuildFailure) -> (paths: [String], held: [Held]) {
        var held: [String: Held] = [:]
        var paths = requests.map { _ in "" }
        do throws(BuildFailure) {
            for (name, numbers) in sharedNames(requests) {
                let first = requests[numbers[0]]
                let isLocked = numbers.contains { requests[$0].sharing == .locked }
                let taken = try await take(name, isLocked: isLocked, first) { path throws(BuildFailure) in
                    try await fill(numbers[0], path)
                }
                held[name] = taken
                for number in numbers { paths[number] = taken.path }
            }
            for (number, request) in requests.enumerated() where request.sharing == .private {
                let name = enterPrivate(Self.name(request.id))
                let taken = Held(name: name, path: dataPath(name), isLocked: true)
                held[name] = taken
                try await make(taken, request) { path throws(BuildFailure) in try await fill(number, path) }
                paths[number] = taken.path
            }
        } catch {
            for taken in held.values { release(taken) }
            throw error
        }
        return (paths, Array(held.values))
    }

    private static func name(_ id: String) -> String { Digest.sha256(of: Array(id.utf8)).hex }

    private func dataPath(_ name: String) -> String { "\(folder)/\(name)/data" }

    /// The folders that several may want, in their order, with the requests for each.
    private func sharedNames(_ requests: [Request]) -> [(name: String, numbers: [Int])] {
        var numbers: [String: [Int]] = [:]
        for (number, request) in requests.enumerated() where request.sharing != .private {
            numbers[Self.name(request.id), default: []].append(number)
        }
        return numbers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Who makes a folder has it alone meanwhile.
    private func take(
        _ name: String, isLocked: Bool, _ request: Request, fill: (String) async throws(BuildFailure) -> Void
    ) async throws(BuildFailure) -> Held {
        let path = dataPath(name)
        while true {
            // Somebody else may have made it while we waited: then it is there to be shared.
            let isAlone = isLocked || !FileSystem.exists(path)
            let access = isAlone ? Access.exclusive : .shared
            guard enter(name, access) else {
                try await wait(for: name, access)
                continue
            }
            let held = Held(name: name, path: path, isLocked: isAlone)
            if isAlone {
                do throws(BuildFailure) { try await make(held, request, fill: fill) } catch {
                    release(held)
                    throw error
                }
                return isLocked ? held : share(held)
            }
            if FileSystem.exists(path) {
                touch(path)
                return held
            }
            // It was pruned before we had it.
            release(held)
        }
    }

    /// False when others have it.
    private func enter(_ name: String, _ access: Access) -> Bool {
        state.withLock { state in
            guard state.isFree(name, for: access) else { return false }
            state.enter(name, access)
            return true
        }
    }

    private func enterPrivate(_ base: String) -> String {
        state.withLock { state in
            var name = base
            var number = 0
            while !state.isFree(name, for: .exclusive) {
                number += 1
                name = "\(base)-\(number)"
            }
            state.enter(name, .exclusive)
            return name
        }
    }

    /// Until somebody leaves the folder, or the build is given up.
    private func wait(for name: String, _ access: Access) async throws(BuildFailure) {
        let number = state.withLock { state in
            state.waiterCount += 1
            return state.waiterCount
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.isFree(name, for: access) { return true }
                    state.uses[name]?.waiters[number] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.uses[name]?.waiters.removeValue(forKey: number) }?.resume()
        }
        if Task.isCancelled { throw .cancelled }
    }

    /// Others may come in.
    private func share(_ held: Held) -> Held {
        let waiters = state.withLock { state in
            var use = state.uses[held.name] ?? Use()
            let waiters = use.waiters
            (use.isLocked, use.shared, use.waiters) = (false, use.shared + 1, [:])
            state.uses[held.name] = use
            return waiters
        }
        for waiter in waiters.values { waiter.resume() }
        var held = held
        held.isLocked = false
        return held
    }

    func release(_ held: Held) {
        let waiters = state.withLock { state in
            var use = state.uses[held.name] ?? Use()
            let waiters = use.waiters
            if held.isLocked { use.isLocked = false } else { use.shared -= 1 }
            use.waiters = [:]
            state.uses[held.name] = use.isFree ? nil : use
            return waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Under another name until it is whole: a folder that is there has its owner and its first content.
    private func make(
        _ held: Held, _ request: Request, fill: (String) async throws(BuildFailure) -> Void
    ) async throws(BuildFailure) {
        let path = held.path
        guard !FileSystem.exists(path) else { return touch(path) }
        let fresh = "\(path).new"
        try calling { () throws(SystemError) in
            try FileSystem.makeDirectories(FileSystem.parent(of: path))
            try FileSystem.removeTree(fresh)
            try FileSystem.makeDirectories(fresh)
            try check("chown", path: fresh) { chown(fresh, request.uid, request.gid) }
            try check("chmod", path: fresh) { chmod(fresh, mode_t(request.mode & 0o7777)) }
        }
        try await fill(fresh)
        try calling { () throws(SystemError) in _ = try check("rename", path: path) { rename(fresh, path) } }
    }

    /// When it was last used: for pruning only.
    private func touch(_ path: String) { utimensat(AT_FDCWD, FileSystem.parent(of: path), nil, 0) }

    // MARK: - Pruning

    /// Removes folders that nobody uses and that were last used before a moment (seconds since 1970).
    ///
    /// - Returns: what went.
    public func prune(usedBefore moment: Int64?) throws(SystemError) -> [Folder] {
        var removed: [Folder] = []
        for found in try folders() where !found.isInUse {
            if let moment, found.usedAt >= moment { continue }
            if try remove(found.name) { removed.append(found) }
        }
        return removed
    }

    /// Nobody gets it while it goes.
    ///
    /// - Returns: false when somebody has it.
    private func remove(_ name: String) throws(SystemError) -> Bool {
        guard enter(name, .exclusive) else { return false }
        defer { release(Held(name: name, path: dataPath(name), isLocked: true)) }
        try FileSystem.removeTree("\(folder)/\(name)")
        return true
    }

    public struct Folder: Equatable, Sendable {
        public var name: String
        public var byteCount: UInt64
        public var isInUse: Bool
        /// Seconds since 1970.
        public var usedAt: Int64
    }

    public func folders() throws(SystemError) -> [Folder] {
        guard FileSystem.exists(folder) else { return [] }
        return try FileSystem.list(folder).map { name throws(SystemError) in
            var status = stat()
            let path = "\(folder)/\(name)"
            try check("lstat", path: path) { lstat(path, &status) }
            let isInUse = state.withLock { !$0.isFree(name, for: .exclusive) }
            return Folder(
                name: name, byteCount: try FileSystem.treeByteCount(path), isInUse: isInUse,
                usedAt: Int64(status.st_mtim.tv_sec))
        }
    }
}
