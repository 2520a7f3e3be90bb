import Reconciler
import StackModel
import Testing

/// Each reference scenario once for every operation in it, with each way in which that can go wrong.
@Suite struct OperationTests {
    @Test(arguments: References.all.indices) func everyOperationMayGoWrong(_ index: Int) {
        let (name, scenario) = References.all[index]
        var clean = Simulation(scenario)
        clean.machine.networks[Machine.foreignNetwork] = Machine.Net(definition: Network(), hasBridge: true)
        clean.run(until: scenario.roughEnd)
        #expect(clean.monitor.violations.isEmpty, "\(name)")
        var faults: [Happening] = []
        for number in 1...max(1, clean.effectCount) {
            faults += [.crashBefore(effect: number), .crashAfter(effect: number)]
        }
        for number in 1...max(1, clean.operationCount) {
            faults += [.failsBefore, .happenedButTimedOut, .okButDidNot, .writeFails].map { .operation(number, $0) }
        }
        for number in 1...max(1, clean.newsCount) { faults.append(.news(number, .lost)) }
        for number in 1...max(1, clean.lookCount) { faults.append(.staleLook(number)) }
        for fault in faults {
            var faulty = scenario
            faulty.happenings.append(fault)
            guard let violation = Trial.violations(of: faulty).first else { continue }
            Issue.record("\(name), \(Self.text(fault, clean.trace)): \(violation)")
            return
        }
    }

    private static func text(_ fault: Happening, _ trace: [Step]) -> String {
        guard case .operation(let number, let kind) = fault, trace.indices.contains(number - 1) else {
            return "\(fault)"
        }
        let step = trace[number - 1]
        return "\(kind) at operation \(number), \(step.action) of \(step.name)"
    }

    /// Without faults everything comes to its end, and the scenarios are what they are called.
    @Test func theScenariosAreWhatTheyAreCalled() {
        var happened: [String: Int] = [:]
        for (name, scenario) in References.all {
            var trial = Trial(scenario)
            trial.run()
            #expect(trial.violations.isEmpty, "\(name)")
            happened.merge(trial.simulation.monitor.sometimes) { $0 + $1 }
        }
        for what in [
            "start-first succession", "undone by a command", "command rolled back", "update paused",
            "drained", "rollback failed",
        ] {
            #expect(happened[what, default: 0] > 0, "never: \(what)")
        }
    }
}
