import ArgumentParser
import CLinux
import Dispatch
import Engine
import EngineAPI
import EngineClient
import Glibc
import LinuxSystem
import Logging
import StackModel

/// `gantry engine`: the daemon in the foreground.
struct EngineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine", abstract: "Run the engine in the foreground, or stop a running one",
        subcommands: [EngineRun.self, EngineStop.self], defaultSubcommand: EngineRun.self)
}

struct EngineRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the engine in the foreground (default)")

    @Option(help: "Folder for images and state (default: /var/lib/gantry; ~/.local/share/gantry without root).")
    var dataRoot: String?

    @Option(
        help: "Folder for what ends with a reboot (default: /run/gantry; $XDG_RUNTIME_DIR/gantry without root)."
    )
    var execRoot: String?

    @OptionGroup var listening: ListenOptions

    private static let heapsMax: Int32 = 2

    @Option(
        help: """
            Also serve metrics for Prometheus at this address, to anybody who reaches it: 127.0.0.1:9323, [::1]:9323.
            """)
    var metricsAddress: String?

    @Option(help: "Least severe messages to log: trace, debug, info, notice, warning, error.")
    var logLevel = "info"

    @Option(help: "Form of its lines: text, or json with time, level, message and fields such as stack and container.")
    var logFormat = LogFormat.text

    @Flag(
        help: """
            Let networks through other firewalls of the host (Docker, ufw, firewalld): keep rules in their chains that \
            would block them. Also GANTRY_ALLOW_THROUGH_FIREWALLS=1.
            """)
    var allowThroughFirewalls = false

    func run() throws {
        let environment = processEnvironment()
        let paths = StandardPaths.current(environment)
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError("no such log level: \(logLevel)")
        }
        let metrics = try metricsPlace()
        let socketGroup = try socketGroup()
        let program = try readLink("/proc/self/exe")
        var options = EngineOptions(
            dataRoot: absolute(dataRoot ?? paths.dataRoot), execRoot: absolute(execRoot ?? paths.execRoot),
            supervisorPath: "\(FileSystem.parent(of: program))/gantry-supervisor")
        let asked = environment["GANTRY_ALLOW_THROUGH_FIREWALLS"] ?? ""
        options.allowsThroughFirewalls = allowThroughFirewalls || (!asked.isEmpty && asked != "0")
        options.rootless = Rootless.facts(environment)
        let endpoints = try listening.endpoints(
            paths, socketGroup: socketGroup, environment: environment,
            isRootless: Rootless.isNeeded || options.rootless != nil)
        if Rootless.isNeeded {
            throw Rootless.enter(
                options, program: program, hosts: listening.wantedHosts(paths), log: (logLevel, logFormat))
        }
        options.environment = environment
        let logPath = "\(options.dataRoot)/engine.log"
        let format = logFormat
        let log = Logger(label: "gantry") { _ in EngineLogHandler(path: logPath, level: level, format: format) }
        signal(SIGPIPE, SIG_IGN)
        // Threads that mostly wait need no heaps of their own: what is freed in one is no use to the others.
        mallopt(M_ARENA_MAX, Self.heapsMax)
        // The roots of containers are made with the modes they are to have, whoever started us.
        umask(0o022)
        let stop = try StopSignal()
        let holder = try options.rootless.map { try HolderWatch($0, stop: stop, log: log) }
        let outcome = ExitBox()
        // A synchronous main that waits: an asynchronous one costs milliseconds at the end of every other command.
        let done = DispatchSemaphore(value: 0)
        // OWNER: the process, with which it ends.
        Task { await ProgramPages.giveBackWhenIdle() }
        // OWNER: the one root task; the process ends with it.
        Task {
            outcome.set(await serve(options, endpoints: endpoints, metrics: metrics, log: log, stop: stop))
            done.signal()
        }
        done.wait()
        if let holder, holder.isLost {
            // Not 2: a watcher tries again, in new namespaces.
            throw CommandFailure([HolderWatch.diagnostic], exitCode: 1)
        }
        guard let failure = outcome.diagnostics else { return }
        // 2 tells a watcher that trying again is of no use.
        throw CommandFailure(failure, exitCode: 2)
    }

    private func metricsPlace() throws -> TCPAddress? {
        guard let metricsAddress else { return nil }
        guard let address = TCPAddress(metricsAddress) else {
            throw ValidationError(
                "--metrics-address must be an address and a port, such as 127.0.0.1:9323, not '\(metricsAddress)'")
        }
        guard !Rootless.isNeeded else {
            throw ValidationError(
                "--metrics-address needs root: the engine of a plain user has a network namespace of its own; "
                    + "read GET /metrics from its socket")
        }
        return address
    }

    private func socketGroup() throws -> UInt32? {
        guard let group = listening.group else { return geteuid() == 0 ? getgrnam("gantry")?.pointee.gr_gid : nil }
        if let number = UInt32(group) { return number }
        guard let entry = getgrnam(group) else { throw ValidationError("there is no group '\(group)'") }
        return entry.pointee.gr_gid
    }

    private func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(currentDirectory())/\(path)"
    }
}

/// Runs until told to stop. `nil` when all went well.
private func serve(
    _ options: EngineOptions, endpoints: [HTTPEndpoint], metrics: TCPAddress?, log: Logger, stop: StopSignal
) async -> [Diagnostic]? {
    do {
        let engine = try Engine(options: options, log: log)
        let server = EngineServer(
            engine: engine, version: gantryVersion, endpoints: endpoints, metricsAddress: metrics, log: log,
            shutDown: { stop.raise() })
        // Nothing is maintained before it is known what still runs.
        try await engine.recover()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await engine.run() }
            do {
                try await server.start()
            } catch {
                // What was made for containers that never came goes again.
                await engine.shutDown()
                throw error
            }
            for endpoint in endpoints { note(endpoint, log) }
            if var metrics, let port = server.metricsPort {
                metrics.port = port
                log.info("metrics", metadata: ["address": "\(metrics)"])
            }
            await stop.wait()
            log.info("stopping")
            await server.stop()
            await engine.shutDown()
            try await group.waitForAll()
            return nil
        }
    } catch let error as EngineError {
        return error.diagnostics
    } catch {
        return [Diagnostic(code: "engine.failed", "the engine cannot run: \(error)")]
    }
}

private func note(_ endpoint: HTTPEndpoint, _ log: Logger) {
    switch endpoint {
    case .unix(let path, _): log.info("listening", metadata: ["socket": "\(path)"])
    case .tcp(let host, let port, let tls):
        log.info("listening", metadata: ["address": "\(host):\(port)", "tls": "\(tls != nil)"])
        if tls == nil {
            log.warning("everybody on this machine can use the engine on \(host):\(port): it has no TLS")
        }
    case .selfGuarded(let address): log.info("listening", metadata: ["address": "\(address)"])
    }
}

struct EngineStop: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop the engine; containers run on")

    @OptionGroup var options: GlobalOptions

    func run() throws { try stopEngine(options) }
}
