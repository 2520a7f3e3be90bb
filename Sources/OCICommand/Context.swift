import CLinux
import ContainerRuntime
import Glibc
import LinuxSystem

/// What every command has to do with: options, log, and the containers' folders.
struct Context {
    let globals: GlobalOptions
    let log: Log
    let root: String
    /// Of this process, which hooks and plain users' folders depend on.
    let environment: [String: String]

    init(_ globals: GlobalOptions, _ log: Log) throws {
        self.globals = globals
        self.log = log
        environment = Self.readEnvironment()
        root = try globals.rootDirectory(environment: environment, isRoot: geteuid() == 0)
    }

    private static func readEnvironment() -> [String: String] {
        var values: [String: String] = [:]
        for name in ["XDG_RUNTIME_DIR", "LISTEN_FDS", "LISTEN_PID", "GANTRY_SUPERVISOR"] {
            if let value = getenv(name) { values[name] = String(cString: value) }
        }
        return values
    }

    /// What hooks without an environment of their own inherit, as from runc and crun: engines rely on its `PATH`.
    static func everyVariable() -> [String] {
        var variables: [String] = []
        var next = gantry_environment()
        while let variable = next?.pointee {
            variables.append(String(cString: variable))
            next = next?.advanced(by: 1)
        }
        return variables
    }

    func runtime() throws -> Runtime {
        try FileSystem.makeDirectories(root)
        // Its name is not one a container can have.
        let cache = "\(root)/.cache"
        try FileSystem.makeDirectories(cache)
        return try Runtime(
            forCommandWith: try supervisorPath(), cacheDirectory: cache,
            managesCgroups: globals.cgroupManager == .cgroupfs)
    }

    /// Beside this program.
    private func supervisorPath() throws -> String {
        if let path = environment["GANTRY_SUPERVISOR"] { return path }
        return "\(FileSystem.parent(of: try Paths.real("/proc/self/exe")))/gantry-supervisor"
    }

    func container(_ id: String) throws -> StoredContainer {
        try StoredContainer.open(root: root, id: id)
    }

    func warn(_ warnings: [String]) {
        for warning in warnings {
            log.write(.warning, warning)
            // Our standard error is the container's: nothing of ours goes there where there is a log.
            if globals.log == nil { writeError("gantry-oci: warning: \(warning)\n") }
        }
    }
}
