import Reconciler
import StackModel
import Testing

@Suite struct RestartPolicyTests {
    private func stack(_ mode: RestartPolicy.Mode, attemptsMax: Int? = nil) -> Stack {
        shop(["job": service { $0.restart = RestartPolicy(mode: mode, attemptsMax: attemptsMax) }])
    }

    private func planned(
        _ stack: Stack, _ mode: DesiredState.Mode, now: Int64 = 9 * second, code: Int? = 1,
        edit: (inout ObservedContainer) -> Void = { _ in }
    ) -> Plan {
        let ended = container(stack, "job", 1, .exited) {
            $0.exitCode = code
            edit(&$0)
        }
        return plan(desired: desired(stack, mode), observed: observed(stack, [ended]), now: now)
    }

    @Test(arguments: [
        (RestartPolicy.Mode.no, 0, false), (.no, 1, false), (.onFailure, 0, false), (.onFailure, 1, true),
        (.always, 0, true), (.always, 1, true), (.unlessStopped, 0, true),
    ])
    func theLoopStartsWhatItsPolicyWants(mode: RestartPolicy.Mode, code: Int, starts: Bool) {
        let result = planned(stack(mode), .maintain, code: code)
        #expect(result.isEmpty == !starts)
        #expect(result.wakeAt == nil)
        #expect(planned(stack(mode), .maintain, code: code) { $0.stoppedByUser = true }.isEmpty)
    }

    @Test func aLostExitCodeCountsAsFailure() {
        #expect(!planned(stack(.onFailure), .maintain, code: nil).isEmpty)
    }

    @Test func attemptsAreLimited() {
        let limited = stack(.onFailure, attemptsMax: 3)
        #expect(!planned(limited, .maintain) { $0.restarts = 2 }.isEmpty)
        #expect(planned(limited, .maintain) { $0.restarts = 3 }.isEmpty)
        // A run of ten seconds begins the count again.
        #expect(
            !planned(limited, .maintain, now: 90 * second) { ($0.restarts, $0.finishedAt) = (3, 12 * second) }.isEmpty)
    }

    @Test func aRestartWaitsForItsTime() {
        let early = planned(stack(.always), .maintain, now: 3 * second) { $0.restarts = 4 }
        #expect(early.isEmpty)
        #expect(early.wakeAt == 3 * second + 1_600_000_000)
        #expect(early.waiting.map(\.name) == ["shop-job-1"])
        let due = planned(stack(.always), .maintain, now: 3 * second + 1_600_000_000) { $0.restarts = 4 }
        #expect(lines(due) == ["1 start id-job-1"])
        #expect(due.displayChanges.map(\.reason) == ["exited (1), restart is always"])
    }

    /// It cannot be told how long ago it ended: to wait from now on would be to wait anew with every look.
    @Test func aClockSetBackEndsTheWait() {
        let result = planned(stack(.always), .maintain, now: 1 * second) { $0.finishedAt = 500 * second }
        #expect(lines(result) == ["1 start id-job-1"] && result.wakeAt == nil)
        let often = planned(stack(.always), .maintain, now: 1 * second) {
            ($0.finishedAt, $0.restarts) = (500 * second, 40)
        }
        #expect(lines(often) == ["1 start id-job-1"])
    }

    @Test func aCommandStartsWhateverDoesNotRun() {
        for mode in [RestartPolicy.Mode.no, .always] {
            let result = planned(stack(mode), .apply, now: 3 * second) { ($0.restarts, $0.stoppedByUser) = (9, true) }
            #expect(lines(result) == ["1 start id-job-1"])
        }
    }

    @Test func aCommandStartsEachContainerOnce() {
        let stack = stack(.no)
        let state = observed(stack, [container(stack, "job", 1, .exited)])
        func isEmpty(since: Int64) -> Bool {
            plan(desired: desired(stack) { $0.since = since }, observed: state, now: 9 * second).isEmpty
        }
        #expect(isEmpty(since: 2 * second))
        #expect(!isEmpty(since: 3 * second))
    }

    @Test func aJobThatOthersWaitForIsNotRunTwice() {
        let stack = shop(["migrate": service(), "web": service(dependsOn: ["migrate": .completed])])
        let done = container(stack, "migrate", 1, .exited) { $0.exitCode = 0 }
        let state = observed(stack, [done, container(stack, "web")])
        #expect(plan(desired: desired(stack), observed: state, now: 9 * second).isEmpty)
        var failed = state
        failed.containers[0].exitCode = 1
        #expect(lines(plan(desired: desired(stack), observed: failed, now: 9 * second)) == ["1 start id-migrate-1"])
    }

    @Test func aStoppedServiceIsLeftAloneByTheLoopOnly() {
        let stack = shop(["web": service(replicas: 2, restart: .always)])
        let state = observed(stack, [container(stack, "web", 1, .exited)])
        let loop = desired(stack, .maintain) { $0.stopped = ["web"] }
        #expect(plan(desired: loop, observed: state, now: 90 * second) == Plan())
        let command = desired(stack) { $0.stopped = ["web"] }
        #expect(plan(desired: command, observed: state, now: 90 * second).displayChanges.count == 2)
    }

    @Test func aStartThatFailedIsTriedByPolicyOnly() {
        let restarting = stack(.always)
        let failed = container(restarting, "job", 1, .created) { $0.finishedAt = 3 * second }
        let result = plan(
            desired: desired(restarting, .maintain), observed: observed(restarting, [failed]), now: 3 * second)
        #expect(result.isEmpty && result.wakeAt == 3 * second + RestartBackoff.delayFirst)
        let never = stack(.no)
        let lost = container(never, "job", 1, .created) { $0.finishedAt = 3 * second }
        #expect(plan(desired: desired(never, .maintain), observed: observed(never, [lost]), now: 9 * second) == Plan())
    }

    @Test func aRestartWaitsForADependencyOnItsWayAndForNoOther() {
        let stack = shop([
            "db": service(restart: .always) { $0.healthcheck = Healthcheck(test: ["CMD", "true"]) },
            "web": service(restart: .always, dependsOn: ["db": .healthy]),
        ])
        let web = container(stack, "web", 1, .exited)
        func planned(_ db: ObservedContainer, stopped: Set<String> = []) -> [String] {
            let wanted = desired(stack, .maintain) { $0.stopped = stopped }
            return lines(plan(desired: wanted, observed: observed(stack, [db, web]), now: 90 * second))
        }
        #expect(
            planned(container(stack, "db", 1, .exited)) == ["1 start id-db-1", "2 start id-web-1 <1> [healthy db]"])
        #expect(
            planned(container(stack, "db") { $0.health = .starting }) == ["1 start id-web-1 [healthy db]"])
        // Not old enough to be replaced.
        #expect(
            planned(container(stack, "db") { ($0.health, $0.createdAt) = (.unhealthy, 80 * second) })
                == ["1 start id-web-1"])
        #expect(planned(container(stack, "db", 1, .exited), stopped: ["db"]) == ["1 start id-web-1"])
    }
}

@Suite struct RestartBackoffTests {
    @Test func theDelayDoublesUpToAMinute() {
        let delays = (0...11).map { RestartBackoff.delay(restarts: $0) / 1_000_000 }
        #expect(delays == [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000])
        #expect(RestartBackoff.delay(restarts: Int.max) == RestartBackoff.delayMax)
        #expect(RestartBackoff.delay(restarts: -1) == RestartBackoff.delayFirst)
    }

    @Test func aSteadyRunBeginsAgain() {
        var backoff = RestartBackoff(policy: RestartPolicy(mode: .always))
        #expect(backoff.handle(.startedByCommand(at: 0)) == .stay)
        #expect(backoff.handle(.exited(at: 1, code: 0)) == .restart(notBefore: 1 + 100_000_000))
        #expect(backoff.handle(.startedByPolicy(at: second)) == .stay)
        #expect(backoff.handle(.exited(at: 2 * second, code: 0)) == .restart(notBefore: 2 * second + 200_000_000))
        #expect(backoff.restarts == 1)
        _ = backoff.handle(.startedByPolicy(at: 3 * second))
        #expect(backoff.handle(.exited(at: 13 * second, code: 1)) == .restart(notBefore: 13 * second + 100_000_000))
        #expect(backoff.restarts == 0)
    }

    @Test func aStopIsFinalUntilTheNextCommand() {
        var backoff = RestartBackoff(policy: RestartPolicy(mode: .unlessStopped))
        _ = backoff.handle(.startedByCommand(at: 0))
        _ = backoff.handle(.stoppedByCommand)
        #expect(backoff.handle(.exited(at: 5, code: 143)) == .stay)
        _ = backoff.handle(.startedByCommand(at: 6))
        #expect(backoff.handle(.exited(at: 7, code: 1)) != .stay)
    }

    @Test func theLimitCountsRestarts() {
        var backoff = RestartBackoff(policy: RestartPolicy(mode: .onFailure, attemptsMax: 2))
        _ = backoff.handle(.startedByCommand(at: 0))
        var runs = 1
        while backoff.handle(.exited(at: Int64(runs), code: 1)) != .stay {
            _ = backoff.handle(.startedByPolicy(at: Int64(runs)))
            runs += 1
            if runs > 9 { break }
        }
        #expect(runs == 3)
    }

    @Test func extremeTimesDoNotTrap() {
        var backoff = RestartBackoff(policy: RestartPolicy(mode: .always))
        _ = backoff.handle(.startedByCommand(at: Int64.min))
        #expect(backoff.handle(.exited(at: Int64.max, code: 1)) == .restart(notBefore: Int64.max))
    }
}
