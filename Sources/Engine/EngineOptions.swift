import LinuxSystem

/// Where an engine keeps things. Two engines with different roots do not meet.
public struct EngineOptions: Sendable {
    /// Images, volumes, writable layers, logs, the state database: survives a reboot. Like dockerd's `--data-root`.
    public var dataRoot: String
    /// Sockets, network namespaces, supervisors' state: a tmpfs. Like dockerd's `--exec-root`.
    public var execRoot: String
    /// Absolute path of the `gantry-supervisor` program.
    public var supervisorPath: String
    /// Set when the engine runs without root, in namespaces of its own.
    public var rootless: RootlessFacts?
    /// Puts rules into the chains of other firewalls that would block our networks.
    public var allowsThroughFirewalls = false
    /// Of the engine's process: where its credentials for registries are (`HOME`, `DOCKER_CONFIG`).
    public var environment: [String: String] = [:]

    public init(dataRoot: String, execRoot: String, supervisorPath: String) {
        self.dataRoot = dataRoot
        self.execRoot = execRoot
        self.supervisorPath = supervisorPath
    }

    public static let defaultDataRoot = "/var/lib/gantry"
    public static let defaultExecRoot = "/run/gantry"
    public static let defaultSocketPath = "/run/gantry.sock"

    var databasePath: String { "\(dataRoot)/state.db" }
    var lockPath: String { "\(dataRoot)/engine.lock" }
    var imageRoot: String { "\(dataRoot)/images" }
    /// Trees that RUN steps of builds bind; each unmounted with its step.
    var buildMounts: String { "\(execRoot)/builds" }
    var buildContexts: String { "\(imageRoot)/builds/contexts" }
    var namespaceDirectory: String { "\(execRoot)/netns" }
    var cacheDirectory: String { "\(dataRoot)/cache" }

    /// Writable layer, log and injected files of a container.
    func containerData(_ id: String) -> String { "\(dataRoot)/containers/\(id)" }
    /// The supervisor's folder of a container.
    func containerRun(_ id: String) -> String { "\(execRoot)/containers/\(id)" }

    /// The lowest layer of every container: what is mounted over in each of them, so that it need not be made anew in
    /// each one's own layer. What an image has in these places lies above it and wins.
    var mountPoints: String { "\(dataRoot)/mount-points" }

    func makeMountPoints() throws(SystemError) {
        for folder in ["dev", "etc", "proc", "sys"] {
            try FileSystem.makeDirectories("\(mountPoints)/\(folder)", mode: 0o755)
        }
        for file in ["hosts", "hostname", "resolv.conf"] where !FileSystem.exists("\(mountPoints)/etc/\(file)") {
            try FileSystem.replaceFile("\(mountPoints)/etc/\(file)", with: [], mode: 0o644)
        }
    }

    /// Written anew at each start.
    func nameFiles(_ id: String) -> String { "\(containerRun(id))/files" }
    func volumeData(_ name: String) -> String { "\(dataRoot)/volumes/\(name)/_data" }

    /// Eight hex digits that tell this engine's kernel objects from another's. The default data root has none, so that
    /// its table is simply called `gantry`.
    var instanceTag: String { dataRoot == Self.defaultDataRoot ? "" : fnv1aHex(dataRoot) }
    var tableName: String { instanceTag.isEmpty ? "gantry" : "gantry_\(instanceTag)" }
    var cgroupParent: String { tableName }
}

/// Eight hex digits of the 64-bit FNV-1a hash, folded: names for kernel objects that must be short and stable.
func fnv1aHex(_ text: String) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8 {
        hash ^= UInt64(byte)
        hash &*= 0x100_0000_01b3
    }
    let folded = UInt32(truncatingIfNeeded: hash ^ (hash >> 32))
    let digits = String(folded, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
}
