import Reconciler
import StackModel
import Testing

@Suite struct GateTests {
    private let stack = shop([
        "db": service { $0.healthcheck = Healthcheck(test: ["CMD", "true"]) }, "job": service(),
        "web": service(dependsOn: ["db": .healthy]), "api": service(dependsOn: ["job": .completed]),
    ])

    private func blocked(_ services: [String], _ containers: [ObservedContainer]) -> [String] {
        let wanted = desired(stack, .maintain) { $0.selection = services }
        return plan(desired: wanted, observed: observed(stack, containers), now: 9 * second).blocked.map(\.message)
    }

    @Test func whatCannotComeIsSaidInTheWordsOfCompose() {
        #expect(
            blocked(["web"], [container(stack, "db") { $0.health = .unhealthy }]) == [
                "dependency failed to start: container shop-db-1 is unhealthy"
            ])
        #expect(
            blocked(["web"], [container(stack, "db", 1, .exited)]) == [
                "dependency failed to start: container shop-db-1 exited (1)"
            ])
        #expect(
            blocked(["web"], [container(stack, "db") { ($0.healthcheckDefined, $0.health) = (false, .none) }]) == [
                "dependency failed to start: container shop-db-1 has no healthcheck configured"
            ])
        #expect(
            blocked(["api"], [container(stack, "job", 1, .exited)]) == [
                "service \"job\" didn't complete successfully: exit 1"
            ])
    }

    @Test func whatMayStillComeBlocksNothing() {
        #expect(blocked(["web"], [container(stack, "db") { $0.health = .starting }]).isEmpty)
        #expect(blocked(["api"], [container(stack, "job")]).isEmpty)
        #expect(blocked(["api"], [container(stack, "job", 1, .exited) { $0.exitCode = 0 }]).isEmpty)
        // `up` starts them again, so their state says nothing yet.
        let state = observed(stack, [container(stack, "db", 1, .exited), container(stack, "job", 1, .exited)])
        #expect(plan(desired: desired(stack), observed: state, now: 0).blocked.isEmpty)
    }

    @Test func aGateIsAskedWhenItsStepsAreDone() {
        let result = plan(desired: desired(stack) { $0.selection = ["web"] }, observed: observed(stack, []), now: 0)
        #expect(lines(result).last == "4 start web-1 <2,3> [healthy db]")
        var state = observed(stack, [container(stack, "db") { $0.health = .starting }])
        func runnable(_ done: Set<Int>) -> [Int] { result.runnable(done: done, begun: done, in: state).map(\.id) }
        #expect(runnable([]) == [1, 3])
        #expect(runnable([1, 2, 3]) == [])
        state.containers[0].health = .healthy
        #expect(runnable([1, 3]) == [2])
        #expect(runnable([1, 2, 3]) == [4])
        state.containers[0].health = .unhealthy
        #expect(
            result.failures(done: [1, 2, 3], begun: [1, 2, 3], in: state).map(\.message) == [
                "dependency failed to start: container shop-db-1 is unhealthy"
            ])
        #expect(result.failures(done: [1], begun: [1, 2, 3], in: state).isEmpty)
    }

    @Test func aDependencyThatIsNotRequiredOnlyWarns() {
        let soft = stack.with {
            $0.services["web"]?.dependsOn["db"]?.required = false
            $0.services["web"]?.dependsOn["ghost"] = Dependency(condition: .started, required: false)
        }
        let state = observed(soft, [container(soft, "db") { $0.health = .unhealthy }])
        let result = plan(desired: desired(soft) { $0.selection = ["web"] }, observed: state, now: 0)
        #expect(lines(result) == ["1 create web-1", "2 start web-1 <1>"])
        #expect(result.warnings.map(\.code) == ["dependency.unknown", "dependency.failed"])
        let hard = stack.with { $0.services["web"]?.dependsOn["ghost"] = Dependency(condition: .started) }
        #expect(plan(desired: desired(hard), observed: state, now: 0).blocked.map(\.code) == ["dependency.unknown"])
    }

    @Test func aStoppedDependencyIsNamed() {
        let wanted = desired(stack, .maintain) { ($0.selection, $0.stopped) = (["web"], ["db"]) }
        let result = plan(desired: wanted, observed: observed(stack, []), now: 0)
        #expect(result.blocked.map(\.message) == ["dependency failed to start: service db is stopped"])
        #expect(lines(result) == ["1 create web-1", "2 start web-1 <1> [healthy db]"])
    }

    @Test func theGoalIsServingOrDone() {
        let wanted = desired(stack)
        let done = container(stack, "job", 1, .exited) { $0.exitCode = 0 }
        let all = [container(stack, "db"), container(stack, "web"), container(stack, "api"), done]
        #expect(goal(desired: wanted, observed: observed(stack, all)) == .reached)
        #expect(goal(desired: wanted, observed: observed(stack, Array(all.dropFirst()))) == .pending(["shop-db-1"]))
        var state = observed(stack, all)
        state.containers[0].health = .starting
        #expect(goal(desired: wanted, observed: state) == .pending(["shop-db-1"]))
        state.containers[0].health = .unhealthy
        guard case .failed(let diagnostics) = goal(desired: wanted, observed: state) else {
            Issue.record("an unhealthy container is no goal")
            return
        }
        #expect(diagnostics.map(\.message) == ["container shop-db-1 is unhealthy"])
    }
}
