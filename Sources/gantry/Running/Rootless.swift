import CLinux
import Engine
import Glibc
import LinuxSystem
import Logging
import StackModel
import Synchronization

/// The engine of a plain user: before it does anything it becomes `gantry-supervisor rootless`, which enters namespaces
/// of the user's own and executes it again there, as their root. Nothing here may have started a thread by then.
enum Rootless {
    static var isNeeded: Bool { geteuid() != 0 }

    /// What `gantry-supervisor rootless` says of the namespaces this process is in.
    static func facts(_ environment: [String: String]) -> RootlessFacts? {
        environment[RootlessFacts.variable].flatMap { RootlessFacts(text: $0) }
    }

    /// Does not return but with the reason why it could not.
    static func enter(
        _ options: EngineOptions, program: String, hosts: [String], log: (level: String, format: LogFormat)
    ) -> any Error {
        let supervisor = options.supervisorPath
        var arguments = [supervisor, "rootless", "--exec-root", options.execRoot]
        arguments += ["--log", "\(options.dataRoot)/engine.log", "--", program, "engine", "run"]
        // Inside it is root: what a plain user's defaults are must be said.
        arguments += ["--data-root", options.dataRoot, "--exec-root", options.execRoot]
        arguments += hosts.flatMap { ["--host", $0] }
        arguments += ["--log-level", log.level, "--log-format", log.format.rawValue]
        let pointers = arguments.map { strdup($0) } + [nil]
        execv(supervisor, pointers)
        let error = SystemError("execve", path: supervisor, code: errno)
        for pointer in pointers { free(pointer) }
        return CommandFailure(
            [
                Diagnostic(
                    code: "engine.no-supervisor", "the engine cannot run without root: \(error)",
                    hint: "install gantry-supervisor beside gantry")
            ], exitCode: 2)
    }
}

/// Ends the engine when the process that holds its namespaces has ended: no port is forwarded any more.
final class HolderWatch: Sendable {
    static let diagnostic = Diagnostic(
        code: "engine.holder-lost", "the process that holds the engine's namespaces has ended")

    private let lost = Atomic(false)

    var isLost: Bool { lost.load(ordering: .acquiring) }

    init(_ facts: RootlessFacts, stop: StopSignal, log: Logger) throws {
        let lifeline = facts.lifeline
        try check("fcntl") { gantry_fcntl(lifeline, F_SETFD, Int(FD_CLOEXEC)) }
        try NamedThread.start("gantry-holder") { [self] in
            // It never says anything: what ends the call, also with an error, is its end.
            _ = try? MessageSocket.receive(from: lifeline)
            lost.store(true, ordering: .releasing)
            log.error("the holder of the namespaces has ended")
            stop.raise()
        }
    }
}
