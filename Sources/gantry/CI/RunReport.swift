import EngineWire
import StackModel

/// One run of a command that changes a stack, or waits for one, as reports tell of it.
struct RunReport {
    enum Result: String {
        /// Something was changed, and every service is where it should be.
        case converged
        /// There was nothing to do.
        case noop
        case rolledBack = "rolled_back"
        /// Old and new replicas serve side by side until somebody says more.
        case paused
        case failed
    }

    struct Service: Equatable {
        enum Outcome: Equatable { case unchanged, converged, failed, notReached }
        var name: String
        var outcome: Outcome
        /// From the beginning until it was where it should be, or had failed.
        var milliseconds: Int64
        var source: SourceMark?
    }

    /// Objects by what became of them, where no plan says it.
    struct Counts: Equatable {
        var create = 0
        var update = 0
        var delete = 0
    }

    var command: String
    /// `nil`: it failed before that was known.
    var stack: String?
    var startedAt: Moment
    var milliseconds: Int64 = 0
    var exitCode: Int32 = 0
    /// The engine says so; the exit code may be one that was asked for.
    var isDone = false
    var changes = 0
    var revision: Int?
    var planPath: String?
    /// Services whose update waits for somebody although the command succeeded, and what for.
    var held: [String: RolloutReply.State] = [:]
    var plan: PlanReply?
    var services: [Service] = []
    var counts = Counts()
    var failures: [FailureReport] = []
    /// Warnings and errors.
    var diagnostics: [Diagnostic] = []

    var result: Result {
        switch exitCode {
        case _ where exitCode == 0 || (isDone && errors.isEmpty):
            !held.isEmpty ? .paused : changes == 0 ? .noop : .converged
        case StackExitCode.paused.rawValue: .paused
        case StackExitCode.rolledBack.rawValue: .rolledBack
        default: .failed
        }
    }

    var isChanged: Bool { changes > 0 || result == .rolledBack || result == .paused }

    var errors: [Diagnostic] { diagnostics.filter { $0.severity == .error } }

    /// As the plan has them, otherwise as they were seen.
    var planCounts: Counts {
        guard let plan else { return counts }
        var counts = Counts()
        for change in plan.effective {
            switch change.action {
            case .create, .build: counts.create += 1
            case .remove: counts.delete += 1
            case .recreate, .start, .stop, .restart, .repair, .update: counts.update += 1
            default: break
            }
        }
        return counts
    }
}

/// Makes the services' part of a report from the events of a run. Times are milliseconds since its beginning.
struct RunRecorder {
    private struct Seen {
        var isChanged = false
        var endedAt: Int64?
        var hasFailed = false
        var isCreated = false
        var isRemoved = false
        /// It was made, and nothing more was done with it since.
        var isOnlyCreated = false
    }

    private struct Object: Hashable {
        var kind: PlanReply.Change.Kind
        var name: String
    }

    private var containers: [String: Seen] = [:]
    private var begun: Set<Object> = []
    private var done: Set<Object> = []
    private(set) var failures: [FailureReport] = []

    mutating func take(_ event: ProgressEvent, at milliseconds: Int64) {
        if case .object(let kind, let name, let state, _) = event {
            let object = Object(kind: kind, name: name)
            if state == .working { begun.insert(object) }
            if state == .done, begun.contains(object) { done.insert(object) }
        }
        switch event {
        case .object(.container, let name, let state, let status):
            var seen = containers[name] ?? Seen()
            switch state {
            case .working: (seen.isChanged, seen.endedAt) = (true, nil)
            case .waiting: seen.endedAt = nil
            case .done: seen.endedAt = milliseconds
            case .failed: (seen.hasFailed, seen.endedAt) = (true, milliseconds)
            case .warning: break
            }
            if state == .done { seen.isOnlyCreated = status == "Created" }
            if seen.isOnlyCreated { seen.isCreated = true }
            if state == .done, status == "Removed" { seen.isRemoved = true }
            containers[name] = seen
        case .failure(let failure): failures.append(failure)
        default: break
        }
    }

    /// Objects that something was done with.
    var changedCount: Int { done.count }

    var counts: RunReport.Counts {
        var counts = RunReport.Counts()
        for seen in containers.values where seen.isChanged {
            if seen.isCreated, !seen.isRemoved {
                counts.create += 1
            } else if seen.isRemoved, !seen.isCreated {
                counts.delete += 1
            } else {
                counts.update += 1
            }
        }
        return counts
    }

    /// - Parameters:
    ///   - names: of the stack's services.
    ///   - members: container to service.
    ///   - planned: services of which containers were to be changed.
    ///   - succeeded: whether the command did.
    ///   - unfinished: services of which something is left to be done although nothing failed.
    func services(
        _ names: [String], members: [String: String], planned: Set<String> = [], milliseconds: Int64, succeeded: Bool,
        unfinished: (String) -> Bool = { _ in false }, source: (String) -> SourceMark?
    ) -> [RunReport.Service] {
        let failed = Set(failures.map(\.service))
        return names.sorted().map { name in
            let own = containers.filter { members[$0.key] == name }.map(\.value)
            let hasFailed = failed.contains(name) || own.contains(where: \.hasFailed)
            let isChanged = own.contains(where: \.isChanged)
            let end = own.compactMap(\.endedAt).max()
            let isThere =
                !unfinished(name) && (succeeded || own.allSatisfy { $0.endedAt != nil && !$0.isOnlyCreated })
            let isUntouched = !isChanged && (succeeded || !planned.contains(name))
            let outcome: RunReport.Service.Outcome =
                hasFailed ? .failed : isUntouched ? .unchanged : isChanged && isThere ? .converged : .notReached
            return RunReport.Service(
                name: name, outcome: outcome, milliseconds: outcome == .unchanged ? 0 : end ?? milliseconds,
                source: source(name))
        }
    }
}

/// `12.3`: seconds with one decimal.
func secondsText(_ milliseconds: Int64) -> String { "\(milliseconds / 1000).\(milliseconds % 1000 / 100)" }
