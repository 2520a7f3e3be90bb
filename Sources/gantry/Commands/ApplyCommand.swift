import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct ApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Carry out a saved plan, or plan and apply the stack file.",
        usage: "gantry apply [<global options>] [<options>] [<plan>]",
        discussion: """
            With a plan that `gantry plan --out FILE` saved, the stack file is not
            needed. When what the plan touches has changed since, it is refused with
            exit code 8. What would lose data is refused with exit code 9, unless
            --allow-destroy names it. Nothing is ever asked.
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

    @Option(help: "Exit code when something was changed, instead of 0.")
    var changedExitcode: Int32 = 0

    @OptionGroup var options: RunOptions

    @Argument(help: "File that `gantry plan --out` wrote.")
    var plan: String?

    func validate() throws {
        guard (0...255).contains(changedExitcode) else {
            throw ValidationError("an exit code is a number from 0 to 255")
        }
        if plan != nil, prune {
            throw ValidationError("--prune is decided when the plan is made")
        }
    }

    func run() throws {
        let session = Session(global, file)
        var isChanged = false
        try session.reporting(options) { isChanged = try run($0, session) }
        if isChanged, changedExitcode != 0 { throw ExitCode(changedExitcode) }
    }

    /// - Returns: whether something was changed.
    private func run(_ run: StackRun, _ session: Session) throws -> Bool {
        let plan: PlanReply
        var request: ApplyRequest
        if let path = self.plan {
            let file = try SavedPlanFile(path)
            plan = file.plan
            run.concerns(plan.stack, nil)
            request = ApplyRequest(stack: nil)
            request.saved = file.request(session)
        } else {
            (plan, request) = try planned(run, session)
        }
        request.allowDestroy = allowDestroy
        request.refusesDestruction = true
        request.wait = waiting.wait
        request.waitTimeout = waiting.timeout?.nanoseconds
        run.notePlan(plan, path: self.plan)
        try session.show(plan, .text)
        let changes = try run.complete(
            run.engine().apply(stack: plan.stack, request), timeout: request.waitTimeout)
        return changes > 0 || plan.changed
    }

    private func planned(_ run: StackRun, _ session: Session) throws -> (PlanReply, ApplyRequest) {
        let target = try session.target(services: [])
        run.concerns(target.name, target.stack)
        var request = ApplyRequest(stack: target.stack)
        request.removeOrphans = prune
        var question = request
        (question.allowDestroy, question.refusesDestruction) = (allowDestroy, true)
        let plan = try session.engine().plan(stack: target.name, question)
        // Before anything is built for nothing.
        guard plan.errors.allSatisfy({ $0.code != "consent.needed" }) else {
            throw CommandFailure(plan.errors, exitCode: StackExitCode(plan.errors)?.rawValue ?? 1)
        }
        if let stack = target.stack {
            try StackBuild(stack: stack, session: session).ensure([], dependencies: true, .missing)
        }
        return (plan, request)
    }
}
