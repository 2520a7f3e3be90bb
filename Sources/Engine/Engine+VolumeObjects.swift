import EngineWire
import LinuxSystem
import StackModel

/// Volumes as objects of their own: what `gantry volume` and Docker's clients ask for.
extension Engine {
    private static let nameByteCountMax = 255
    /// What Docker's clients tell an anonymous volume by.
    private static let anonymousLabel = "com.docker.volume.anonymous"
    private static let listKeys: Set<String> = ["dangling", "driver", "label", "label!", "name"]

    /// Makes a volume; one that is there with the same driver is answered as it is.
    public func createVolume(_ request: VolumeCreateRequest) async throws(EngineError) -> VolumeInspect {
        let given = request.Name.flatMap { $0.isEmpty ? nil : $0 }
        if let driver = request.Driver, !driver.isEmpty, driver != "local" {
            throw .notFound("plugin \"\(driver)\" not found: volumes have the driver 'local'")
        }
        if let given { try checkVolumeName(given) }
        if let given, let existing = volumes[given] { return inspect(existing) }
        var definition = Volume()
        definition.driver = "local"
        definition.driverOptions = request.DriverOpts ?? [:]
        if case .unsupported(let why) = VolumePlace(definition.driverOptions) { throw .badRequest(why) }
        definition.labels = request.Labels ?? [:]
        let record = StoredVolume(
            name: given ?? randomID(), stackName: "", key: "", definition: definition, anonymous: given == nil,
            slot: "", populated: false, createdAt: Clock.now())
        volumes[record.name] = record
        do throws(EngineError) {
            try save(record)
            let folder = options.volumeData(record.name)
            try await onPool { () throws(SystemError) in try FileSystem.makeDirectories(folder, mode: 0o755) }
        } catch {
            volumes[record.name] = nil
            throw error
        }
        announce(type: "volume", "create", name: record.name, stack: "")
        return inspect(record)
    }

    /// It becomes a folder's name.
    private func checkVolumeName(_ name: String) throws(EngineError) {
        let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
        guard let first = name.first, first.isASCII, first.isLetter || first.isNumber,
            name.allSatisfy(allowed.contains), name.utf8.count > 1, name.utf8.count <= Self.nameByteCountMax
        else {
            throw .badRequest(
                "create \(name): \"\(name)\" includes invalid characters for a local volume name, only "
                    + "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use "
                    + "absolute path")
        }
    }

    /// By name; those that the filters `values` let through.
    public func listVolumes(_ values: [String: [String]]) throws(EngineError) -> VolumeListReply {
        let filters = try ObjectFilters(values, known: Self.listKeys)
        let found = volumes.values.filter { volume in
            guard filters.matches(created: volume.createdAt, labels: labels(of: volume)) else { return false }
            return filters.values.allSatisfy { key, wanted in
                switch key {
                case "name": wanted.contains { SearchExpression($0).matches(volume.name) }
                case "driver": wanted.contains("local")
                case "dangling": wanted.contains { ObjectFilters.truth($0) == users(ofVolume: volume.name).isEmpty }
                default: true
                }
            }
        }
        return VolumeListReply(Volumes: found.map(inspect).sorted { $0.Name < $1.Name })
    }

    public func inspectVolume(_ name: String) throws(EngineError) -> VolumeInspect {
        guard let record = volumes[name] else { throw .notFound("get \(name): no such volume") }
        return inspect(record)
    }

    /// - Parameter force: one that does not exist is no error.
    public func removeVolume(_ name: String, force: Bool) async throws(EngineError) {
        guard volumes[name] != nil else {
            if force { return }
            throw .notFound("get \(name): no such volume")
        }
        let users = users(ofVolume: name)
        guard users.isEmpty else {
            throw .conflict("remove \(name): volume is in use - [\(users.map(\.id).joined(separator: ", "))]")
        }
        try await removeVolume(name)
    }

    /// Containers that have it, running or not, by id.
    func users(ofVolume name: String) -> [StoredContainer] {
        containers.values.map(\.stored).filter { $0.volumes.values.contains(name) }.sorted { $0.id < $1.id }
    }

    /// Those of a stack are told by the labels that Compose puts on its own.
    func labels(of record: StoredVolume) -> [String: String] {
        var labels = record.definition.labels
        if record.anonymous { labels[Self.anonymousLabel] = "" }
        if !record.stackName.isEmpty, !record.anonymous {
            labels[ComposeLabel.project] = record.stackName
            labels["com.docker.compose.volume"] = record.key
        }
        return labels
    }

    func inspect(_ record: StoredVolume) -> VolumeInspect {
        VolumeInspect(
            Name: record.name, CreatedAt: rfc3339(record.createdAt), Mountpoint: options.volumeData(record.name),
            Labels: labels(of: record), Options: record.definition.driverOptions)
    }
}
