import FoundationEssentials
import Reconciler
import StackModel
import Synchronization
import Testing

/// Random scenarios. A failure prints its seed, the happenings that it takes, and how to see it again:
/// `GANTRY_SIM_SEED=N` runs one seed and prints what happens; `GANTRY_SIM_SEEDS=N` runs so many, from
/// `GANTRY_SIM_FIRST` on.
@Suite struct SeedTests {
    private static let seedsByDefault: UInt64 = 2_000
    private static let chunks: UInt64 = 8

    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test(arguments: 0..<chunks) func everySeedHolds(_ chunk: UInt64) {
        if let seed = Self.number("GANTRY_SIM_SEED") {
            if chunk == 0 { replay(seed) }
            return
        }
        let first = Self.number("GANTRY_SIM_FIRST") ?? 0
        let count = Self.number("GANTRY_SIM_SEEDS") ?? Self.seedsByDefault
        var failures = 0
        var happened: [String: Int] = [:]
        for seed in first..<(first + count) where seed % Self.chunks == chunk && failures < 3 {
            var trial = Trial(Scenario(seed: seed))
            trial.run()
            happened.merge(trial.simulation.monitor.sometimes) { $0 + $1 }
            guard let violation = trial.violations.first else { continue }
            failures += 1
            report(seed, violation)
        }
        checkSometimes(happened, seeds: count)
    }

    /// Beyond those that are run every time; what most were about has a test of its own, too.
    private static let failedOnce: [UInt64] = [
        2851, 3035, 3339, 6254, 7083, 8541, 8559, 12219, 16159, 18251, 21080, 25094, 26650, 26923, 26924, 27757, 36061,
        37513, 39696, 40057, 42613, 42831, 48402, 49140, 60308, 65507, 67778, 75449, 78617, 120588,
        136723, 161805, 330883, 390600, 407198, 445889, 487487, 510335, 522190, 633900, 641264, 646331, 820005, 860299,
    ]

    @Test(arguments: failedOnce) func whatFailedOnceHolds(_ seed: UInt64) {
        if let violation = Trial.violations(of: Scenario(seed: seed)).first { report(seed, violation) }
    }

    /// What the chunks that have ended have seen.
    private static let sometimes = Mutex<(chunks: UInt64, happened: [String: Int])>((0, [:]))

    private static let expected = [
        "accident", "command done", "command failed", "command rolled back", "command timed out",
        "crash amid an operation", "drained", "killed after its grace period", "news lost", "operation failed",
        "pull failed", "reboot", "request answered", "restart by policy", "rollback failed", "rollback target gone",
        "stale observation", "start-first succession", "succession taken over", "undone by a command",
        "undone by the loop", "update paused",
    ]

    /// A generator that is too tame would find nothing.
    private func checkSometimes(_ happened: [String: Int], seeds: UInt64) {
        let all = Self.sometimes.withLock { sometimes in
            sometimes.chunks += 1
            sometimes.happened.merge(happened) { $0 + $1 }
            return sometimes.chunks == Self.chunks ? sometimes.happened : nil
        }
        guard let all, seeds >= Self.seedsByDefault else { return }
        for what in Self.expected { #expect(all[what, default: 0] > 0, "never: \(what)") }
    }

    private func report(_ seed: UInt64, _ violation: Violation) {
        let smallest = Trial.shrunk(Scenario(seed: seed), violation.property)
        let found = Trial.violations(of: smallest).first ?? violation
        let list = smallest.happenings.map { "  \($0)" }.joined(separator: "\n")
        Issue.record(
            """
            seed \(seed): \(violation); with these alone: \(found)
            \(list)
            see it again: GANTRY_SIM_SEED=\(seed) swift test --filter SeedTests
            """)
    }

    private func replay(_ seed: UInt64) {
        var scenario = Scenario(seed: seed)
        if let violation = Trial.violations(of: scenario).first {
            scenario = Trial.shrunk(scenario, violation.property)
        }
        for (index, variant) in scenario.variants.enumerated() {
            print("variant \(index) \(variant.imageIDs)")
            for (name, service) in variant.stack.services.sorted(by: { $0.key < $1.key }) {
                print(
                    "  \(name): replicas \(service.replicas) \(service.restart.mode)",
                    "checked \(service.healthcheck != nil)",
                    "ports \(service.ports.count) depends \(service.dependsOn.mapValues(\.condition))",
                    "volumes \(service.mounts.count) env \(service.environment)",
                    service.deploy?.update.map { "\($0)" } ?? "", service.networkMode ?? "")
            }
        }
        for (key, script) in scenario.scripts.sorted(by: { $0.key < $1.key }) { print("script \(key) \(script)") }
        for happening in scenario.happenings { print(happening) }
        var trial = Trial(scenario, isLoud: true)
        trial.run()
        for violation in trial.violations { Issue.record("\(violation)") }
    }
}
