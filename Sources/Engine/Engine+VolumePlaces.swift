import LinuxSystem
import StackModel

/// Volumes whose data is in a folder of the host's that is not the engine's.
extension Engine {
    /// The folder that containers get for a volume.
    func volumeFolder(_ name: String) -> String { foreignFolder(ofVolume: name) ?? options.volumeData(name) }

    /// `nil` for a volume in the engine's own folder.
    func foreignFolder(ofVolume name: String) -> String? {
        // What a stack's options ask for besides was told of when it was loaded.
        guard let record = volumes[name], case .folder(let folder) = VolumePlace(record.definition.driverOptions) else {
            return nil
        }
        return folder
    }

    /// Somebody else may have written what it has.
    func isForeign(volume name: String) -> Bool {
        volumes[name].map { VolumePlace($0.definition.driverOptions) != .own } ?? false
    }

    /// What is not the engine's is not made on the way: it may be a disk that is not mounted yet.
    func checkForeignFolders(_ stored: StoredContainer) async throws(EngineError) {
        let places = stored.volumes.values.compactMap { name in
            foreignFolder(ofVolume: name).map { (volume: name, folder: $0) }
        }
        guard !places.isEmpty else { return }
        let missing = await pool.run { places.first { !FileSystem.exists($0.folder) } }
        guard let missing else { return }
        throw .answered(
            500,
            "failed to mount local volume: mount \(missing.folder):\(options.volumeData(missing.volume)), "
                + "flags: 0x1000: no such file or directory")
    }
}
