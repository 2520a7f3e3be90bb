import CLinux
import Images
import LinuxSystem
import Reconciler
import StackModel

/// Named and anonymous volumes: folders under the data root.
extension Engine {
    func createVolume(_ key: String, stack: Stack) async throws(EngineError) {
        let name = stack.volumeName(key)
        guard let definition = stack.volumes[key], !definition.external else { return }
        if let existing = volumes[name] {
            // A volume outlives its stack; the next stack of the same name takes it up again.
            guard existing.stackName == stack.name else {
                throw .conflict("volume \(name) belongs to stack '\(existing.stackName)'")
            }
            return try await recreateVolume(existing)
        }
        if let driver = definition.driver, driver != "local" {
            throw .badRequest("volume \(name): driver '\(driver)' is not supported; use 'local'")
        }
        let record = StoredVolume(
            name: name, stackName: stack.name, key: key, definition: definition, anonymous: false, slot: "",
            populated: false, createdAt: Clock.now())
        volumes[name] = record
        do throws(EngineError) {
            try save(record)
            let folder = options.volumeData(name)
            try await onPool { () throws(SystemError) in try FileSystem.makeDirectories(folder, mode: 0o755) }
        } catch {
            volumes[name] = nil
            throw error
        }
        announce(type: "volume", "create", name: name, stack: stack.name)
    }

    /// Where its folder is gone, an empty one: only ever after somebody has said so.
    private func recreateVolume(_ record: StoredVolume) async throws(EngineError) {
        guard drift.lostVolumes.contains(record.name) else { return }
        var fresh = record
        fresh.populated = false
        try save(fresh)
        volumes[record.name] = fresh
        let folder = options.volumeData(record.name)
        try await onPool { () throws(SystemError) in try FileSystem.makeDirectories(folder, mode: 0o755) }
        drift.lostVolumes.remove(record.name)
        announce(type: "volume", "create", name: record.name, stack: record.stackName)
    }

    func removeVolume(_ name: String) async throws(EngineError) {
        guard let record = volumes[name] else { return }
        let users = containers.values.filter { $0.stored.volumes.values.contains(name) }
        guard users.isEmpty else {
            throw .conflict("volume \(name) is used by \(users.map(\.stored.name).sorted().joined(separator: ", "))")
        }
        try await removeVolumeFolder(name)
        do throws(DatabaseError) { try store.delete(record) } catch { throw .database(error) }
        volumes[name] = nil
        announce(type: "volume", "destroy", name: name, stack: record.stackName)
    }

    /// A new volume starts with what the image has at its target, as Docker's do.
    func populateVolumes(of stored: StoredContainer) async throws(EngineError) {
        let pending = stored.volumes.filter { volumes[$0.value]?.populated == false }.sorted { $0.key < $1.key }
        guard !pending.isEmpty else { return }
        let image = try image(stored.definition.imageID)
        let noCopy = Set(stored.definition.service.mounts.filter(\.noCopy).map(\.target))
        let isRootless = options.rootless != nil
        for (target, name) in pending {
            if !noCopy.contains(target) {
                let folder = volumeFolder(name)
                let (layers, isForeign) = (image.lowerDirectories, isForeign(volume: name))
                try await onPool { () throws(SystemError) in
                    // What somebody else's folder has in it is theirs.
                    if isForeign, try !FileSystem.list(folder).isEmpty { return }
                    try VolumePopulation(
                        layers: layers, target: target, volume: folder, userAttributes: isRootless
                    ).run()
                }
            }
            guard var record = volumes[name] else { continue }
            record.populated = true
            volumes[name] = record
            saveOrLog(record)
        }
    }
}
