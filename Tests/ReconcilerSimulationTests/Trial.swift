import Reconciler
import StackModel

/// A run of a scenario: faults for a while (safety), then none any more, and everything must come to its end
/// (liveness).
struct Trial {
    var simulation: Simulation
    /// Virtual time after the last fault in which everything that can settle has settled: five minutes for what never
    /// gets ready, several times over.
    private static let patience = 3_600 * second

    init(_ scenario: Scenario, mutant: Mutant? = nil, isLoud: Bool = false) {
        simulation = Simulation(scenario, mutant: mutant)
        simulation.isLoud = isLoud
        let name = Machine.foreignNetwork
        simulation.machine.networks[name] = Machine.Net(definition: Network(), hasBridge: true)
    }

    var violations: [Violation] { simulation.monitor.violations }

    mutating func run() {
        simulation.run(until: simulation.scenario.roughEnd)
        heal()
        simulation.settle(until: simulation.machine.clock + Self.patience)
        checkSettled("after the faults")
        applyTheGood()
        applyAgain()
        takeDown()
    }

    private mutating func heal() {
        simulation.log("heal")
        simulation.isRough = false
        for index in simulation.machine.containers.indices { simulation.machine.containers[index].isPaused = false }
        for (key, volume) in simulation.machine.record?.stack.volumes ?? [:] {
            let name = simulation.machine.record?.stack.volumeName(key) ?? key
            if simulation.machine.volumes[name] == nil { simulation.machine.volumes[name] = volume }
        }
        simulation.machine.refresh()
        simulation.tell()
    }

    private mutating func fail(_ property: Property, _ detail: String) {
        simulation.monitor.note(property, detail, simulation.machine)
    }

    /// Nobody is at work for ever, and the loop has nothing left that it could do.
    private mutating func checkSettled(_ when: String) {
        guard violations.isEmpty else { return }
        // Where the clock was set back, what was started then seems older than what it depends on as soon as the clock
        // is where it was: nothing tells of that moment, and the next pass does what there is to do.
        if simulation.scenario.setsClockBack { simulation.tell() }
        // One that never gets well is started or replaced again and again: that work has its end, too.
        // An end that the engine has not heard of is not settled either.
        let atWork = simulation.running?.number
        simulation.settle(until: simulation.machine.clock + Self.patience) { simulation in
            simulation.running == nil && simulation.machine.containers.allSatisfy { $0.isAlive == $0.seemsAlive }
        }
        guard violations.isEmpty else { return }
        if let running = simulation.running {
            // Where what follows a replica's fall takes as long as the next fall, one work follows another for ever.
            if running.number != atWork, simulation.scenario.scripts.values.contains(where: \.isFlaky) { return }
            let who = running.intent.map { "\($0)" } ?? "loop"
            return fail(
                .convergence,
                "\(when): work \(running.number) (\(who)) never ends: \(text(running.convergence.plan))")
        }
        if !simulation.waitingIntents.isEmpty { fail(.convergence, "\(when): a command never begins") }
        guard simulation.machine.record?.isActive == true, let desired = simulation.machine.desired() else { return }
        let plan = plan(desired: desired, observed: simulation.machine.observed(), now: simulation.machine.now)
        let isOver = plan.isEmpty || !plan.failedRollouts.isEmpty || !plan.blocked.isEmpty
        if !isOver, plan.pendingGates.isEmpty, plan.waiting.isEmpty {
            fail(.convergence, "\(when): left undone: \(text(plan))")
        }
    }

    private mutating func command(_ intent: Intent) -> Convergence.Outcome? {
        guard violations.isEmpty else { return nil }
        let before = simulation.outcomes.count
        simulation.queue.add(.intent(intent), at: simulation.machine.clock + second)
        simulation.settle(until: simulation.machine.clock + Self.patience)
        guard violations.isEmpty else { return nil }
        guard simulation.outcomes.count == before + 1, let outcome = simulation.outcomes.last?.outcome else {
            fail(.convergence, "\(intent) has no end: \(text(simulation.running?.convergence.plan ?? Plan()))")
            return nil
        }
        return outcome
    }

    /// Whatever happened, a stack that works is what there is after it was applied.
    private mutating func applyTheGood() {
        guard let outcome = command(.apply(variant: simulation.scenario.variants.count - 1)) else { return }
        guard outcome.isDone else { return fail(.convergence, "the last `up` ended with \(outcome)") }
        checkSettled("at the end")
        guard violations.isEmpty, let record = simulation.machine.record else { return }
        let containers = simulation.machine.containers
        for (name, service) in record.stack.services.sorted(by: { $0.key < $1.key }) {
            let own = containers.filter { $0.service == name }
            let good = own.filter { $0.isAlive && $0.isListening || service.isJob && $0.exitCode == 0 }
            if good.count != service.replicas || own.count != good.count {
                fail(.convergence, "\(name): \(good.count) of \(service.replicas) serve, \(own.count) are there")
            }
            if own.contains(where: { $0.name.hasSuffix("-next") }) { fail(.noOrphans, "\(name) has a -next") }
            if Set(own.map(\.number)).count != own.count { fail(.uniqueNames, "\(name) has a number twice") }
            let led = simulation.machine.balancer[name] ?? []
            if service.networks["default"] != nil, !service.isJob, led.count != service.replicas {
                fail(.convergence, "the balancer leads to \(led.count) of \(service.replicas) \(name)")
            }
            if own.contains(where: { !$0.hasObject }) { fail(.noOrphans, "\(name) has a record without a container") }
        }
        let strangers = containers.filter { record.stack.services[$0.service] == nil }
        if !strangers.isEmpty { fail(.noOrphans, "left behind: \(strangers.map(\.name))") }
        let isStable = simulation.machine.revisions.last?.isStable ?? false
        if !isStable { fail(.convergence, "the last revision is never called stable") }
    }

    private mutating func applyAgain() {
        let before = simulation.trace.count
        guard let outcome = command(.apply(variant: simulation.scenario.variants.count - 1)) else { return }
        // Jobs that nobody waits for are run again, as Compose does it.
        let services = simulation.machine.record?.stack.services ?? [:]
        let steps = simulation.trace.dropFirst(before).filter { step in
            guard case .startContainer = step.action else { return true }
            return services[step.service ?? ""]?.isJob != true
        }
        if !outcome.isDone || !steps.isEmpty {
            fail(.idempotence, "the same `up` again did something: \(steps.map { "\($0.action) \($0.reason)" })")
        }
    }

    private mutating func takeDown() {
        let removes = simulation.scenario.removesVolumes
        let before = simulation.machine.volumes.count
        guard let outcome = command(.down(volumes: removes)) else { return }
        if !outcome.isDone { fail(.convergence, "`down` ended with \(outcome)") }
        let machine = simulation.machine
        if !machine.containers.isEmpty { fail(.noOrphans, "left by `down`: \(machine.containers.map(\.name))") }
        let networks = machine.networks.keys.filter { $0 != Machine.foreignNetwork }
        if !networks.isEmpty { fail(.noOrphans, "left by `down`: \(networks)") }
        if machine.networks[Machine.foreignNetwork]?.hasBridge != true { fail(.ownObjectsOnly, "theirs is gone") }
        if machine.volumes.count != (removes ? 0 : before) { fail(.dataKept, "`down` left \(machine.volumes.keys)") }
    }

    private func text(_ plan: Plan) -> String {
        plan.steps.prefix(6).map { step in
            "\(step.id) \(step.action) \(step.name) after \(step.after) gates \(step.gates)"
        }.joined(separator: "; ")
    }
}

extension Trial {
    /// What a scenario violates; empty where all is well.
    static func violations(of scenario: Scenario, mutant: Mutant? = nil) -> [Violation] {
        var trial = Trial(scenario, mutant: mutant)
        trial.run()
        return trial.violations
    }

    /// The scenario with as few happenings as still violate the same property.
    static func shrunk(_ scenario: Scenario, _ property: Property, mutant: Mutant? = nil) -> Scenario {
        var smallest = scenario
        var index = smallest.happenings.count - 1
        while index >= 0 {
            var fewer = smallest
            fewer.happenings.remove(at: index)
            if violations(of: fewer, mutant: mutant).contains(where: { $0.property == property }) { smallest = fewer }
            index -= 1
        }
        return smallest
    }
}
