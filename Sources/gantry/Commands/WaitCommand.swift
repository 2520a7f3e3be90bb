import ArgumentParser
import EngineClient
import EngineWire
import LinuxSystem
import StackModel

extension WaitRequest.Goal: ExpressibleByArgument {}

struct WaitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Wait until services are where they should be, or have ended.",
        usage: "gantry wait [<global options>] [<options>] [<service> ...]",
        discussion: """
            With services and without --for, as Docker Compose: until their
            containers have ended; each exit code is printed, and the last one is
            the command's. Without services it is --for converged.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(
        name: .customLong("for"), help: "What for: running, healthy, completed (ended with 0), converged.")
    var goal: WaitRequest.Goal?

    @Option(help: ArgumentHelp("How long to wait: seconds, or as in 1m30s.", valueName: "duration"))
    var timeout: TimeSpan?

    @Flag(help: "Take the stack down when the containers have ended.")
    var downProject = false

    @OptionGroup var options: RunOptions

    @Argument(help: "Services; all when none is named.")
    var services: [String] = []

    func validate() throws {
        if downProject, goal != nil || services.isEmpty {
            throw ValidationError("--down-project is for waiting for the end of named services, without --for")
        }
    }

    func run() throws {
        let session = Session(global, file)
        try session.reporting(options) { run in
            let target = try session.target(services: services)
            run.concerns(target.name, target.stack)
            if goal == nil, !services.isEmpty { return try waitForEnd(run, stack: target.name) }
            let request = WaitRequest(services: services, goal: goal ?? .converged, timeout: timeout?.nanoseconds)
            try run.complete(run.engine().wait(stack: target.name, request), timeout: timeout?.nanoseconds)
        }
    }

    // MARK: - As Docker Compose

    private func waitForEnd(_ run: StackRun, stack: String) throws {
        let client = try run.engine()
        let mine = try client.containers(stack: stack).filter { services.contains($0.service) }
        let running = mine.filter { $0.state == .running || $0.state == .paused }
        guard !running.isEmpty else {
            throw CommandFailure(
                code: "wait.nothing-runs", "no container of \(services.joined(separator: ", ")) runs in stack \(stack)",
                hint: "`gantry ps -a` shows what there is")
        }
        let code = try waitForEnd(running, client, run.session)
        if downProject { try run.complete(client.down(stack: stack, DownRequest())) }
        if code != 0 { throw ExitCode(Int32(clamping: code)) }
    }

    /// The exit code of the one that ended last.
    private func waitForEnd(_ running: [ContainerStatus], _ client: EngineClient, _ session: Session) throws -> Int {
        let signals = try SignalSource(endingSignals)
        let deadline = timeout.map { monotonicNow() + $0.nanoseconds }
        var open = try running.map {
            (container: $0, stream: try client.openWait($0.id, condition: "not-running"), body: [UInt8]())
        }
        var last = 0
        while !open.isEmpty {
            var waited = [Waited(signals.descriptor)] + open.map { Waited($0.stream.descriptor) }
            let left = deadline.map { Int32(clamping: max(0, ($0 - monotonicNow()) / 1_000_000) + 1) }
            try wait(for: &waited, milliseconds: left)
            if waited[0].readable, let signal = try signals.take() { throw CommandFailure([], exitCode: 128 + signal) }
            for index in open.indices.reversed() where waited[index + 1].readable {
                if let bytes = try open[index].stream.receive() {
                    open[index].body += bytes
                    continue
                }
                let (container, _, body) = open.remove(at: index)
                last = try client.exitCode(in: body)
                try session.output.write("container \"\(container.id)\" exited with status code \(last)\n")
            }
            if let deadline, !open.isEmpty, monotonicNow() >= deadline {
                let names = open.map(\.container.name).joined(separator: ", ")
                throw CommandFailure(code: "stack.timeout", "timed out waiting for the end of \(names)")
            }
        }
        return last
    }
}
