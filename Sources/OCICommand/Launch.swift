import CLinux
import ContainerRuntime
import Glibc
import LinuxSystem
import SupervisorPlan

/// What `create` and `run` are told.
struct LaunchOptions {
    var id: String
    var bundle: String
    var pidFile: String?
    var preserved: Int
    var noPivot: Bool
    var sharesKeyring: Bool
}

/// From a bundle to a created container.
struct Launch {
    let container: StoredContainer
    let process: CreatedProcess

    /// - Parameter console: a connected socket for the terminal's master.
    init(_ options: LaunchOptions, _ bundle: Bundle, console: Int32?, _ context: Context, _ runtime: Runtime) throws {
        try Runtime.checkID(options.id)
        if options.noPivot { throw OCIError("--no-pivot is not supported: the root is always changed by pivot_root") }
        let pidFile = try options.pidFile.map { try Paths.absolute($0) }
        context.warn(bundle.warnings)
        let preserved = try PreservedDescriptors(count: options.preserved, context.environment)
        var spec = bundle.spec
        if !bundle.hasProcess {
            // Held back for good: `start` refuses. The name only has to pass the look-up.
            spec.process.args = ["/proc/self/exe"]
        }
        spec.process.env += preserved.environment
        // The container's own, which a list of the host's devices would bring along.
        spec.linux.devices.removeAll { ["/dev/ptmx", "/dev/console", "/dev/tty"].contains($0.path) }
        // Without cgroups there is nothing to hold devices back with.
        let rules = Self.deviceRules(spec.linux.resources.devices ?? [])
        spec.linux.resources.devices = context.globals.cgroupManager == .disabled ? nil : rules
        var request = LaunchRequest(
            id: options.id, spec: spec, root: .directory(bundle.rootfs), directory: "\(context.root)/\(options.id)")
        request.bundle = bundle.path
        request.sharesKeyring = options.sharesKeyring
        request.hookEnvironment = Context.everyVariable()
        request.cgroupPath = try spec.linux.cgroupsPath.flatMap { $0.isEmpty ? nil : $0 }
            .map { try ConfigCheck.cgroupName($0) }
        request.seccomp = spec.linux.seccomp == nil ? .unconfined : .standard
        container = try StoredContainer.create(
            root: context.root, Self.facts(options, bundle), config: bundle.config)
        do {
            // Hooks start here.
            try check("chdir", path: bundle.path) { chdir(bundle.path) }
            process = try runtime.create(
                request, CallerDescriptors(console: console, preserved: preserved.descriptors))
            context.warn(process.warnings)
        } catch {
            try container.remove()
            runtime.removeEmptyParent()
            throw error
        }
        if let pidFile {
            do {
                try FileSystem.replaceFile(pidFile, with: Array("\(process.pid)".utf8), mode: 0o644)
            } catch {
                try runtime.destroy(directory: container.directory)
                try container.remove()
                throw error
            }
        }
    }

    /// What every container may use comes after the rules given, which may be a mere "nothing"; without rules, nothing
    /// else is allowed. As runc has it.
    static func deviceRules(_ rules: [RuntimeSpec.DeviceRule]) -> [RuntimeSpec.DeviceRule] {
        guard !rules.isEmpty else { return RuntimeSpec.defaultDeviceRules }
        return rules + RuntimeSpec.defaultDeviceRules.filter(\.allow)
    }

    private static func facts(_ options: LaunchOptions, _ bundle: Bundle) -> ContainerFacts {
        ContainerFacts(
            id: options.id, ociVersion: bundle.spec.ociVersion, bundle: bundle.path, rootfs: bundle.rootfs,
            created: String(decoding: Timestamp.text(nanoseconds: Log.now()), as: UTF8.self), owner: owner(),
            annotations: bundle.spec.annotations, hasProcess: bundle.hasProcess,
            sharesKeyring: options.sharesKeyring, hasHooks: bundle.spec.hooks != nil)
    }

    /// Not asked of libc: in a static program it would load what the host has for users from elsewhere.
    private static func owner() -> String {
        // Unreadable: the number says it too.
        let passwd = (try? FileSystem.readFile("/etc/passwd")) ?? []
        return UserDatabase(passwd: passwd, group: []).name(of: geteuid()) ?? "\(geteuid())"
    }
}

/// Descriptors of the caller's that go on to the program: socket activation's (sd_listen_fds(3)) and `--preserve-fds`.
struct PreservedDescriptors {
    let descriptors: [Int32]
    let environment: [String]

    init(count: Int, _ environment: [String: String]) throws {
        let first: Int32 = 3
        var listening = 0
        if let text = environment["LISTEN_FDS"], environment["LISTEN_PID"].map({ $0 == "\(getpid())" }) ?? true {
            guard let number = Int(text), number >= 0 else { throw OCIError("LISTEN_FDS is not a number: '\(text)'") }
            listening = number
        }
        let countMax = Int(SupervisorDescriptor.preservedCountMax)
        guard (0...countMax).contains(count), listening + count <= countMax else {
            throw OCIError("up to \(countMax) descriptors can be preserved")
        }
        descriptors = (0..<Int32(listening + count)).map { first + $0 }
        for descriptor in descriptors where gantry_fcntl(descriptor, F_GETFD, 0) < 0 {
            throw OCIError("descriptor \(descriptor), which is to be preserved, is not open")
        }
        self.environment = listening > 0 ? ["LISTEN_FDS=\(listening)", "LISTEN_PID=1"] : []
    }
}

/// Starting, and what belongs to a start.
enum Start {
    static func perform(_ container: StoredContainer, _ context: Context, _ runtime: Runtime) throws {
        guard container.facts.hasProcess else {
            throw OCIError("cannot start container '\(container.facts.id)': its config.json has no process")
        }
        let pid = try runtime.status(directory: container.directory).pid
        context.warn(try runtime.start(directory: container.directory))
        do {
            let hooks = try HookRun(container)
            try hooks.run(\.poststart, "poststart", status: "running", pid: pid)
        } catch {
            try runtime.destroy(directory: container.directory)
            throw error
        }
    }
}

/// Hooks on the host's side after the creation.
struct HookRun {
    private let plan: HooksPlan

    init(_ container: StoredContainer) throws {
        let facts = container.facts
        guard facts.hasHooks != false else {
            plan = HooksPlan()
            return
        }
        let spec = try container.spec()
        var request = LaunchRequest(
            id: facts.id, spec: spec, root: .directory(facts.rootfs), directory: container.directory)
        request.bundle = facts.bundle
        request.hookEnvironment = Context.everyVariable()
        plan = try HookCompiler.compile(request)
    }

    func run(_ list: KeyPath<HooksPlan, [HookPlan]>, _ kind: String, status: String, pid: Int32) throws {
        for hook in plan[keyPath: list] { try run(hook, kind, status: status, pid: pid) }
    }

    /// Every one gets its turn; answers what went wrong.
    func runAll(_ list: KeyPath<HooksPlan, [HookPlan]>, _ kind: String, status: String, pid: Int32) -> [String] {
        plan[keyPath: list].compactMap { hook in
            do {
                try run(hook, kind, status: status, pid: pid)
                return nil
            } catch { return "\(error)" }
        }
    }

    private func run(_ hook: HookPlan, _ kind: String, status: String, pid: Int32) throws {
        let outcome = try HelperProgram.run(
            path: hook.path, arguments: hook.arguments, environment: hook.environment,
            input: plan.state(status: status, pid: pid), timeoutMilliseconds: hook.timeoutMilliseconds)
        if let reason = outcome.failureReason { throw OCIError("cannot run the \(kind) hook \(hook.path): \(reason)") }
    }
}

enum Removal {
    /// Kills what is left, removes everything of the container, and tells those who wait for that.
    static func perform(_ container: StoredContainer, _ context: Context, _ runtime: Runtime) throws {
        try runtime.destroy(directory: container.directory)
        let hooks = try HookRun(container)
        try container.remove()
        runtime.removeEmptyParent()
        context.warn(hooks.runAll(\.poststop, "poststop", status: "stopped", pid: 0))
    }
}

/// The other side of `--console-socket`.
enum ConsoleSocket {
    static func connect(_ path: String) throws -> FileDescriptor {
        let socket = try make()
        let absolute = try Paths.absolute(path)
        // Through the folder: an address holds 107 bytes only.
        let folder = try FileDescriptor.open(FileSystem.parent(of: absolute), O_PATH | O_DIRECTORY)
        let (raw, name) = (socket.raw, "/proc/self/fd/\(folder.raw)/\(FileSystem.lastComponent(of: absolute))")
        do {
            try check("connect", path: path) { gantry_unix_connect(raw, name) }
        } catch {
            throw OCIError("cannot connect to the console socket \(path): \(error.reason)")
        }
        return socket
    }

    private static func make() throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try check("socket") {
                socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            })
    }

    static func pair() throws(SystemError) -> (ours: Int32, theirs: Int32) {
        var ends: [Int32] = [-1, -1]
        try check("socketpair") {
            socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends)
        }
        return (ends[0], ends[1])
    }

    /// A terminal goes to a socket of the caller's or to the caller's own terminal; anything else loses it.
    static func open(_ path: String?, terminal: Bool, detached: Bool) throws -> (
        console: Int32?, own: Int32?
    ) {
        guard terminal else {
            guard path == nil else { throw OCIError("a console socket is of use with a terminal only") }
            return (nil, nil)
        }
        if let path { return (try connect(path).take(), nil) }
        guard !detached else { throw OCIError("a terminal without anyone in front of it needs --console-socket") }
        let ends = try pair()
        return (ends.theirs, ends.ours)
    }
}
