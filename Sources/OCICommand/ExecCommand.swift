import ArgumentParser
import ContainerRuntime
import Glibc
import LinuxSystem

struct ExecCommand: OCICommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run a process in a container.",
        usage: "gantry-oci exec [<options>] <container> [<program> ...]")

    @Option(help: "Socket that gets the terminal's master.")
    var consoleSocket: String?

    @Option(help: "File that the process id is written to.")
    var pidFile: String?

    @Flag(name: [.short, .long], help: "Do not wait for its end.")
    var detach = false

    @Flag(name: [.short, .long], help: "With a terminal.")
    var tty = false

    @Option(name: [.short, .long], help: "User, UID[:GID] or name.")
    var user: String?

    @Option(
        name: [.short, .long], parsing: .unconditionalSingleValue, help: "Environment variable, NAME=VALUE; repeatable."
    )
    var env: [String] = []

    @Option(help: "Working directory.")
    var cwd: String?

    @Option(name: [.short, .long], help: "File with the process as in config.json; - is the input.")
    var process: String?

    @Option(name: [.short, .customLong("cap")], help: "A further capability; repeatable.")
    var capabilities: [String] = []

    @Flag(name: .customLong("no-new-privs"), help: "Set no_new_privs.")
    var noNewPrivileges = false

    @Option(help: "AppArmor profile.")
    var apparmor: String?

    @Option(help: "SELinux label.")
    var processLabel: String?

    @Option(name: [.customShort("g"), .long], help: "A further group; repeatable.")
    var additionalGids: [UInt32] = []

    @Option(help: "Number of further descriptors, from 3 on, that the program gets.")
    var preserveFds = 0

    @Flag(help: "Run it even in a paused container, where it waits.")
    var ignorePaused = false

    @Option(help: "Cgroup below the container's, /PATH.")
    var cgroup: String?

    @Argument(parsing: .captureForPassthrough, help: "Container, program and its arguments.")
    var words: [String]

    func run(_ context: Context) throws {
        guard let id = words.first else { throw OCIError("exec needs a container") }
        let container = try context.container(id)
        let runtime = try context.runtime()
        let status = try container.status(runtime).status
        guard status != "stopped", status != "creating" else {
            throw OCIError("cannot run a process in container '\(id)': it is \(status)")
        }
        var spec = try container.spec()
        let (process, warnings) = try ConfigCheck.host().check(process: try makeProcess(spec.process))
        context.warn(warnings)
        spec.process = process
        let pidFile = try pidFile.map { try Paths.absolute($0) }
        var request = request(spec, container.directory)
        request.sharesKeyring = container.facts.sharesKeyring ?? false
        try run(request, pidFile, context, runtime)
    }

    private func run(_ given: ExecRequest, _ pidFile: String?, _ context: Context, _ runtime: Runtime) throws {
        let preserved = try PreservedDescriptors(count: preserveFds, context.environment)
        var request = given
        request.env += preserved.environment
        let (console, own) = try ConsoleSocket.open(consoleSocket, terminal: request.terminal, detached: detach)
        let foreground = detach ? nil : try Foreground(terminalSocket: own)
        let process = try runtime.join(
            request, cgroup: cgroup, ignoringPause: ignorePaused,
            CallerDescriptors(console: console, preserved: preserved.descriptors))
        if let console { close(console) }
        context.warn(process.warnings)
        if let pidFile {
            do {
                try FileSystem.replaceFile(pidFile, with: Array("\(process.pid)".utf8), mode: 0o644)
            } catch {
                Glibc.kill(process.pid, SIGKILL)
                throw error
            }
        }
        guard let foreground else { return }
        try foreground.takeTerminal()
        throw ContainerExit(code: try foreground.wait(for: process.pid))
    }

    /// The container's own process with the changes asked for, or the one of the file.
    private func makeProcess(_ own: RuntimeSpec.Process) throws -> RuntimeSpec.Process {
        if let file = process {
            let bytes = try file == "-" ? Input.all() : FileSystem.readFile(file)
            return try JSON.decode(RuntimeSpec.Process.self, bytes, of: file)
        }
        var process = own
        process.args = Array(words.dropFirst())
        guard !process.args.isEmpty else { throw OCIError("exec needs a program to run") }
        process.env = Self.merge(process.env, env)
        if let cwd { process.cwd = cwd }
        process.terminal = tty
        process.consoleSize = nil
        if noNewPrivileges { process.noNewPrivileges = true }
        if let apparmor { process.apparmorProfile = apparmor }
        if let processLabel { process.selinuxLabel = processLabel }
        process.user.additionalGids = (process.user.additionalGids ?? []) + additionalGids
        for name in capabilities {
            process.capabilities.bounding.append(name)
            process.capabilities.effective.append(name)
            process.capabilities.permitted.append(name)
        }
        return process
    }

    /// A variable that is given takes the place of one that is there: programs find the first of a name.
    static func merge(_ own: [String], _ given: [String]) -> [String] {
        func name(_ variable: String) -> Substring { variable.prefix { $0 != "=" } }
        let names = Set(given.map(name))
        return own.filter { !names.contains(name($0)) } + given
    }

    private func request(_ spec: RuntimeSpec, _ directory: String) -> ExecRequest {
        var request = ExecRequest(directory: directory, spec: spec, args: spec.process.args)
        request.env = spec.process.env
        request.cwd = spec.process.cwd
        request.terminal = spec.process.terminal
        request.consoleSize = spec.process.consoleSize
        request.seccomp = spec.linux.seccomp == nil ? .unconfined : .standard
        request.user = user
        return request
    }
}

enum Input {
    private static let byteCountMax = 16 << 20

    /// Standard input to its end.
    static func all() throws(SystemError) -> [UInt8] {
        let copy = try check("dup") { dup(STDIN_FILENO) }
        return try FileDescriptor(owning: copy).readAll(byteCountMax: byteCountMax)
    }
}
