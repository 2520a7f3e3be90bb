import ArgumentParser
import EngineClient
import EngineWire
import StackFile
import StackModel

struct ReconcileCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument { case text, json }

    static let configuration = CommandConfiguration(
        commandName: "reconcile", abstract: "Plan, apply, and wait until the stack has converged.",
        usage: "gantry reconcile [<global options>] [<options>]",
        discussion: """
            For scripts and CI: exit code 0 when the stack has converged, 1 when it
            has not, 2 when the command line is wrong, 3 when the stack file is; 4
            when an update failed and is paused, 5 when it was rolled back, 10 when
            that failed too; 6 when the time was over, 7 when another command had
            the stack for longer than --lock-timeout. With -p and without a stack file it is the stack as the
            engine knows it.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @OptionGroup var waiting: WaitOptions

    @Flag(
        name: [.customLong("prune"), .customLong("remove-orphans")],
        help: "Also remove containers of services that the stack file no longer has.")
    var prune = false

    @Option(help: "What may be replaced although its data is lost, as volume.NAME; may be repeated.")
    var allowDestroy: [String] = []

    @Option(help: "Begin anew with an empty volume where this one is gone; may be repeated.")
    var recreateVolume: [String] = []

    @Option(help: "Form of the output.")
    var format = Format.text

    @OptionGroup var options: RunOptions

    func run() throws {
        let session = Session(global, file)
        try session.reporting(options) { try run($0, session) }
    }

    private func run(_ run: StackRun, _ session: Session) throws {
        let target = try session.target(services: [])
        run.concerns(target.name, target.stack)
        let client = try run.engine()
        var request = ApplyRequest(stack: target.stack)
        request.removeOrphans = prune
        request.allowDestroy = allowDestroy
        request.refusesDestruction = true
        request.recreatedVolumes = recreateVolume
        let plan = try client.plan(stack: target.name, request)
        run.notePlan(plan)
        try session.show(plan.warnings)
        if format == .text {
            try session.output.write(
                renderPlan(plan, folder: session.workingDirectory, color: session.output.color))
        }
        request.wait = waiting.wait
        request.waitTimeout = waiting.timeout?.nanoseconds
        try apply(request, plan, client, run)
    }

    private func apply(_ request: ApplyRequest, _ plan: PlanReply, _ client: EngineClient, _ run: StackRun) throws {
        let session = run.session
        let beginning = monotonicNow()
        do {
            if let stack = request.stack {
                try StackBuild(stack: stack, session: session).ensure([], dependencies: true, .missing)
            }
            let stream = try client.apply(stack: plan.stack, request)
            let changes = try run.complete(stream, timeout: request.waitTimeout)
            try conclude(plan, changes: changes, since: beginning, failures: [], session)
        } catch {
            guard let ending = failure(for: error) else { throw error }
            try conclude(plan, changes: nil, since: beginning, failures: ending.diagnostics, session)
            throw ending
        }
    }

    private func conclude(
        _ plan: PlanReply, changes: Int?, since beginning: Int64, failures: [Diagnostic], _ session: Session
    ) throws {
        let milliseconds = (monotonicNow() - beginning) / 1_000_000
        switch format {
        case .text: try session.output.write(conclusion(plan.stack, changes: changes, milliseconds: milliseconds))
        case .json:
            let result = JSONText.object([
                ("stack", .string(plan.stack)), ("converged", .bool(changes != nil)),
                ("changes", .number(changes ?? 0)), ("milliseconds", .number(milliseconds)),
                ("plan", try planJSON(plan)),
                ("errors", .array(failures.map(diagnosticJSON))),
            ])
            try session.output.write(result.text + "\n")
        }
    }
}

/// The last line of `reconcile`. `changes`: `nil` when it failed.
func conclusion(_ stack: String, changes: Int?, milliseconds: Int64) -> String {
    let tenths = milliseconds / 100
    let time = "\(tenths / 10).\(tenths % 10) s"
    guard let changes else { return "Stack \(stack) has not converged after \(time).\n" }
    return "Stack \(stack) has converged: \(changes) change\(changes == 1 ? "" : "s") in \(time).\n"
}

/// A stack that a command means: with its file, or only by the name that the engine knows it by.
struct StackTarget {
    var name: String
    var stack: Stack?
}

extension Session {
    func target(services: [String]) throws -> StackTarget {
        if !hasStackFile, let name = try explicitProjectName() { return StackTarget(name: name, stack: nil) }
        let stack = try loadStack(services: services).stack
        return StackTarget(name: stack.name, stack: stack)
    }
}
