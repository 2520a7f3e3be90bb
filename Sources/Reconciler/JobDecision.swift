import StackModel
import Timetable

/// What is to be done about a job: first `record` is written down, then `actions` are carried out. Asked once more
/// before they are done, the answer is the same.
public struct JobDecision: Equatable, Sendable {
    public enum Action: Equatable, Sendable {
        /// Make its container if it is not there, and start it.
        case start(JobRun)
        /// - Parameter policy: its restart policy has it run again.
        case restart(JobRun)
        case stop(JobRun)
        /// Remove its container.
        case forget(JobRun)
    }

    public var record: JobRecord
    public var actions: [Action] = []
    /// Nanoseconds since 1970: decide again then, at the latest.
    public var wakeAt: Int64?
}

/// What is seen of a job.
public struct JobSituation: Sendable {
    public var stack: String
    public var service: String
    /// The containers of its runs, by name.
    public var containers: [String: ObservedContainer]
    /// Of all that it depends on together.
    public var dependencies: GateStatus
    /// Its times are passed over.
    public var isHeld: Bool
    /// A command stopped it: what runs is stopped too.
    public var isStopped: Bool

    public init(
        stack: String, service: String, containers: [String: ObservedContainer], dependencies: GateStatus = .holds,
        isHeld: Bool = false, isStopped: Bool = false
    ) {
        self.stack = stack
        self.service = service
        self.containers = containers
        self.dependencies = dependencies
        self.isHeld = isHeld
        self.isStopped = isStopped
    }
}

/// A pure function; see `JobDecision`.
///
/// - Parameters:
///   - rules: `nil`: it has no schedule any more. What runs ends, and then all is forgotten.
///   - now: nanoseconds since 1970.
public func decideJob(_ rules: JobRules?, _ record: JobRecord, _ situation: JobSituation, now: Int64) -> JobDecision {
    var decider = JobDecider(rules: rules, situation: situation, now: now, decision: JobDecision(record: record))
    decider.run()
    return decider.decision
}

/// Of the services that a job depends on, all together. Those that are not required and cannot come are passed over.
public func dependencyStatus(ofJob service: String, stack: Stack, observed: ObservedState) -> GateStatus {
    let graph = DependencyGraph(services: stack.services)
    var isPending = false
    for (name, dependency) in graph.dependencies(of: service) where stack.services[name]?.schedule == nil {
        switch dependency.gate(on: name).status(in: observed) {
        case .holds: continue
        case .pending: isPending = true
        case .failed(let diagnostic): if dependency.required { return .failed(diagnostic) }
        }
    }
    return isPending ? .pending : .holds
}

/// A run that a command asks for now; `nil`: another goes on, and there may be only one.
public func beginJob(_ rules: JobRules, _ record: JobRecord, _ situation: JobSituation, now: Int64) -> JobDecision? {
    guard rules.concurrency != .forbid || !record.runs.contains(where: \.isActive) else { return nil }
    var decider = JobDecider(rules: rules, situation: situation, now: now, decision: JobDecision(record: record))
    if rules.concurrency == .replace { decider.stopAll(as: .replaced) }
    decider.begin(at: nil)
    return decider.decision
}

private struct JobDecider {
    /// Nanoseconds: after the clock was set back by less, no time comes twice.
    static let clockBackMax: Int64 = 3600 * 1_000_000_000
    /// Runs of one job that go on at a time.
    static let activeMax = 100
    /// Of those that did not come to be.
    static let unrunKept = 3

    let rules: JobRules?
    let situation: JobSituation
    let now: Int64
    var decision: JobDecision

    mutating func run() {
        for index in decision.record.runs.indices where decision.record.runs[index].isActive { settle(index) }
        if situation.isStopped { stopAll(as: .stopped) }
        if let rules {
            if situation.isHeld {
                decision.record.isHeld = true
            } else {
                if decision.record.consideredUpTo > adding(now, Self.clockBackMax) {
                    // The clock was set back a long way: times that have been must not be waited for again.
                    decision.record.consideredUpTo = now
                }
                if decision.record.isHeld {
                    (decision.record.isHeld, decision.record.consideredUpTo) = (false, now)
                }
                considerTimes(rules)
            }
        }
        forgetOld()
        for run in decision.record.runs where run.isActive { act(on: run) }
    }

    private mutating func wake(at time: Int64) { decision.wakeAt = min(time, decision.wakeAt ?? time) }

    // MARK: Runs that go on

    private func container(of run: JobRun) -> ObservedContainer? { situation.containers[run.id] }

    /// Notes how a run stands.
    private mutating func settle(_ index: Int) {
        var run = decision.record.runs[index]
        defer { decision.record.runs[index] = run }
        if let timeout = rules?.timeout, run.stopping == nil, now >= adding(run.begunAt, timeout) {
            run.stopping = .timedOut
        }
        guard let container = container(of: run) else {
            if run.isMade {
                end(&run, .failed, at: now, note: "its container was removed")
            } else if let stopping = run.stopping {
                end(&run, stopping, at: now)
            }
            return
        }
        run.isMade = true
        guard !container.isAlive else { return }
        guard container.finishedAt != nil || container.state == .exited || container.state == .dead else {
            if let stopping = run.stopping { end(&run, stopping, at: now) }
            return
        }
        run.exitCode = container.exitCode
        let at = max(container.finishedAt ?? now, run.begunAt)
        if let stopping = run.stopping { return end(&run, stopping, at: at) }
        if container.hasCompleted { return end(&run, .succeeded, at: at) }
        guard RestartBackoff.decision(for: container, now: now) == .stay else { return }
        end(&run, .failed, at: at, note: container.state == .created ? "it could not be started" : nil)
    }

    private func end(_ run: inout JobRun, _ outcome: JobRun.Outcome, at time: Int64, note: String? = nil) {
        (run.outcome, run.endedAt) = (outcome, time)
        run.note = run.note ?? note
    }

    mutating func stopAll(as outcome: JobRun.Outcome) {
        for index in decision.record.runs.indices where decision.record.runs[index].isActive {
            guard decision.record.runs[index].stopping == nil else { continue }
            decision.record.runs[index].stopping = outcome
            settle(index)
        }
    }

    private mutating func act(on run: JobRun) {
        if let timeout = rules?.timeout, run.stopping == nil { wake(at: adding(run.begunAt, timeout)) }
        guard let container = container(of: run) else { return startWhenReady(run) }
        if container.isAlive {
            if run.stopping != nil, !container.stopping { decision.actions.append(.stop(run)) }
            return
        }
        guard container.finishedAt != nil || container.state == .exited else { return startWhenReady(run) }
        guard case .restart(let time) = RestartBackoff.decision(for: container, now: now) else { return }
        if time <= now { decision.actions.append(.restart(run)) } else { wake(at: time) }
    }

    private mutating func startWhenReady(_ run: JobRun) {
        guard run.stopping == nil, let index = decision.record.runs.firstIndex(where: { $0.id == run.id }) else {
            return
        }
        switch situation.dependencies {
        case .holds: decision.actions.append(.start(run))
        case .pending: break
        case .failed(let diagnostic):
            // Nobody waits for one that came by the clock: that is not begun before its dependencies are ready.
            end(&decision.record.runs[index], .failed, at: now, note: diagnostic.message)
        }
    }

    // MARK: Times

    private mutating func considerTimes(_ rules: JobRules) {
        defer {
            let after = max(now, decision.record.consideredUpTo)
            if let next = rules.expression.next(after: after, in: rules.zone) { wake(at: next) }
        }
        guard
            let due = rules.expression.last(after: decision.record.consideredUpTo, upTo: now, in: rules.zone)
        else { return }
        let earlier =
            due.earlier == 0 ? nil : "\(due.earlier) earlier \(due.earlier == 1 ? "time was" : "times were") missed"
        if let deadline = rules.deadline, now > adding(due.time, deadline) {
            return leaveOut(.missed, due.time, because: earlier)
        }
        guard case .holds = situation.dependencies else {
            if let deadline = rules.deadline { wake(at: adding(due.time, deadline) + 1) }
            return
        }
        let active = decision.record.runs.filter(\.isActive)
        switch rules.concurrency {
        case .forbid:
            if let last = active.last { return leaveOut(.skipped, due.time, because: "\(last.id) was still going on") }
        case .replace:
            stopAll(as: .replaced)
            // Their ends are news.
            guard !decision.record.runs.contains(where: \.isActive) else { return }
        case .allow:
            guard active.count < Self.activeMax else {
                return leaveOut(.skipped, due.time, because: "\(active.count) runs were still going on")
            }
        }
        decision.record.consideredUpTo = due.time
        begin(at: due.time, note: earlier)
    }

    private mutating func leaveOut(_ outcome: JobRun.Outcome, _ time: Int64, because note: String?) {
        decision.record.consideredUpTo = time
        var run = JobRun(id: name(time), scheduledAt: time, begunAt: now)
        end(&run, outcome, at: now, note: note)
        decision.record.runs.append(run)
    }

    mutating func begin(at time: Int64?, note: String? = nil) {
        var run = JobRun(id: name(time ?? now), scheduledAt: time, begunAt: now)
        run.note = note
        decision.record.runs.append(run)
    }

    /// `STACK-SERVICE-run-20261122-031500`, in UTC.
    private func name(_ time: Int64) -> String {
        let clock = CivilTime(seconds: time / 1_000_000_000)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(clock.year)\(two(clock.month))\(two(clock.day))"
        let stem =
            "\(situation.stack)-\(situation.service)-run-\(date)-\(two(clock.hour))\(two(clock.minute))"
            + two(clock.second)
        let taken = Set(decision.record.runs.map(\.id))
        guard taken.contains(stem) else { return stem }
        return (2...).lazy.map { "\(stem)-\($0)" }.first { !taken.contains($0) } ?? stem
    }

    // MARK: History

    private mutating func forgetOld() {
        var left: [Int: Int] = [:]
        var kept: [JobRun] = []
        for run in decision.record.runs.reversed() {
            guard let outcome = run.outcome else {
                kept.append(run)
                continue
            }
            let (kind, limit) = limit(outcome)
            left[kind, default: limit] -= 1
            if left[kind, default: 0] >= 0 {
                kept.append(run)
            } else if container(of: run) != nil {
                // It stays on record until its container is gone.
                kept.append(run)
                decision.actions.append(.forget(run))
            }
        }
        decision.record.runs = kept.reversed()
    }

    private func limit(_ outcome: JobRun.Outcome) -> (kind: Int, count: Int) {
        switch outcome {
        case .succeeded: (0, rules?.succeededKept ?? 0)
        case .failed, .timedOut, .replaced, .stopped: (1, rules?.failedKept ?? 0)
        case .missed, .skipped: (2, rules == nil ? 0 : Self.unrunKept)
        }
    }

    private func adding(_ time: Int64, _ span: Int64) -> Int64 {
        let (sum, overflow) = time.addingReportingOverflow(span)
        return overflow ? Int64.max - 1 : sum
    }
}
