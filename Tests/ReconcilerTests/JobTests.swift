import Reconciler
import StackModel
import Testing
import Timetable

private let minute: Int64 = 60 * second
/// 2026-03-01T00:00:00Z.
private let start: Int64 = 1_772_323_200 * second

private func rules(_ cron: String = "*/10 * * * *", edit: (inout Schedule) -> Void = { _ in }) throws -> JobRules {
    var schedule = Schedule(cron: cron)
    edit(&schedule)
    return try JobRules(schedule, zone: .utc)
}

private func situation(_ edit: (inout JobSituation) -> Void = { _ in }) -> JobSituation {
    var situation = JobSituation(stack: "shop", service: "job", containers: [:])
    edit(&situation)
    return situation
}

private func run(_ id: String, at time: Int64, _ outcome: JobRun.Outcome? = nil) -> JobRun {
    var run = JobRun(id: id, scheduledAt: time, begunAt: time)
    run.outcome = outcome
    run.endedAt = outcome == nil ? nil : time + second
    return run
}

private func ran(
    _ name: String, _ state: ObservedContainer.State, code: Int? = nil, at time: Int64 = start,
    edit: (inout ObservedContainer) -> Void = { _ in }
) -> ObservedContainer {
    container(shop(["job": service()]), "job", 1, state) {
        ($0.name, $0.oneOff, $0.exitCode) = (name, true, code)
        $0.startedAt = state == .created ? nil : time
        $0.finishedAt = state == .exited ? time + second : nil
        edit(&$0)
    }
}

private func names(_ actions: [JobDecision.Action]) -> [String] {
    actions.map { action in
        switch action {
        case .start(let run): "start \(run.id)"
        case .restart(let run): "restart \(run.id)"
        case .stop(let run): "stop \(run.id)"
        case .forget(let run): "forget \(run.id)"
        }
    }
}

@Suite struct JobTests {
    @Test func nothingIsMadeUpForFromBeforeItWasKnown() throws {
        let decision = decideJob(
            try rules(), JobRecord(consideredUpTo: start + minute), situation(), now: start + 2 * minute)
        #expect(decision.actions.isEmpty)
        #expect(decision.record.runs.isEmpty)
        #expect(decision.wakeAt == start + 10 * minute)
    }

    @Test func aRunIsWrittenDownBeforeItBeginsAndBegunAgainWhereItWasNot() throws {
        let first = decideJob(
            try rules(), JobRecord(consideredUpTo: start), situation(), now: start + 10 * minute + second)
        #expect(names(first.actions) == ["start shop-job-run-20260301-001000"])
        #expect(first.record.consideredUpTo == start + 10 * minute)
        // The engine was killed before it did so: once more, and not as another run.
        let again = decideJob(try rules(), first.record, situation(), now: start + 11 * minute)
        #expect(names(again.actions) == names(first.actions))
        #expect(again.record == first.record)
        // It was killed after that.
        let name = "shop-job-run-20260301-001000"
        let running = decideJob(
            try rules(), first.record, situation { $0.containers[name] = ran(name, .running) },
            now: start + 11 * minute)
        #expect(running.actions.isEmpty)
        #expect(running.record.runs.count == 1)
    }

    @Test func afterAWhileAwayOneRunIsMadeUpFor() throws {
        let decision = decideJob(
            try rules(), JobRecord(consideredUpTo: start), situation(), now: start + 65 * minute)
        #expect(names(decision.actions) == ["start shop-job-run-20260301-010000"])
        #expect(decision.record.runs.map(\.note) == ["5 earlier times were missed"])
    }

    @Test func noneIsMadeUpForAfterTheDeadline() throws {
        let late = try rules { $0.deadline = minute }
        let decision = decideJob(
            late, JobRecord(consideredUpTo: start), situation(), now: start + 11 * minute + second)
        #expect(decision.actions.isEmpty)
        #expect(decision.record.runs.map(\.outcome) == [.missed])
        #expect(decision.record.consideredUpTo == start + 10 * minute)
        let inTime = decideJob(late, JobRecord(consideredUpTo: start), situation(), now: start + 11 * minute)
        #expect(inTime.actions.count == 1)
    }

    @Test(
        arguments: [
            (Schedule.Concurrency.forbid, [], [JobRun.Outcome.skipped], 0),
            (.allow, ["start shop-job-run-20260301-001000"], [nil], 0), (.replace, ["stop old"], [], 1),
        ] as [(Schedule.Concurrency, [String], [JobRun.Outcome?], Int)])
    func whileAnotherGoesOn(
        concurrency: Schedule.Concurrency, actions: [String], more: [JobRun.Outcome?], stopping: Int
    ) throws {
        var record = JobRecord(consideredUpTo: start)
        record.runs = [run("old", at: start)]
        let decision = decideJob(
            try rules { $0.concurrency = concurrency }, record,
            situation { $0.containers["old"] = ran("old", .running) }, now: start + 10 * minute)
        #expect(names(decision.actions) == actions)
        #expect(decision.record.runs.dropFirst().map(\.outcome) == more)
        #expect(decision.record.runs.count { $0.stopping == .replaced } == stopping)
        guard stopping > 0 else { return }
        // Once it has ended the next begins.
        let next = decideJob(
            try rules { $0.concurrency = concurrency }, decision.record,
            situation { $0.containers["old"] = ran("old", .exited, code: 143) }, now: start + 10 * minute + second)
        #expect(names(next.actions) == ["start shop-job-run-20260301-001000"])
        #expect(next.record.runs.first?.outcome == .replaced)
    }

    @Test func dependenciesAreWaitedForAsLongAsTheDeadlineAllows() throws {
        let late = try rules { $0.deadline = minute }
        let pending = situation { $0.dependencies = .pending }
        let waits = decideJob(late, JobRecord(consideredUpTo: start), pending, now: start + 10 * minute)
        #expect(waits.actions.isEmpty)
        #expect(waits.record == JobRecord(consideredUpTo: start))
        #expect(waits.wakeAt == start + 11 * minute + 1)
        let missed = decideJob(late, waits.record, pending, now: start + 11 * minute + 1)
        #expect(missed.record.runs.map(\.outcome) == [.missed])
    }

    @Test func howItEnded() throws {
        for (code, outcome) in [(0, JobRun.Outcome.succeeded), (3, .failed)] {
            var record = JobRecord(consideredUpTo: start)
            record.runs = [run("a", at: start)]
            let decision = decideJob(
                try rules(), record, situation { $0.containers["a"] = ran("a", .exited, code: code) },
                now: start + minute)
            #expect(decision.record.runs.map(\.outcome) == [outcome])
            #expect(decision.record.runs.map(\.exitCode) == [code])
            #expect(decision.actions.isEmpty)
        }
    }

    @Test func whatFailsIsRepeatedAsItsPolicySays() throws {
        func failed(_ restarts: Int) -> JobSituation {
            situation {
                $0.containers["a"] = ran("a", .exited, code: 1) {
                    $0.definition.service.restart = RestartPolicy(mode: .onFailure, attemptsMax: 2)
                    $0.restarts = restarts
                }
            }
        }
        var record = JobRecord(consideredUpTo: start)
        record.runs = [run("a", at: start)]
        #expect(names(decideJob(try rules(), record, failed(0), now: start + minute).actions) == ["restart a"])
        let waits = decideJob(try rules(), record, failed(1), now: start + second + 1)
        #expect(waits.actions.isEmpty)
        #expect(waits.wakeAt.map { $0 < start + 2 * second } == true)
        #expect(decideJob(try rules(), record, failed(2), now: start + minute).record.runs.map(\.outcome) == [.failed])
    }

    @Test func whatTakesTooLongIsStopped() throws {
        let limited = try rules { $0.timeout = minute }
        var record = JobRecord(consideredUpTo: start)
        record.runs = [run("a", at: start)]
        let running = situation { $0.containers["a"] = ran("a", .running) }
        let before = decideJob(limited, record, running, now: start + second)
        #expect(before.actions.isEmpty)
        #expect(before.wakeAt == start + minute)
        let after = decideJob(limited, record, running, now: start + minute)
        #expect(names(after.actions) == ["stop a"])
        let ended = decideJob(
            limited, after.record, situation { $0.containers["a"] = ran("a", .exited, code: 0) },
            now: start + 2 * minute)
        #expect(ended.record.runs.map(\.outcome) == [.timedOut])
    }

    @Test func onlySoManyAreKept() throws {
        var record = JobRecord(consideredUpTo: start)
        record.runs = (1...6).map { run("s\($0)", at: start + Int64($0), .succeeded) }
        record.runs += (1...3).map { run("f\($0)", at: start + 100 + Int64($0), .failed) }
        record.runs += (1...5).map { run("m\($0)", at: start + 200 + Int64($0), .missed) }
        let seen = situation { situation in
            for name in ["s1", "s2", "s6", "f1", "f3"] { situation.containers[name] = ran(name, .exited, code: 0) }
        }
        let decision = decideJob(try rules(), record, seen, now: start + minute)
        #expect(Set(names(decision.actions)) == ["forget s1", "forget s2", "forget f1"])
        // On record as long as there is a container.
        #expect(
            decision.record.runs.map(\.id) == ["s1", "s2", "s4", "s5", "s6", "f1", "f3", "m3", "m4", "m5"])
        let gone = decideJob(try rules(), decision.record, situation(), now: start + minute)
        #expect(gone.record.runs.map(\.id) == ["s4", "s5", "s6", "f3", "m3", "m4", "m5"])
    }

    @Test func whatIsHeldIsPassedOverAndNotMadeUpFor() throws {
        var record = JobRecord(consideredUpTo: start)
        let held = decideJob(try rules(), record, situation { $0.isHeld = true }, now: start + 25 * minute)
        #expect(held.actions.isEmpty)
        #expect(held.record.isHeld)
        let resumed = decideJob(try rules(), held.record, situation(), now: start + 45 * minute)
        #expect(resumed.actions.isEmpty)
        #expect(resumed.wakeAt == start + 50 * minute)
        record.runs = [run("a", at: start)]
        let stopped = decideJob(
            try rules(), record,
            situation {
                ($0.isHeld, $0.isStopped) = (true, true)
                $0.containers["a"] = ran("a", .running)
            }, now: start + minute)
        #expect(names(stopped.actions) == ["stop a"])
    }

    @Test func aClockThatIsSetBackALongWayHoldsNothingUp() throws {
        let little = decideJob(
            try rules(), JobRecord(consideredUpTo: start + 20 * minute), situation(), now: start + 15 * minute)
        #expect(little.actions.isEmpty)
        #expect(little.wakeAt == start + 30 * minute)
        let far = decideJob(
            try rules(), JobRecord(consideredUpTo: start + 100_000 * minute), situation(), now: start + 15 * minute)
        #expect(far.record.consideredUpTo == start + 15 * minute)
        #expect(far.wakeAt == start + 20 * minute)
    }

    @Test func withoutAScheduleAllIsForgottenOnceItHasEnded() throws {
        var record = JobRecord(consideredUpTo: start)
        record.runs = [run("a", at: start, .succeeded), run("b", at: start)]
        let seen = situation {
            $0.containers = ["a": ran("a", .exited, code: 0), "b": ran("b", .running)]
        }
        let decision = decideJob(nil, record, seen, now: start + 60 * minute)
        #expect(names(decision.actions) == ["forget a"])
        #expect(decision.wakeAt == nil)
        let after = decideJob(
            nil, decision.record, situation { $0.containers = ["b": ran("b", .exited, code: 0)] }, now: start)
        #expect(names(after.actions) == ["forget b"])
        #expect(decideJob(nil, after.record, situation(), now: start).record.runs.isEmpty)
    }

    @Test func byHandAsItsConcurrencyAllows() throws {
        var record = JobRecord(consideredUpTo: start)
        let begun = try #require(beginJob(try rules(), record, situation(), now: start + second))
        #expect(begun.record.runs.map(\.scheduledAt) == [nil])
        record = begun.record
        #expect(beginJob(try rules(), record, situation(), now: start + second) == nil)
        let allowed = beginJob(try rules { $0.concurrency = .allow }, record, situation(), now: start + second)
        // Two within one second have names of their own.
        #expect(Set(allowed?.record.runs.map(\.id) ?? []).count == 2)
        let failed = situation { $0.dependencies = .failed(Diagnostic(code: "x", "db is down")) }
        #expect(decideJob(try rules(), record, failed, now: start).record.runs.map(\.note) == ["db is down"])
    }

    @Test func aContainerThatSomebodyRemovedIsAFailedRun() throws {
        var record = JobRecord(consideredUpTo: start)
        var made = run("a", at: start)
        made.isMade = true
        record.runs = [made]
        #expect(decideJob(try rules(), record, situation(), now: start).record.runs.map(\.outcome) == [.failed])
    }
}

@Suite struct OneShotTests {
    private let stack = shop([
        "migrate": service("new"), "web": service("new", restart: .always, dependsOn: ["migrate": .completed]),
        "batch": service {
            $0.deploy = Deploy()
            $0.deploy?.mode = .replicatedJob
        },
        "tick": service {
            $0.gantry = ServiceOptions()
            $0.gantry?.schedule = Schedule(cron: "@daily")
        },
    ])

    @Test func theGoalOfAOneShotIsItsEnd() {
        func seen(_ state: ObservedContainer.State, code: Int?) -> ObservedState {
            let ended: (inout ObservedContainer) -> Void = { $0.exitCode = 0 }
            return observed(
                stack,
                [
                    container(stack, "web"), container(stack, "batch", 1, .exited, edit: ended),
                    container(stack, "migrate", 1, state) { $0.exitCode = code },
                ])
        }
        #expect(goal(desired: desired(stack), observed: seen(.running, code: nil)) == .pending(["shop-migrate-1"]))
        #expect(goal(desired: desired(stack), observed: seen(.exited, code: 0)) == .reached)
        guard case .failed = goal(desired: desired(stack), observed: seen(.exited, code: 1)) else {
            Issue.record("a one-shot that failed has not reached its goal")
            return
        }
    }

    /// It stands in the way of the whole update, which is undone where one of those that wait for it says so.
    @Test func anUpdateWithAOneShotThatFailsHasFailed() {
        func failed(
            _ action: UpdateConfig.FailureAction?, startedAt: Int64 = 5, edit: (inout DesiredState) -> Void = { _ in }
        ) -> [FailedRollout] {
            let updated = stack.with {
                guard let action else { return }
                var config = UpdateConfig()
                config.failureAction = action
                $0.services["web"]?.deploy = Deploy()
                $0.services["web"]?.deploy?.update = config
            }
            let state = observed(
                updated,
                [
                    container(stack, "web"),
                    container(updated, "migrate", 1, .exited) { $0.startedAt = startedAt * second },
                ])
            let wanted = desired(updated, .maintain) {
                $0.changedAt = 4 * second
                edit(&$0)
            }
            return plan(desired: wanted, observed: state, now: 9 * second).failedRollouts
        }
        #expect(failed(nil).map(\.service) == ["migrate"])
        #expect(failed(nil).map(\.action) == [.pause])
        #expect(failed(.rollback).map(\.action) == [.rollback])
        #expect(failed(.pause).flatMap(\.failures).map(\.code) == ["dependency.failed"])
        // What failed before the update, at a first start, or while an update is undone, is none of its doing.
        #expect(failed(nil, startedAt: 3).isEmpty)
        #expect(failed(nil) { $0.changedAt = nil }.isEmpty)
        #expect(failed(.rollback) { $0.isRollback = true }.isEmpty)
    }

    @Test func whatEndedWellIsNotRunAgainAndWhatHasAScheduleIsNotMade() {
        let done = observed(
            stack,
            ["migrate", "batch"].map { container(stack, $0, 1, .exited) { $0.exitCode = 0 } } + [
                container(stack, "web")
            ])
        #expect(plan(desired: desired(stack), observed: done, now: 9 * second).isEmpty)
    }

    @Test func anUpdateThatIsUndoneRunsNoOneShot() {
        var old = stack
        old.services["migrate"]?.image = "old"
        old.services["web"]?.image = "old"
        let undoing = desired(old, .maintain) {
            $0.isRollback = true
            $0.imageIDs = ["migrate": "sha256:0", "web": "sha256:0", "batch": "sha256:1"]
        }
        let failed = observed(
            stack,
            [
                container(stack, "migrate", 1, .exited) { $0.exitCode = 5 }, container(stack, "web"),
                container(stack, "batch", 1, .exited) { $0.exitCode = 1 },
            ])
        let result = plan(desired: undoing, observed: failed, now: 9 * second)
        #expect(result.blocked.isEmpty)
        #expect(Set(result.steps.compactMap(\.service)) == ["web"])
        #expect(result.steps.allSatisfy { $0.gates.isEmpty })
        #expect(goal(desired: undoing, observed: failed) == .reached)
    }

    @Test func anUpdateWaitsForItsOneShotsAndReplacesNothingWhenTheyFail() {
        let wanted = desired(stack) { $0.imageIDs["web"] = "sha256:2" }
        let failed = observed(
            stack,
            [
                container(stack, "migrate", 1, .exited) { ($0.exitCode, $0.startedAt) = (5, 8 * second) },
                container(stack, "web"), container(stack, "batch", 1, .exited) { $0.exitCode = 0 },
            ])
        var going = wanted
        going.since = 7 * second
        let result = plan(desired: going, observed: failed, now: 9 * second)
        #expect(!result.blocked.isEmpty)
        #expect(result.runnable(done: [], begun: [], in: failed).isEmpty)
    }

    @Test func afterARebootServicesComeUpInTheirOrder() {
        let healthy = Healthcheck(test: ["CMD", "true"])
        let stack = shop([
            "db": service(restart: .always),
            "api": service(restart: .always, dependsOn: ["db": .started]) {
                $0.healthcheck = healthy
            },
            "web": service(restart: .always, dependsOn: ["api": .healthy]),
        ])
        func ended(_ name: String) -> ObservedContainer {
            container(stack, name, 1, .exited) { ($0.exitCode, $0.finishedAt) = (255, 2 * second) }
        }
        let names = ["db", "api", "web"]
        let maintained = desired(stack, .maintain)
        let now = 100 * second
        let all = observed(stack, names.map(ended))
        let first = plan(desired: maintained, observed: all, now: now)
        #expect(first.runnable(done: [], begun: [], in: all).compactMap(\.service) == ["db"])
        // Its process runs, and what comes after the start is not through.
        let starting = observed(
            stack, [container(stack, "db") { $0.isStarting = true }, ended("api"), ended("web")])
        let next = plan(desired: maintained, observed: starting, now: now)
        #expect(next.runnable(done: [], begun: [], in: starting).isEmpty)
        let unhealthy = observed(
            stack, [container(stack, "db"), container(stack, "api") { $0.health = .starting }, ended("web")])
        let third = plan(desired: maintained, observed: unhealthy, now: now)
        #expect(third.runnable(done: [], begun: [], in: unhealthy).isEmpty)
        let up = observed(stack, [container(stack, "db"), container(stack, "api"), ended("web")])
        let last = plan(desired: maintained, observed: up, now: now)
        #expect(last.runnable(done: [], begun: [], in: up).compactMap(\.service) == ["web"])
    }
}
