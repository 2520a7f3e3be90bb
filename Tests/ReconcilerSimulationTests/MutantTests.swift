import Reconciler
import StackModel
import Testing

/// Ways in which the core can be broken, and the properties that must tell. docs/reconciler.md lists them.
@Suite struct MutantTests {
    struct Case: Sendable {
        var mutant: Mutant
        var caughtBy: Set<Property>
    }

    private static func planning(
        _ name: String, _ caughtBy: Set<Property>,
        _ change: @escaping @Sendable (inout Plan, Work, ObservedState) -> Void
    ) -> Case {
        let mutant = Mutant(name: name) { work, observed, now in
            var plan = work.plan(observed, now: now)
            change(&plan, work, observed)
            return plan
        }
        return Case(mutant: mutant, caughtBy: caughtBy)
    }

    private static func wanting(
        _ name: String, _ caughtBy: Set<Property>, _ change: @escaping @Sendable (inout DesiredState) -> Void
    ) -> Case {
        let mutant = Mutant(name: name) { work, observed, now in
            switch work {
            case .reach(var desired):
                change(&desired)
                return Work.reach(desired).plan(observed, now: now)
            case .keep(var desired):
                change(&desired)
                return Work.keep(desired).plan(observed, now: now)
            default: return work.plan(observed, now: now)
            }
        }
        return Case(mutant: mutant, caughtBy: caughtBy)
    }

    private static func hearing(
        _ name: String, _ caughtBy: Set<Property>,
        _ change: @escaping @Sendable (Convergence.Event) -> Convergence.Event
    ) -> Case {
        var mutant = Mutant(name: name)
        mutant.event = change
        return Case(mutant: mutant, caughtBy: caughtBy)
    }

    private static func saying(
        _ name: String, _ caughtBy: Set<Property>,
        _ change: @escaping @Sendable (Convergence.Command) -> [Convergence.Command]
    ) -> Case {
        var mutant = Mutant(name: name)
        mutant.commands = { $0.flatMap(change) }
        return Case(mutant: mutant, caughtBy: caughtBy)
    }

    private static func add(_ action: Action, _ name: String, _ service: String?, to plan: inout Plan) {
        guard var step = plan.steps.first else { return }
        step.id = plan.steps.count + 1
        (step.action, step.name, step.service, step.after, step.gates) = (action, name, service, [], [])
        plan.steps.append(step)
    }

    static let cases: [Case] = [
        planning("no gate is waited for", [.dependencyOrder, .availability, .noRequestRefused]) { plan, _, _ in
            for index in plan.steps.indices { plan.steps[index].gates = [] }
        },
        planning("nothing is drained", [.noRequestCutOff]) { plan, _, _ in
            for index in plan.steps.indices {
                if case .stopContainer(let id, let timeout, _) = plan.steps[index].action {
                    plan.steps[index].action = .stopContainer(id: id, timeout: timeout, drain: 0)
                }
            }
        },
        planning("a stop does not wait for the successor", [.availability, .noRequestRefused]) { plan, _, _ in
            for index in plan.steps.indices {
                if case .stopContainer = plan.steps[index].action {
                    plan.steps[index].gates = []
                    plan.steps[index].after = []
                }
            }
        },
        planning("a volume that nobody asked to remove is removed", [.dataKept]) { plan, work, observed in
            guard case .reach = work, let volume = observed.volumes.first else { return }
            add(.removeVolume(name: volume.name), volume.name, nil, to: &plan)
        },
        planning("a healthy replica of the revision is restarted", [.healthyUntouched]) { plan, _, observed in
            guard
                let replica = observed.containers.first(where: { $0.isServing && $0.definition.imageID == "sha256:2" })
            else { return }
            add(.restartContainer(id: replica.id, timeout: nil), replica.name, replica.service, to: &plan)
        },
        wanting("parallelism is ignored", [.availability, .surge]) { desired in
            for name in desired.stack.services.keys { desired.stack.services[name]?.update.parallelism = 0 }
        },
        wanting("there are two replicas too many", [.surge]) { desired in
            for name in desired.stack.services.keys { desired.stack.services[name]?.replicas += 2 }
        },
        planning("somebody else's network is removed", [.ownObjectsOnly]) { plan, work, _ in
            guard case .reach = work else { return }
            add(.removeNetwork(name: Machine.foreignNetwork), Machine.foreignNetwork, nil, to: &plan)
        },
        planning("the order of what is observed shows", [.determinism]) { plan, _, observed in
            plan.warnings.append(
                Diagnostic(.warning, code: "first", "\(observed.containers.first?.name ?? "none")"))
        },
        planning("a successor never gets its name", [.convergence, .noOrphans, .idempotence]) { plan, _, _ in
            plan.steps.removeAll {
                if case .renameContainer = $0.action { return true }
                return false
            }
        },
        planning("`down` stops what others depend on first", [.stopOrder]) { plan, work, _ in
            guard case .down = work else { return }
            for index in plan.steps.indices {
                if case .stopContainer = plan.steps[index].action { plan.steps[index].after = [] }
            }
        },
        saying("a revision is called stable at once", [.stableMeansReached]) { command in
            if case .begin = command { return [.saveStable, command] }
            return [command]
        },
        saying("an update goes back to the revision that failed", [.rollbackTarget]) { command in
            if case .returnTo(let revision) = command { return [.returnTo(revision: revision + 1)] }
            return [command]
        },
        hearing("a rollback is rolled back", [.rollbackOnce]) { event in
            guard case .wanted(var desired, let history) = event else { return event }
            desired.isRollback = false
            return .wanted(desired, history)
        },
        saying("nobody is waited for", [.convergence]) { command in
            if case .wait = command { return [] }
            return [command]
        },
    ]

    private static let seedsMax: UInt64 = 1_500

    @Test(arguments: cases.indices) func eachIsCaught(_ index: Int) {
        let (mutant, properties) = (Self.cases[index].mutant, Self.cases[index].caughtBy)
        for (_, scenario) in References.all {
            if isCaught(mutant, properties, scenario) { return }
        }
        for seed in 0..<Self.seedsMax where isCaught(mutant, properties, Scenario(seed: seed)) { return }
        Issue.record("not caught: \(mutant.name)")
    }

    private func isCaught(_ mutant: Mutant, _ properties: Set<Property>, _ scenario: Scenario) -> Bool {
        guard let first = Trial.violations(of: scenario, mutant: mutant).first else { return false }
        return properties.contains(first.property)
    }
}
