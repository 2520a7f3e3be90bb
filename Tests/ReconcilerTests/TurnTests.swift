import StackModel
import Testing

@testable import Reconciler

/// Work that is under way, and what happens meanwhile by no doing of its.
@Suite struct TurnTests {
    private let stack = shop(["web": service(replicas: 2, restart: .always)])

    private func state(_ edit: (inout [ObservedContainer]) -> Void = { _ in }) -> ObservedState {
        var containers = [container(stack, "web", 1), container(stack, "web", 2)]
        edit(&containers)
        return observed(stack, containers)
    }

    private func steps(_ commands: [Convergence.Command]) -> [String] {
        commands.compactMap { command in
            if case .perform(let step) = command { text(step.action) } else { nil }
        }
    }

    private func isPlannedAnew(_ commands: [Convergence.Command]) -> Bool { commands == [.observe] }

    /// A step for a plan made by hand.
    private func step(_ id: Int, _ action: Action, after: [Int] = []) -> Step {
        Step(id: id, action: action, name: "shop-web-\(id)", service: "web", reason: "", after: after, gates: [])
    }

    private func work(_ steps: [Step]) -> Convergence {
        var plan = Plan()
        plan.steps = steps
        let made = plan
        return Convergence(.reach(desired(stack))) { _, _, _ in made }
    }

    /// It was the plan that started it; that it ends is nothing that the plan meant.
    @Test func oneThatEndsAfterItsStartChangesThePlan() {
        var work = work([
            step(1, .startContainer(.id("id-web-1"), byPolicy: false)), step(2, .awaitReplica, after: [1]),
            step(3, .stopContainer(id: "id-web-2", timeout: nil, drain: 0), after: [2]),
        ])
        let (ended, up) = (state { $0[0].state = .exited }, state())
        _ = work.step(.began)
        #expect(steps(work.step(.observed(ended, now: 0))) == ["start id-web-1"])
        _ = work.step(.ended(step: 1, failures: []))
        #expect(steps(work.step(.observed(up, now: 0))) == ["await"])
        _ = work.step(.ended(step: 2, failures: []))
        #expect(isPlannedAnew(work.step(.observed(ended, now: 0))))
    }

    /// A restart takes it away, and brings it back: once.
    @Test func oneThatEndsAfterItsRestartChangesThePlan() {
        var work = work([
            step(1, .restartContainer(id: "id-web-1", timeout: nil)), step(2, .awaitReplica, after: [1]),
            step(3, .stopContainer(id: "id-web-2", timeout: nil, drain: 0), after: [2]),
        ])
        let (ended, up) = (state { $0[0].state = .exited }, state())
        _ = work.step(.began)
        #expect(steps(work.step(.observed(up, now: 0))) == ["restart id-web-1"])
        #expect(work.step(.observed(ended, now: 0)).isEmpty)
        _ = work.step(.ended(step: 1, failures: []))
        #expect(steps(work.step(.observed(up, now: 0))) == ["await"])
        _ = work.step(.ended(step: 2, failures: []))
        #expect(isPlannedAnew(work.step(.observed(ended, now: 0))))
    }

    /// It serves, and does not listen yet: the plan counts on it.
    @Test func oneThatEndsBeforeItListensChangesThePlan() {
        var work = work([
            step(1, .awaitReplica), step(2, .stopContainer(id: "id-web-2", timeout: nil, drain: 0), after: [1]),
        ])
        let silent = state { $0[0].silentPorts = [80] }
        _ = work.step(.began)
        #expect(steps(work.step(.observed(silent, now: 0))) == ["await"])
        _ = work.step(.ended(step: 1, failures: []))
        #expect(isPlannedAnew(work.step(.observed(state { $0[0].state = .exited }, now: 0))))
    }

    /// However often it looks: a wait is no work that does not settle.
    @Test func aLongWaitIsNoFault() {
        let waiting = shop([
            "db": service { $0.healthcheck = Healthcheck(test: ["CMD", "true"]) },
            "web": service(dependsOn: ["db": .healthy]),
        ])
        func look(_ health: ContainerHealth) -> ObservedState {
            observed(
                waiting,
                [container(waiting, "db") { $0.health = health }, container(waiting, "web", 1, .created)])
        }
        var work = Convergence(.reach(desired(waiting)))
        _ = work.step(.began)
        for _ in 0..<10_100 {
            guard work.step(.observed(look(.starting), now: 0)).last == .wait(until: nil) else {
                Issue.record("not waited for")
                return
            }
            _ = work.step(.news)
        }
        #expect(steps(work.step(.observed(look(.healthy), now: 0))) == ["start id-web-1"])
        _ = work.step(.ended(step: 1, failures: []))
        #expect(isPlannedAnew(work.step(.observed(look(.healthy), now: 0))))
    }

    /// The loop, which would start it again, has its turn after the command.
    @Test func aRestartDoesNotWaitForOneThatHasEnded() {
        let stack = shop([
            "db": service(restart: .always) { $0.healthcheck = Healthcheck(test: ["CMD", "true"]) },
            "web": service(dependsOn: ["db": .healthy]) { $0.dependsOn["db"]?.restart = true },
        ])
        func look(_ edit: (inout ObservedContainer) -> Void) -> ObservedState {
            observed(stack, [container(stack, "db", edit: edit), container(stack, "web")])
        }
        var work = Convergence(.restart(services: ["db"], timeout: nil))
        _ = work.step(.began)
        #expect(steps(work.step(.observed(look { _ in }, now: 0))) == ["restart id-db-1"])
        _ = work.step(.ended(step: 1, failures: []))
        #expect(work.step(.observed(look { $0.health = .starting }, now: 0)) == [.wait(until: nil)])
        _ = work.step(.news)
        let end = work.step(
            .observed(look { ($0.state, $0.exitCode, $0.finishedAt) = (.exited, 1, 3 * second) }, now: 0))
        guard case .finish(.failed(let diagnostics)) = end.last else {
            Issue.record("not ended: \(end)")
            return
        }
        #expect(diagnostics.map(\.code) == ["dependency.failed"])
    }

    /// The command began in the future then, and what it starts would seem older than it.
    @Test func aClockSetBackAmidACommand() {
        let stack = shop(["web": service(restart: .no)])
        var work = Convergence(.reach(desired(stack) { $0.since = 500 * second }))
        _ = work.step(.began)
        let ended = observed(stack, [container(stack, "web", 1, .exited)])
        #expect(steps(work.step(.observed(ended, now: 9 * second))) == ["start id-web-1"])
        _ = work.step(.ended(step: 1, failures: []))
        let again = observed(
            stack, [container(stack, "web", 1, .exited) { ($0.startedAt, $0.finishedAt) = (9 * second, 10 * second) }])
        #expect(isPlannedAnew(work.step(.observed(again, now: 11 * second))))
        #expect(work.step(.observed(again, now: 11 * second)) == [.finish(.done(changes: 1))])
    }

    /// A revision in which a service was changed and then stopped has not worked.
    @Test func aStoppedServiceProvesNothing() {
        func saves(_ image: String) -> Bool {
            let old = ResolvedStack(stack: stack, imageIDs: ["web": "sha256:1"], scale: [:])
            let new = ResolvedStack(stack: stack, imageIDs: ["web": image], scale: [:])
            let history = RevisionHistory(
                [.init(number: 1, isStable: true, resolved: old), .init(number: 2, isStable: false, resolved: new)],
                present: 2)
            var work = Convergence(.keep(desired(stack, .maintain) { $0.stopped = ["web"] }), history: history)
            _ = work.step(.began)
            return work.step(.observed(state { $0.removeAll() }, now: 0)).contains(.saveStable)
        }
        #expect(saves("sha256:1"))
        #expect(!saves("sha256:2"))
    }
}
