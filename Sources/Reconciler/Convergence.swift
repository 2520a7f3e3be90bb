import StackModel

/// One piece of work on a stack, from the first look at it to its end: events go in, commands come out. There is no
/// clock and no effect in it; whoever drives it carries the commands out and says how they went.
///
/// It lives as long as its work does and is never stored: after a crash the next one begins with what is there.
public struct Convergence: Sendable {
    public enum Event: Equatable, Sendable {
        /// The first one.
        case began
        /// The answer to `.observe` and `.look`, taken after they were asked for. `now`: nanoseconds since 1970.
        case observed(ObservedState, now: Int64)
        /// A step is over; `failures` is empty when it succeeded.
        case ended(step: Int, failures: [Diagnostic])
        /// After `.wait`: something of the stack changed, or the time has come.
        case news
        /// What there should be from now on: the answer to `.returnTo`, or a user's doing.
        case wanted(DesiredState, RevisionHistory)
        /// The answer to `.returnTo` where that revision cannot be had any more.
        case notReturned(Diagnostic)
        /// Begin nothing more.
        case cancelled
    }

    public enum Command: Equatable, Sendable {
        /// Look at everything; answered by `.observed`.
        case observe
        /// Look at what is known without asking the kernel; answered by `.observed`.
        case look
        /// A plan is about to be carried out.
        case begin(Plan)
        /// Answered by `.ended`.
        case perform(Step)
        /// Say `.news` when there is some, and at that time (nanoseconds since 1970) at the latest.
        case wait(until: Int64?)
        /// A new pass is due then (nanoseconds since 1970), or when there is news.
        case wake(at: Int64)
        /// The present revision has reached its goal.
        case saveStable
        /// Make this revision what there should be; answered by `.wanted` or `.notReturned`.
        case returnTo(revision: Int)
        case warn(Diagnostic)
        /// The last one.
        case finish(Outcome)
    }

    public enum Outcome: Equatable, Sendable {
        /// `changes`: steps that were carried out.
        case done(changes: Int)
        case failed([Diagnostic])
        case rolloutFailed(RolloutFailure)
        case cancelled
    }

    public struct RolloutFailure: Equatable, Sendable {
        public var rollouts: [FailedRollout]
        /// The revision that serves again.
        public var undoneTo: Int?
        /// It was a rollback that failed.
        public var isRollback: Bool
    }

    /// The plan for a piece of work, by what there is and the time (nanoseconds since 1970).
    public typealias Planning = @Sendable (Work, ObservedState, Int64) -> Plan

    enum Phase: Equatable, Sendable {
        case idle
        /// A look at everything is on its way, and a plan follows.
        case planning
        /// Steps are under way, or a look at what they have done is.
        case running
        case waiting, returning, finished
    }

    /// Rounds in a row that did everything planned and still planned the same again.
    private static let fruitlessRoundsMax = 8
    /// Rounds in which something was done: a plan that still is not empty after so many is a fault of ours.
    private static let roundsMax = 10_000

    private(set) var phase = Phase.idle
    public private(set) var work: Work
    private var history: RevisionHistory
    /// Nanoseconds since 1970.
    private let deadline: Int64?
    /// Steps that keep a processor busy, at a time.
    private let parallelism: Int
    private let planner: Planning

    /// The plan that is carried out, and how far it is.
    public private(set) var plan = Plan()
    public private(set) var done: Set<Int> = []
    public private(set) var begun: Set<Int> = []
    private var ended: Set<Int> = []
    /// Those of `ended` whose outcome has been looked at.
    private var seen: Set<Int> = []
    private var failures: [Diagnostic] = []
    private var unmade: [FailedRollout] = []
    /// How far each container was when last looked at.
    private var standings: [String: Standing] = [:]

    private var changes = 0
    /// No plan has been made yet.
    private var isFirst = true
    private var rounds = 0
    private var fruitless = 0
    private var warned: Set<String> = []
    private var isCancelled = false
    /// Somebody wants something else than `plan` is for.
    private var isOutdated = false
    /// What failed and is undone, and the revision that this goes to.
    private var undoing: (failed: [FailedRollout], target: Int)? {
        undoneRollouts.isEmpty ? nil : (undoneRollouts, undoTarget)
    }
    private var undoneRollouts: [FailedRollout] = []
    private var undoTarget = 0
    /// A revision that cannot be returned to.
    private var refusedTarget: Int?

    /// - Parameters:
    ///   - deadline: nanoseconds since 1970; `nil`: as long as it takes.
    ///   - parallelism: how many steps that keep a processor busy may run side by side.
    public init(
        _ work: Work, history: RevisionHistory = RevisionHistory(), deadline: Int64? = nil, parallelism: Int = Int.max,
        planner: @escaping Planning = { $0.plan($1, now: $2) }
    ) {
        self.work = work
        self.history = history
        self.deadline = deadline
        self.parallelism = parallelism
        self.planner = planner
    }

    public var isFinished: Bool { phase == .finished }

    /// Steps that were begun and have not ended.
    private var running: Set<Int> { begun.subtracting(ended) }
    private var isAtRest: Bool { begun.count == ended.count }

    /// What follows from `event`, in the order in which it is to be done.
    public mutating func step(_ event: Event) -> [Command] {
        switch (phase, event) {
        case (.finished, _): return []
        case (_, .cancelled):
            isCancelled = true
            return isAtRest ? finish(.cancelled) : []
        case (.idle, .began): return replan()
        case (.planning, .observed(let observed, let now)): return begin(observed, now: now)
        case (.running, .observed(let observed, let now)): return advance(observed, now: now)
        case (.running, .ended(let step, let failures)): return note(step, failures)
        case (.waiting, .news): return work.isReplanned ? replan() : look()
        case (.returning, .notReturned(let diagnostic)): return notReturned(diagnostic)
        case (_, .wanted(let desired, let history)): return want(desired, history)
        default: return []
        }
    }

    private mutating func finish(_ outcome: Outcome) -> [Command] {
        phase = .finished
        return [.finish(outcome)]
    }

    private mutating func replan() -> [Command] {
        phase = .planning
        return [.observe]
    }

    private mutating func look() -> [Command] {
        phase = .running
        return [.look]
    }
}

// MARK: A round

extension Convergence {
    /// Makes a plan and begins with it.
    private mutating func begin(_ observed: ObservedState, now: Int64) -> [Command] {
        let wasFirst = isFirst
        (isFirst, isOutdated) = (false, false)
        work.begin(at: now)
        let next = planner(work, observed, now)
        var commands = next.warnings.filter { warned.insert($0.message).inserted }.map { Command.warn($0) }
        if work.isKeeping, let time = next.wakeAt { commands.append(.wake(at: time)) }
        let failed = next.failedRollouts.isEmpty ? unmade : next.failedRollouts
        unmade = []
        if !failed.isEmpty {
            let end = rolloutFailed(failed)
            if !end.isEmpty { return commands + end }
        }
        if !failures.isEmpty { return commands + fail(failures) }
        if work.isReplanned {
            guard next.blocked.isEmpty else { return commands + fail(next.blocked) }
            if !wasFirst, let end = timeout(next, now: now) { return commands + end }
        }
        (plan, done, begun, ended, seen) = (next, [], [], [], [])
        standings = Standing.all(observed)
        guard !plan.isEmpty else { return commands + settle(observed) }
        return commands + [.begin(plan)] + advance(observed, now: now)
    }

    /// Nothing is left to do.
    private mutating func settle(_ observed: ObservedState) -> [Command] {
        if let undoing {
            return finish(
                .rolloutFailed(
                    RolloutFailure(rollouts: undoing.failed, undoneTo: undoing.target, isRollback: false)))
        }
        var commands: [Command] = []
        if case .keep(let desired) = work, history.isUnproven, plan.heldRollouts.isEmpty,
            goal(desired: desired, observed: observed) == .reached, isProven(desired)
        {
            commands.append(.saveStable)
        }
        return commands + finish(.done(changes: changes))
    }

    /// What a command has stopped is where it should be, and yet says nothing for a revision that changed it.
    private func isProven(_ desired: DesiredState) -> Bool {
        desired.stopped.allSatisfy { desired.replicas(of: $0) == 0 || history.hasWorked($0) }
    }

    /// Begins every step whose turn it is.
    private mutating func advance(_ observed: ObservedState, now: Int64) -> [Command] {
        phase = .running
        var commands: [Command] = []
        noteTurns(observed)
        if failures.isEmpty, !isCancelled, !isOutdated {
            let running = running
            var heavy =
                running.isEmpty ? 0 : plan.steps.count { running.contains($0.id) && $0.action.isHeavy }
            for step in plan.runnable(done: done, begun: begun, in: observed) {
                guard !step.action.isHeavy || heavy < parallelism else { continue }
                heavy += step.action.isHeavy ? 1 : 0
                begun.insert(step.id)
                commands.append(.perform(step))
            }
        }
        return isAtRest ? endRound(observed, now: now) : commands
    }

    /// A plan counts on what serves, and takes away at once what does not. When that changes by no step of it, another
    /// one is made.
    private mutating func noteTurns(_ observed: ObservedState) {
        let (before, now) = (standings, Standing.all(observed))
        defer { (standings, seen) = (now, ended) }
        guard work.desired != nil, now != before else { return }
        var meant: Set<String> = []
        for step in plan.steps {
            guard let id = step.action.containerID else { continue }
            if !begun.contains(step.id), let standing = now[id], standing > before[id] ?? .idle { isOutdated = true }
            if mayEnd(step) { meant.insert(id) }
        }
        if plan.tolerated.contains(where: { now[$0] ?? .idle > before[$0] ?? .idle }) { isOutdated = true }
        let isLost = before.contains { id, standing in standing > now[id] ?? .idle && !meant.contains(id) }
        if isLost { isOutdated = true }
    }

    /// A container that ceases to serve does so by this step's doing. One that was started, or has come up again
    /// after a restart, ends by itself.
    private func mayEnd(_ step: Step) -> Bool {
        guard begun.contains(step.id) else { return false }
        switch step.action {
        case .startContainer: return false
        case .restartContainer: return !seen.contains(step.id)
        default: return true
        }
    }

    private mutating func note(_ step: Int, _ diagnostics: [Diagnostic]) -> [Command] {
        guard begun.contains(step), !ended.contains(step) else { return [] }
        ended.insert(step)
        if diagnostics.isEmpty {
            done.insert(step)
            changes += 1
            return [.look]
        }
        noteUnmade(step, diagnostics)
        guard isRolloutsBusiness(step) else {
            failures += diagnostics
            return [.look]
        }
        isOutdated = true
        return diagnostics.map { .warn($0.asWarning) } + [.look]
    }

    /// No step is under way, and none may begin.
    private mutating func endRound(_ observed: ObservedState, now: Int64) -> [Command] {
        if isCancelled { return finish(.cancelled) }
        if isOutdated { return replan() }
        guard failures.isEmpty else {
            // What failed may be a rollout's doing: the next look tells.
            return work.desired == nil ? fail(failures) : replan()
        }
        if work.isKeeping { return finish(.done(changes: changes)) }
        guard work.isReplanned else { return endOnce(observed) }
        guard !done.isEmpty else {
            if let end = timeout(plan, now: now) { return end }
            phase = .waiting
            return [.wait(until: [plan.wakeAt, deadline].compactMap { $0 }.min())]
        }
        rounds += 1
        if done.count == plan.steps.count { fruitless += 1 }
        guard fruitless <= Self.fruitlessRoundsMax, rounds < Self.roundsMax else { return fail([doesNotSettle]) }
        return replan()
    }

    /// A plan that is not made anew waits for its gates.
    private mutating func endOnce(_ observed: ObservedState) -> [Command] {
        guard begun.count < plan.steps.count else { return finish(.done(changes: changes)) }
        // Whoever would start again what has ended waits for this work to be over.
        var last = observed
        for index in last.containers.indices where !last.containers[index].isAlive {
            last.containers[index].definition.service.restart.mode = .no
        }
        let hopeless = plan.failures(done: done, begun: begun, in: last)
        guard hopeless.isEmpty else { return fail(hopeless) }
        // Nobody makes what was removed meanwhile.
        if let service = awaited.first(where: { name in !observed.containers.contains { $0.service == name } }) {
            let hint = "make it with `gantry up \(service)`"
            return fail([
                Diagnostic(code: "service.no-container", "service \"\(service)\" has no container any more", hint: hint)
            ])
        }
        phase = .waiting
        return [.wait(until: plan.wakeAt)]
    }

    /// Services that steps wait for.
    private var awaited: [String] {
        plan.steps.filter { !begun.contains($0.id) }.flatMap(\.gates).compactMap(\.service)
    }

    private mutating func timeout(_ plan: Plan, now: Int64) -> [Command]? {
        guard let deadline, now >= deadline, !plan.isEmpty else { return nil }
        let waiting = Set(plan.steps.map(\.name)).sorted().joined(separator: ", ")
        return finish(
            .failed([Diagnostic(code: "stack.timeout", "timed out waiting to go on with \(waiting)")]))
    }

    private var doesNotSettle: Diagnostic {
        let lines = plan.displayChanges.prefix(5).map { "\($0.name): \($0.reason)" }
        return Diagnostic(
            code: "engine.conflict",
            "the stack does not settle; still to do: \(lines.joined(separator: ", "))")
    }
}

// MARK: Rollouts that fail

extension Convergence {
    /// A replica that could not even be made is not there to be found failed.
    private mutating func noteUnmade(_ id: Int, _ diagnostics: [Diagnostic]) {
        guard let desired = work.desired, desired.changedAt != nil, !desired.isRollback,
            let step = plan.steps.first(where: { $0.id == id }), case .createContainer(let service, _) = step.action,
            desired.stack.services[service]?.isRolledBack == true
        else { return }
        unmade.append(FailedRollout(service: service, action: .rollback, failures: diagnostics))
    }

    /// A replica that does not start is one that failed: what follows is for the update's policy to say.
    private func isRolloutsBusiness(_ id: Int) -> Bool {
        guard let desired = work.desired, desired.changedAt != nil,
            let step = plan.steps.first(where: { $0.id == id }), case .startContainer = step.action,
            let service = step.service
        else { return false }
        return desired.stack.services[service]?.deploy?.update != nil
    }

    /// Empty where the work goes on all the same: the loop's with what the rollout leaves alone.
    private mutating func rolloutFailed(_ failed: [FailedRollout]) -> [Command] {
        // A rollback is not rolled back.
        if work.desired?.isRollback == false, history.isUnproven, refusedTarget != rollbackTarget,
            failed.contains(where: { $0.action == .rollback }),
            let target = rollbackTarget
        {
            (undoneRollouts, undoTarget) = (failed, target)
            phase = .returning
            let warnings = failed.flatMap(\.failures).map { Command.warn($0.asWarning) }
            return warnings + [.returnTo(revision: target)]
        }
        return work.isKeeping ? [] : giveUp(failed)
    }

    private var rollbackTarget: Int? {
        do { return try history.rollbackTarget() } catch { return nil }
    }

    private mutating func giveUp(_ failed: [FailedRollout]) -> [Command] {
        finish(
            .rolloutFailed(
                RolloutFailure(rollouts: failed, undoneTo: nil, isRollback: work.desired?.isRollback == true)))
    }

    private mutating func notReturned(_ diagnostic: Diagnostic) -> [Command] {
        let failed = undoneRollouts
        (undoneRollouts, refusedTarget) = ([], undoTarget)
        let warning = Command.warn(diagnostic.asWarning)
        // The loop goes on with all that has nothing to do with the rollout.
        return [warning] + (work.isKeeping ? replan() : giveUp(failed))
    }

    private mutating func want(_ desired: DesiredState, _ history: RevisionHistory) -> [Command] {
        self.history = history
        let isOther = work.desired.map { $0.stack != desired.stack || $0.imageIDs != desired.imageIDs } ?? true
        switch work {
        case .keep: work = .keep(desired)
        default: work = .reach(desired)
        }
        (failures, unmade, isOutdated) = ([], [], true)
        switch phase {
        case .returning:
            // The next pass goes on with it.
            return work.isKeeping ? finish(.done(changes: changes)) : replan()
        case .waiting:
            if isOther { undoneRollouts = [] }
            return replan()
        case .idle, .planning, .running, .finished:
            if isOther { undoneRollouts = [] }
            return []
        }
    }

    /// The work ends in failure; where a rollout is being undone, in that of the rollback.
    private mutating func fail(_ diagnostics: [Diagnostic]) -> [Command] {
        guard let undoing else { return finish(.failed(diagnostics)) }
        let failed = undoing.failed.enumerated().map { index, rollout in
            FailedRollout(
                service: rollout.service, action: rollout.action, failures: index == 0 ? diagnostics : [])
        }
        return finish(.rolloutFailed(RolloutFailure(rollouts: failed, undoneTo: nil, isRollback: true)))
    }
}

extension Diagnostic {
    fileprivate var asWarning: Diagnostic {
        var warning = self
        warning.severity = .warning
        return warning
    }
}

/// What a plan can count on of a container.
private enum Standing: Int, Comparable {
    case idle, serving, ready

    static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    /// Of those that are not idle, by id.
    static func all(_ observed: ObservedState) -> [String: Standing] {
        var result: [String: Standing] = [:]
        for container in observed.containers where container.isServing {
            result[container.id] = container.silentPorts.isEmpty ? .ready : .serving
        }
        return result
    }
}

extension Service {
    /// An update that fails is undone.
    fileprivate var isRolledBack: Bool {
        gantry?.rollout?.autoRollback ?? (deploy?.update?.failureAction == .rollback)
    }
}

extension Action {
    /// Of the container that it starts or stops.
    fileprivate var containerID: String? {
        switch self {
        case .startContainer(.id(let id), _), .stopContainer(let id, _, _), .removeContainer(let id, _),
            .restartContainer(let id, _):
            id
        default: nil
        }
    }

    /// Whether it keeps a processor busy: such steps run a few at a time, the others (which wait) all at once.
    var isHeavy: Bool {
        switch self {
        case .stopContainer, .signalContainer, .awaitReplica: false
        default: true
        }
    }
}
