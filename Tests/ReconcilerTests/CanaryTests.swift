import StackModel
import Testing

@testable import Reconciler

/// Rollouts that wait for somebody: canaries and pauses; and `x-gantry.rollout`.
@Suite struct CanaryTests {
    private func stack(_ replicas: Int = 3, _ edit: (inout StackModel.Rollout) -> Void) -> Stack {
        shop([
            "web": service("one", replicas: replicas) { service in
                service.healthcheck = Healthcheck(test: ["CMD", "true"])
                service.gantry = ServiceOptions()
                var rollout = StackModel.Rollout()
                edit(&rollout)
                service.gantry?.rollout = rollout
            },
            "after": service("other") { $0.dependsOn = ["web": Dependency(condition: .healthy)] },
        ])
    }

    private func old(_ stack: Stack, _ number: Int) -> ObservedContainer {
        container(stack, "web", number) { ($0.readySince, $0.health, $0.healthcheckDefined) = (1, .healthy, true) }
    }

    /// Made at 100 s; ready two seconds later.
    private func new(
        _ stack: Stack, _ number: Int, edit: (inout ObservedContainer) -> Void = { _ in }
    ) -> ObservedContainer {
        container(stack, "web", number) { container in
            container.id = "new-\(number)"
            container.definition.imageID = "sha256:2"
            (container.createdAt, container.startedAt, container.readySince) = (
                100 * second, 101 * second, 102 * second
            )
            (container.health, container.healthcheckDefined) = (.healthy, true)
            edit(&container)
        }
    }

    private func plan(
        _ stack: Stack, _ web: [ObservedContainer], at seconds: Int64 = 200,
        edit: (inout DesiredState) -> Void = { _ in }
    ) -> Plan {
        var state = observed(stack, web)
        state.at = seconds * second
        let wanted = desired(stack, .maintain) {
            $0.imageIDs["web"] = "sha256:2"
            $0.selection = ["web"]
            $0.changedAt = 50 * second
            edit(&$0)
        }
        return Reconciler.plan(desired: wanted, observed: state, now: state.at)
    }

    private func created(_ plan: Plan) -> [String] {
        plan.steps.compactMap { if case .createContainer = $0.action { $0.name } else { nil } }
    }

    @Test func onlyTheCanariesAreReplaced() {
        let stack = stack { $0.canary = 1 }
        let first = plan(stack, [old(stack, 1), old(stack, 2), old(stack, 3)])
        #expect(created(first) == ["shop-web-1-next"])
        #expect(first.heldRollouts == [HeldRollout(service: "web", reason: .canary, replicas: 2)])
        let then = plan(stack, [new(stack, 1), old(stack, 2), old(stack, 3)])
        #expect(then.isEmpty)
        #expect(then.heldRollouts == [HeldRollout(service: "web", reason: .canary, replicas: 2)])
        #expect(then.warnings.map(\.code) == ["rollout.canary"])
    }

    @Test func aPromotedRolloutGoesOn() {
        let stack = stack { $0.canary = 1 }
        let plan = plan(stack, [new(stack, 1), old(stack, 2), old(stack, 3)]) { $0.promoted = ["web"] }
        #expect(created(plan) == ["shop-web-2-next", "shop-web-3-next"])
        #expect(plan.heldRollouts.isEmpty)
    }

    @Test func canariesThatSettlePromoteThemselvesWhereTheFileSaysSo() {
        let stack = stack {
            ($0.canary, $0.autoPromote, $0.minHealthyTime) = (1, true, 10 * second)
        }
        let replicas = [new(stack, 1), old(stack, 2), old(stack, 3)]
        let early = plan(stack, replicas, at: 105)
        #expect(created(early).isEmpty)
        #expect(early.wakeAt == 112 * second)
        #expect(created(plan(stack, replicas, at: 112)) == ["shop-web-2-next", "shop-web-3-next"])
    }

    @Test func aRollbackAndAFirstStartKnowNoCanaries() {
        let stack = stack { $0.canary = 1 }
        let replicas = [old(stack, 1), old(stack, 2), old(stack, 3)]
        #expect(created(plan(stack, replicas) { $0.isRollback = true }).count == 3)
        #expect(created(plan(stack, replicas) { $0.changedAt = nil }).count == 3)
        #expect(created(plan(stack, [])) == ["shop-web-1", "shop-web-2", "shop-web-3"])
    }

    @Test func aHeldServiceStillServesThoseWhoDependOnIt() {
        let stack = stack { $0.canary = 1 }
        let plan = plan(stack, [new(stack, 1), old(stack, 2), old(stack, 3)]) { $0.selection = [] }
        #expect(plan.pendingGates.isEmpty)
        #expect(created(plan) == ["shop-after-1"])
    }

    @Test func aPauseBeginsNothingAndEndsWhatIsBegun() {
        let stack = stack { _ in }
        let waiting = plan(stack, [new(stack, 1), old(stack, 2), old(stack, 3)]) { $0.isPaused = true }
        #expect(waiting.isEmpty)
        #expect(waiting.heldRollouts == [HeldRollout(service: "web", reason: .paused, replicas: 2)])
        let half = new(stack, 2) { $0.name += "-next" }
        let ending = plan(stack, [new(stack, 1), old(stack, 2), half, old(stack, 3)]) { $0.isPaused = true }
        #expect(
            lines(ending) == [
                "1 stop id-web-2 drained [settled shop-web-2-next for 5 s]", "2 remove id-web-2 <1>",
                "3 rename shop-web-2-next <2>",
            ])
    }

    @Test func aFailedCanaryFailsTheRollout() {
        let stack = stack { ($0.canary, $0.autoRollback) = (1, true) }
        let failed = new(stack, 1) { ($0.health, $0.readySince) = (.unhealthy, nil) }
        let plan = plan(stack, [failed, old(stack, 2), old(stack, 3)])
        #expect(plan.failedRollouts.map(\.action) == [.rollback])
    }

    @Test func aRolloutThatMakesNoProgressHasFailed() {
        let stack = stack { ($0.progressDeadline, $0.healthyDeadline) = (60 * second, 1000 * second) }
        let starting = new(stack, 1) { ($0.health, $0.readySince) = (.starting, nil) }
        let replicas = [starting, old(stack, 2), old(stack, 3)]
        let early = plan(stack, replicas, at: 159)
        #expect(early.failedRollouts.isEmpty)
        #expect(early.wakeAt == 160 * second)
        let late = plan(stack, replicas, at: 160)
        #expect(late.failedRollouts.flatMap(\.failures).map(\.code) == ["rollout.stalled"])
        // One that waits for a person, or is at its end, has its time.
        #expect(plan(stack, replicas, at: 160) { $0.isPaused = true }.failedRollouts.isEmpty)
        #expect(plan(stack, [starting, new(stack, 2), new(stack, 3)], at: 160).failedRollouts.isEmpty)
    }

    @Test func nobodyIsLateBeforeSomebodyWentOn() {
        let stack = stack { $0.canary = 1 }
        // An hour after the canary was made it is promoted.
        let replicas = [new(stack, 1), old(stack, 2), old(stack, 3)]
        let promoted = plan(stack, replicas, at: 3_700) { ($0.promoted, $0.followedSince) = (["web"], 3_699 * second) }
        #expect(promoted.failedRollouts.isEmpty)
        #expect(created(promoted).count == 2)
        // An engine that was started again knows its replicas as ready for a moment only.
        let known = new(stack, 1) { $0.readySince = 3_699 * second }
        let restarted = plan(stack, [known, old(stack, 2), old(stack, 3)], at: 3_700) {
            $0.followedSince = 3_698 * second
        }
        #expect(restarted.failedRollouts.isEmpty)
    }

    @Test func oneRestartLongAfterItSettledIsNoFailure() {
        let stack = stack { _ in }
        let again = new(stack, 1) { ($0.startedAt, $0.readySince) = (999 * second, 1_000 * second) }
        #expect(plan(stack, [again, new(stack, 2), new(stack, 3)], at: 1_001).failedRollouts.isEmpty)
    }

    @Test func whatIsHeldIsStartedAgainWhenItEnds() {
        let stack = stack { $0.canary = 1 }.with { $0.services["web"]?.restart.mode = .always }
        let ended = container(stack, "web", 2, .exited) { ($0.exitCode, $0.finishedAt) = (1, 150 * second) }
        let plan = plan(stack, [new(stack, 1), ended, old(stack, 3)])
        #expect(lines(plan) == ["1 start id-web-2"])
    }

    @Test func whatFailedIsNotGivenToMoreReplicas() {
        let stack = stack { _ in }.with { $0.services["web"]?.restart.mode = .always }
        let failed = new(stack, 1) { ($0.health, $0.readySince) = (.unhealthy, nil) }
        let ended = container(stack, "web", 2, .exited) { ($0.exitCode, $0.finishedAt) = (1, 150 * second) }
        let plan = plan(stack, [failed, ended, old(stack, 3)])
        #expect(lines(plan) == ["1 start id-web-2", "2 await [settled shop-web-1 for 5 s]"])
        #expect(plan.failedRollouts.count == 1)
    }

    @Test func aChangedNetworkIsNotHeld() {
        let stack = stack { $0.canary = 1 }
        let changed = stack.with { $0.networks["default"]?.isInternal = true }
        var state = observed(stack, [old(stack, 1), old(stack, 2), old(stack, 3)])
        state.at = 200 * second
        let wanted = desired(changed, .maintain) {
            ($0.imageIDs["web"], $0.selection, $0.changedAt) = ("sha256:2", ["web"], 50 * second)
        }
        let plan = Reconciler.plan(desired: wanted, observed: state, now: state.at)
        #expect(plan.heldRollouts.isEmpty)
        #expect(created(plan).count == 3)
    }

    @Test func drainIsWhatTheFileSays() {
        let stack = stack { $0.drain = 3 * second }
        let plan = plan(stack, [old(stack, 1), old(stack, 2), old(stack, 3)])
        let drains = plan.steps.compactMap {
            if case .stopContainer(_, _, let drain) = $0.action { drain } else { nil }
        }
        #expect(drains == [3 * second, 3 * second, 3 * second])
    }
}

/// Replicas that are unhealthy for good.
@Suite struct UnhealthyTests {
    private func plan(
        mode: DesiredState.Mode = .maintain, restart: RestartPolicy.Mode = .always, age seconds: Int64 = 60,
        replacements: Int = 0, edit: (inout DesiredState) -> Void = { _ in }
    ) -> Plan {
        let stack = shop([
            "web": service(replicas: 2) {
                $0.healthcheck = Healthcheck(test: ["CMD", "true"])
                $0.restart.mode = restart
            }
        ])
        let sick = container(stack, "web", 1) {
            ($0.health, $0.healthcheckDefined, $0.createdAt, $0.startedAt) = (.unhealthy, true, 0, 0)
            $0.unhealthyReplacements = replacements
        }
        let well = container(stack, "web", 2) { ($0.health, $0.healthcheckDefined) = (.healthy, true) }
        return Reconciler.plan(
            desired: desired(stack, mode, edit: edit), observed: observed(stack, [sick, well]),
            now: seconds * second)
    }

    @Test func areReplacedByTheLoop() {
        #expect(
            lines(plan()) == [
                "1 stop id-web-1 drained", "2 remove id-web-1 <1>", "3 create web-1 <2>", "4 start web-1 <3>",
            ])
        #expect(plan().displayChanges.map(\.reason) == ["unhealthy"])
    }

    @Test func haveSomeTimeFirst() {
        #expect(plan(age: 29).isEmpty)
        #expect(plan(age: 29).wakeAt == 30 * second)
    }

    @Test(arguments: [(0, 30), (1, 60), (2, 120), (3, 240), (4, 300), (9, 300), (1_000, 300)])
    func haveMoreTimeTheMoreWereReplacedBefore(_ replacements: Int, _ seconds: Int64) {
        let early = plan(age: seconds - 1, replacements: replacements)
        #expect(early.isEmpty && early.wakeAt == seconds * second)
        #expect(plan(age: seconds, replacements: replacements).displayChanges.map(\.reason) == ["unhealthy"])
    }

    /// Whoever carries the plan out counts these and no others.
    @Test func areToldFromThoseThatAreReplacedForAnotherReason() {
        #expect(plan().unhealthy == ["id-web-1"])
        #expect(plan(age: 29).unhealthy.isEmpty)
        let changed = plan { $0.imageIDs = ["web": "sha256:2"] }
        #expect(changed.displayChanges.count == 2)
        #expect(changed.unhealthy.isEmpty)
    }

    @Test func areLeftToWhoeverDecidesElsewhere() {
        #expect(plan(mode: .apply).isEmpty)
        #expect(plan(restart: .no).isEmpty)
        #expect(plan { $0.changedAt = 1 }.isEmpty)
    }
}

/// Changes that containers are not replaced for.
@Suite struct UpdateTests {
    private let stack = shop(["web": service(restart: .always)])

    @Test func aContainerIsStartedAsItIsToBe() {
        let limited = stack.with { $0.services["web"]?.resources.memory = 1 << 20 }
        let ended = container(stack, "web", 1, .exited)
        let plan = Reconciler.plan(desired: desired(limited), observed: observed(stack, [ended]), now: 90 * second)
        #expect(lines(plan) == ["1 update id-web-1", "2 start id-web-1 <1>"])
    }

    @Test func anUpdateThatWasCutOffIsDoneAgain() {
        let half = container(stack, "web") { $0.isHalfUpdated = true }
        let plan = Reconciler.plan(desired: desired(stack), observed: observed(stack, [half]), now: 0)
        #expect(lines(plan) == ["1 update id-web-1"])
    }

    @Test func whatACommandStoppedIsWhereItShouldBe() {
        let stopped = container(stack, "web", 1, .exited) { ($0.exitCode, $0.stoppedByUser) = (143, true) }
        let wanted = desired(stack, .maintain) { $0.stopped = ["web"] }
        #expect(goal(desired: wanted, observed: observed(stack, [stopped])) == .reached)
        #expect(goal(desired: wanted, observed: observed(stack, [])) == .reached)
    }
}
