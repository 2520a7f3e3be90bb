/// A fully resolved stack: interpolated, merged, defaults kept as "not said" (`nil`), relative paths made absolute,
/// config and secret contents read in. It is what a client hands to the engine and what the engine stores.
///
/// Maps are keyed by the name in the stack file. Names of engine objects are derived: `<stack>_<key>` for networks and
/// volumes unless `name` is set, `<stack>-<service>-<n>` for containers.
public struct Stack: Codable, Equatable, Sendable {
    /// Project name, `[a-z0-9][a-z0-9_-]*`.
    public var name: String
    /// Absolute path of the project's folder; label `com.docker.compose.project.working_dir`.
    public var workingDirectory: String
    /// Absolute paths of the stack files, in merge order; label `com.docker.compose.project.config_files`.
    public var configFiles: [String]
    public var services: [String: Service]
    public var networks: [String: Network]
    public var volumes: [String: Volume]
    public var configs: [String: FileObject]
    public var secrets: [String: FileObject]
    @Sparse public var models: [String: Model] = [:]
    @Sparse public var jobs: [String: Job] = [:]
    public var gantry: StackOptions?
    /// Services of the file that no active profile enables: neither wanted nor orphans.
    @Sparse public var disabledServices: [String] = []
    /// Values of variables with a secret's name that the stack file was filled in with: masked wherever they occur
    /// (`Sensitivity`).
    @Sparse public var secretValues: [String] = []
    /// Where each value was written. The key is a path such as `services.web.image`, `services.web.ports[0]` or
    /// `networks.front`; a missing path is looked up at its nearest ancestor (`source(of:)`).
    public var sources: [String: SourceMark]

    public init(
        name: String, workingDirectory: String = "/", configFiles: [String] = [],
        services: [String: Service] = [:], networks: [String: Network] = [:], volumes: [String: Volume] = [:],
        configs: [String: FileObject] = [:], secrets: [String: FileObject] = [:], sources: [String: SourceMark] = [:]
    ) {
        self.name = name
        self.workingDirectory = workingDirectory
        self.configFiles = configFiles
        self.services = services
        self.networks = networks
        self.volumes = volumes
        self.configs = configs
        self.secrets = secrets
        self.sources = sources
    }

    /// Whether the file has the service, enabled or not: then its containers are no orphans.
    public func declares(_ service: String) -> Bool {
        services.index(forKey: service) != nil || disabledServices.contains(service)
    }

    /// The mark of `path` or of its nearest ancestor that has one.
    public func source(of path: String) -> SourceMark? {
        var candidate = path[...]
        while true {
            if let mark = sources[String(candidate)] { return mark }
            guard let cut = candidate.lastIndex(where: { $0 == "." || $0 == "[" }) else { return nil }
            candidate = candidate[..<cut]
        }
    }

    /// The engine's name of a network: its `name`, else `<stack>_<key>`.
    public func networkName(_ key: String) -> String { networks[key]?.name ?? "\(name)_\(key)" }

    /// The engine's name of a volume: its `name`, else `<stack>_<key>`.
    public func volumeName(_ key: String) -> String { volumes[key]?.name ?? "\(name)_\(key)" }

    /// The name of a replica: `container_name`, else `<stack>-<service>-<n>`. `number` counts from 1.
    public func containerName(service: String, number: Int) -> String {
        services[service]?.containerName ?? "\(name)-\(service)-\(number)"
    }
}

/// A place in a stack file; line and column count from 1.
public struct SourceMark: Codable, Hashable, Sendable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    public var description: String { "\(file):\(line):\(column)" }
}
