import EngineWire
import Metrics
import Reconciler
import StackModel

/// What an engine has done since it was started: for `GET /metrics`. The engine's own state, changed on its actor.
struct EngineCounters: Sendable {
    private struct Step: Hashable {
        var object: String
        var step: String
        var isDone: Bool

        var rank: (String, String, Int) { (object, step, isDone ? 0 : 1) }
    }

    struct Passes: Sendable {
        var done = 0
        var failed = 0
        /// The engine ended meanwhile, or somebody wanted something else.
        var cancelled = 0
        var duration = Histogram(bounds: Histogram.workSeconds)
    }

    /// Of the background loop.
    private(set) var loop = Passes()
    /// Of `up`, `down`, `scale` and so on; an update under way is part of one.
    private(set) var commands = Passes()
    private var steps: [Step: Int] = [:]
    var driftFound: [DriftClass: Int] = [:]
    var driftRepaired = 0

    mutating func notePass(isLoop: Bool, _ outcome: Convergence.Outcome?, nanoseconds: Nanoseconds) {
        var passes = isLoop ? loop : commands
        switch outcome {
        case .done: passes.done += 1
        case .failed, .rolloutFailed: passes.failed += 1
        case .cancelled, nil: passes.cancelled += 1
        }
        passes.duration.observe(Double(nanoseconds) / 1e9)
        if isLoop { loop = passes } else { commands = passes }
    }

    /// - Parameter word: what it is called when it is done: `Started`.
    mutating func noteStep(_ kind: PlanReply.Change.Kind, _ word: String, isDone: Bool) {
        steps[Step(object: kind.rawValue, step: word.lowercased(), isDone: isDone), default: 0] += 1
    }

    func write(to text: inout MetricsText) {
        let all = [("loop", loop), ("command", commands)]
        text.begin("gantry_reconcile_passes_total", .counter, "Looks at a stack, with what was done after them.")
        for (trigger, passes) in all {
            let labels = MetricLabels(["trigger": trigger])
            text.add(passes.done, labels.adding("outcome", "done"))
            text.add(passes.failed, labels.adding("outcome", "failed"))
            text.add(passes.cancelled, labels.adding("outcome", "cancelled"))
        }
        text.begin("gantry_reconcile_duration_seconds", .histogram, "How long passes took, what they did included.")
        for (trigger, passes) in all { text.add(passes.duration, MetricLabels(["trigger": trigger])) }
        text.begin("gantry_reconcile_steps_total", .counter, "Steps of plans that were carried out.")
        for (step, count) in steps.sorted(by: { $0.key.rank < $1.key.rank }) {
            text.add(
                count,
                MetricLabels([
                    "object": step.object, "step": step.step, "outcome": step.isDone ? "done" : "failed",
                ]))
        }
        text.begin("gantry_drift_found_total", .counter, "Differences from what was applied, when first seen.")
        for kind in DriftClass.allCases {
            text.add(driftFound[kind] ?? 0, MetricLabels(["class": kind.rawValue]))
        }
        text.begin("gantry_drift_repaired_total", .counter, "Differences that the background loop has put right.")
        text.add(driftRepaired)
    }
}

extension Work {
    var isLoop: Bool { if case .keep = self { true } else { false } }
}
