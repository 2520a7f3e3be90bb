import CLinux
import ContainerRuntime
import Images
import LinuxSystem
import Reconciler
import StackModel
import Synchronization

/// A container's files for as long as somebody works on them. What was mounted for it goes, and others may mount the
/// container's layer again, with `release`.
final class HeldView: Sendable {
    private let state: Mutex<(view: ContainerView?, lock: AsyncLock?)>

    init(_ view: ContainerView, lock: AsyncLock?) { state = Mutex((view, lock)) }

    /// nil after `release`.
    var root: TreeRoot? { state.withLock { $0.view.map { TreeRoot($0.root) } } }

    func release() {
        let lock = state.withLock { state in
            defer { state = (nil, nil) }
            return state.lock
        }
        lock?.release()
    }
}

extension Engine {
    /// How long a client may keep a container that is to be started or removed waiting for the rest of its archive.
    private static let incomingPatience = Duration.seconds(10)

    enum FilesAccess { case read, write, export }

    /// Waits until nobody has the container's own layer mounted; the caller releases the lock.
    func holdFiles(of id: String) async throws(EngineError) -> AsyncLock {
        guard let files = containers[id]?.files else { throw .containerNotFound(id) }
        if let archive = incoming[id] {
            background.start {
                // Cancelled at the engine's end: the client is cut off by that.
                do { try await Task.sleep(for: Self.incomingPatience) } catch { return }
                archive.end()
            }
        }
        await files.acquire()
        return files
    }

    /// The container's files as it has them while it runs: with volumes, binds, and when it does run also its tmpfs.
    func view(of id: String, for access: FilesAccess) async throws(EngineError) -> HeldView {
        let files = try await holdFiles(of: id)
        do throws(EngineError) {
            guard let container = containers[id] else { throw .containerNotFound(id) }
            if container.process == nil {
                let view = try await stoppedView(container.stored, for: access)
                if access == .write { return HeldView(view, lock: files) }
                files.release()
                return HeldView(view, lock: nil)
            }
            let folder = options.containerRun(id)
            let view = try await onRuntime(of: container.stored.name) { runtime throws(RuntimeError) in
                try runtime.view(directory: folder, mounts: access == .export ? .rootOnly : .all)
            }
            files.release()
            return HeldView(view, lock: nil)
        } catch {
            files.release()
            throw error
        }
    }

    private func stoppedView(
        _ stored: StoredContainer, for access: FilesAccess
    ) async throws(EngineError) -> ContainerView {
        let folders = folders(of: stored)
        let image = try image(stored.definition.imageID)
        let place = "\(options.execRoot)/view"
        try await onPool { () throws(SystemError) in
            try folders.make()
            try FileSystem.makeDirectories(place)
        }
        let user = randomID()
        do throws(EngineError) {
            try await mountVolumes(of: stored, user: user)
            // Before the first start they are empty yet.
            try await populateVolumes(of: stored)
            let view = try await openStopped(stored, image, folders, place, for: access)
            await releaseVolumes(of: stored, user: user)
            return view
        } catch {
            await releaseVolumes(of: stored, user: user)
            throw error
        }
    }

    private func openStopped(
        _ stored: StoredContainer, _ image: Image, _ folders: ContainerFolders, _ place: String,
        for access: FilesAccess
    ) async throws(EngineError) -> ContainerView {
        var root = StoppedRoot(
            lower: image.lowerDirectories + [options.mountPoints], upper: "\(folders.data)/upper",
            work: "\(folders.data)/work", userExtended: options.rootless != nil, isThrowaway: access != .write,
            place: place)
        if access != .export { root.binds = try stoppedBinds(stored, image) }
        root.isReadOnly = stored.definition.service.readOnly
        let made = root
        return try await onPool { () throws(SystemError) in try made.open() }
    }

    /// Volumes and binds in the order in which, and as, `LaunchBuilder.mounts` has them mounted. The container's tmpfs
    /// and its `/etc/hosts` come to be with its next start.
    private func stoppedBinds(_ stored: StoredContainer, _ image: Image) throws(EngineError) -> [StoppedRoot.Bind] {
        var binds: [(depth: Int, bind: StoppedRoot.Bind)] = []
        func add(_ source: String, _ target: String, recursive: Bool = true, _ access: StoppedRoot.Bind.Access) {
            binds.append(
                (
                    target.split(separator: "/").count,
                    StoppedRoot.Bind(source: source, target: target, recursive: recursive, access: access)
                ))
        }
        var claimed: Set<String> = []
        for mount in stored.definition.service.mounts {
            claimed.insert(mount.target)
            let access = mount.readOnly ? StoppedRoot.Bind.Access.readOnly : .writable
            if mount.kind == .bind {
                add(
                    mount.source ?? "/", mount.target, recursive: mount.recursion != .disabled,
                    mount.readOnly && mount.recursion == .writable ? .readOnlyAtTop : access)
            } else if mount.kind == .volume, let name = stored.volumes[mount.target] {
                add(volumeFolder(name), mount.target, access)
            }
        }
        for (target, name) in stored.volumes.sorted(by: { $0.key < $1.key }) where !claimed.contains(target) {
            add(volumeFolder(name), target, .writable)
        }
        return binds.enumerated().sorted { ($0.element.depth, $0.offset) < ($1.element.depth, $1.offset) }
            .map(\.element.bind)
    }
}
