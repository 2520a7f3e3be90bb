import LinuxSystem
import Logging
import StackModel

/// Volumes whose data is a file system of its own (`type: tmpfs`, `nfs`, `ext4`, …). As in Docker it is mounted when
/// the first container that has the volume starts, and unmounted when the last one has ended: a tmpfs is empty then.
extension Engine {
    struct VolumeUse {
        /// Ids of containers that run or start, and of views of those that do not.
        var users: Set<String> = []
        /// Held while it is mounted or unmounted.
        let lock = AsyncLock()
    }

    private func mounter(ofVolume name: String) -> VolumeMounter? {
        guard let record = volumes[name], case .mounted(let mount) = VolumePlace(record.definition.driverOptions) else {
            return nil
        }
        return VolumeMounter(mount: mount, folder: options.volumeData(name))
    }

    /// - Parameter user: until `releaseVolumes` is called for it.
    func mountVolumes(of stored: StoredContainer, user: String) async throws(EngineError) {
        for name in stored.volumes.values.sorted() {
            guard let mounter = mounter(ofVolume: name) else { continue }
            let lock = useLock(ofVolume: name)
            volumeUses[name]?.users.insert(user)
            await lock.acquire()
            defer { lock.release() }
            try await onThread { () throws(EngineError) in try mounter.makeMounted() }
        }
    }

    private func useLock(ofVolume name: String) -> AsyncLock {
        let use = volumeUses[name] ?? VolumeUse()
        volumeUses[name] = use
        return use.lock
    }

    /// Of a container that runs: its volumes are mounted.
    func adoptVolumes(of stored: StoredContainer) {
        for name in stored.volumes.values where mounter(ofVolume: name) != nil {
            volumeUses[name, default: VolumeUse()].users.insert(stored.id)
        }
    }

    func releaseVolumes(of stored: StoredContainer, user: String) async {
        for name in stored.volumes.values.sorted() where volumeUses[name]?.users.remove(user) != nil {
            await unmountUnused(name)
        }
    }

    private func unmountUnused(_ name: String) async {
        guard let mounter = mounter(ofVolume: name) else { return }
        let lock = useLock(ofVolume: name)
        await lock.acquire()
        defer { lock.release() }
        // Somebody may have come meanwhile.
        guard volumeUses[name]?.users.isEmpty ?? true else { return }
        do throws(EngineError) {
            try await onPool { () throws(SystemError) in try mounter.makeUnmounted() }
        } catch {
            log.error("volume not unmounted", metadata: ["volume": "\(name)", "error": "\(error)"])
        }
    }

    /// Of a volume that no container has. What is on somebody else's file system stays there.
    func removeVolumeFolder(_ name: String) async throws(EngineError) {
        let (mounter, folder) = (mounter(ofVolume: name), FileSystem.parent(of: options.volumeData(name)))
        let lock = useLock(ofVolume: name)
        await lock.acquire()
        defer { lock.release() }
        guard volumeUses[name]?.users.isEmpty ?? true else { throw .conflict("volume \(name) is used by a container") }
        try await onPool { () throws(SystemError) in
            try mounter?.makeUnmounted()
            try FileSystem.removeTree(folder)
        }
        volumeUses[name] = nil
    }

    /// Left by an engine that did not see the last container end.
    func unmountUnusedVolumes() async {
        for name in volumes.keys.sorted() where volumeUses[name]?.users.isEmpty ?? true { await unmountUnused(name) }
    }
}
