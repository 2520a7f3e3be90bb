import Reconciler
import StackModel
import Testing

/// Replicas that take the place of others: the order, how many at a time, and what happens when they fail.
@Suite struct RolloutTests {
    private let checked = Healthcheck(test: ["CMD", "true"])

    /// A stack of one service that knows when it is ready.
    private func stack(
        _ image: String, replicas: Int = 1, update: UpdateConfig? = nil, edit: (inout Service) -> Void = { _ in }
    ) -> Stack {
        shop([
            "web": service(image, replicas: replicas) { service in
                service.healthcheck = checked
                if let update {
                    service.deploy = Deploy()
                    service.deploy?.update = update
                }
                edit(&service)
            }
        ])
    }

    private func config(_ edit: (inout UpdateConfig) -> Void) -> UpdateConfig {
        var config = UpdateConfig()
        edit(&config)
        return config
    }

    private func wanted(_ stack: Stack, since: Int64? = nil) -> DesiredState {
        desired(stack) {
            $0.imageIDs["web"] = "sha256:2"
            ($0.since, $0.changedAt) = (since, since)
        }
    }

    /// One that was made of the new image at 100 s, and is ready since 102 s.
    private func new(
        _ stack: Stack, _ number: Int, next: Bool = false, edit: (inout ObservedContainer) -> Void = { _ in }
    ) -> ObservedContainer {
        container(stack, "web", number) { container in
            container.id = "new-\(number)"
            if next { container.name += "-next" }
            container.definition.imageID = "sha256:2"
            (container.createdAt, container.startedAt, container.readySince) = (
                100 * second, 101 * second, 102 * second
            )
            edit(&container)
        }
    }

    private func look(_ stack: Stack, _ containers: [ObservedContainer], at seconds: Int64 = 200) -> ObservedState {
        var state = observed(stack, containers)
        state.at = seconds * second
        return state
    }

    private func order(_ stack: Stack, _ edit: (inout ObservedContainer) -> Void = { _ in }) -> String? {
        let state = look(stack, [container(stack, "web", edit: edit)])
        return plan(desired: wanted(stack), observed: state, now: 0).displayChanges.first { $0.action == .recreate }?
            .order
    }

    // MARK: Order

    @Test func whatCanBeThereTwiceStartsFirst() {
        #expect(order(stack("one")) == "start-first: it has a healthcheck")
        let published = shop(["web": service { $0.ports = [Port(target: 80)] }])
        #expect(order(published) == "start-first: it publishes a port")
        #expect(
            order(stack("one", update: config { $0.order = .startFirst }) { $0.networkMode = "host" })
                == "start-first: update_config.order says so")
    }

    @Test func whatCannotStopsFirst() {
        #expect(order(shop(["web": service()])) == "stop-first: nothing tells when it is ready")
        let disabled = stack("one") { $0.healthcheck = Healthcheck(test: ["NONE"]) }
        #expect(order(disabled) == "stop-first: nothing tells when it is ready")
        #expect(
            order(stack("one", update: config { $0.order = .stopFirst })) == "stop-first: update_config.order says so")
        let mounted = stack("one") { $0.mounts = [Mount(kind: .volume, source: "data", target: "/data")] }
            .with { $0.volumes["data"] = Volume() }
        #expect(order(mounted) == "stop-first: it writes to /data")
        #expect(order(stack("one")) { $0.hasOwnVolumes = true } == "stop-first: its image has a volume")
        #expect(
            order(stack("one") { $0.networks["default"]?.ipv4Address = "10.0.0.9" })
                == "stop-first: it has a fixed address")
        let ranged = stack("one") {
            var port = Port(target: 80)
            (port.published, port.publishedLast) = (8080, 8082)
            $0.ports = [port]
        }
        #expect(order(ranged) == "stop-first: each replica has a port of its own")
        let shared = stack("one").with {
            $0.services["side"] = service { ($0.networkMode, $0.networks) = ("service:web", [:]) }
        }
        #expect(order(shared) == "stop-first: others share its namespaces")
    }

    @Test func aSuccessorServesBeforeItsPredecessorGoes() {
        let stack = stack("one", replicas: 2)
        let state = look(stack, [container(stack, "web", 1), container(stack, "web", 2)])
        #expect(
            lines(plan(desired: wanted(stack), observed: state, now: 0)) == [
                "1 create web-1", "2 start web-1 <1>", "3 stop id-web-1 drained <2> [ready shop-web-1-next]",
                "4 remove id-web-1 <3>", "5 rename shop-web-1-next <4>",
                "6 create web-2 <5> [ready shop-web-1]", "7 start web-2 <6>",
                "8 stop id-web-2 drained <7> [ready shop-web-2-next]", "9 remove id-web-2 <8>",
                "10 rename shop-web-2-next <9>",
            ])
    }

    /// Cut off at any place, the next plan goes on from there.
    @Test func aSuccessionGoesOnWhereItStopped() {
        let stack = stack("one")
        let old = container(stack, "web")
        func rest(_ containers: [ObservedContainer]) -> [String] {
            lines(
                plan(desired: wanted(stack, since: 50 * second), observed: look(stack, containers), now: 200 * second))
        }
        let made = new(stack, 1, next: true) { ($0.state, $0.startedAt, $0.health) = (.created, nil, .starting) }
        #expect(
            rest([old, made]) == [
                "1 start new-1", "2 stop id-web-1 drained <1> [ready shop-web-1-next]", "3 remove id-web-1 <2>",
                "4 rename shop-web-1-next <3>",
            ])
        let starting = new(stack, 1, next: true) { ($0.health, $0.readySince) = (.starting, nil) }
        #expect(
            rest([old, starting]) == [
                "1 stop id-web-1 drained [ready shop-web-1-next]", "2 remove id-web-1 <1>",
                "3 rename shop-web-1-next <2>",
            ])
        var stopped = old
        (stopped.state, stopped.exitCode) = (.exited, 143)
        #expect(
            rest([stopped, new(stack, 1, next: true)]) == ["1 remove id-web-1", "2 rename shop-web-1-next <1>"])
        #expect(rest([new(stack, 1, next: true)]) == ["1 rename shop-web-1-next"])
        #expect(rest([new(stack, 1)]).isEmpty)
    }

    /// Undoing it touches nothing but what failed.
    @Test func theOldDefinitionTakesAwayTheSuccessorAlone() {
        let stack = stack("one", replicas: 2)
        let state = look(
            stack,
            [
                container(stack, "web", 1), container(stack, "web", 2),
                new(stack, 1, next: true) { ($0.health, $0.readySince) = (.unhealthy, nil) },
            ])
        let undone = desired(stack) { $0.changedAt = 150 * second }
        #expect(
            lines(plan(desired: undone, observed: state, now: 0)) == [
                "1 stop new-1 drained [ready shop-web-1]", "2 remove new-1 <1>",
            ])
    }

    // MARK: How many at a time

    @Test func parallelismAndDelay() {
        let update = config { ($0.parallelism, $0.delay, $0.monitor, $0.order) = (2, 3 * second, second, .stopFirst) }
        let stack = stack("one", replicas: 4, update: update)
        let state = look(stack, (1...4).map { container(stack, "web", $0) })
        let result = lines(plan(desired: wanted(stack), observed: state, now: 0))
        #expect(
            result.filter { $0.contains("stop") } == [
                "1 stop id-web-1 drained", "5 stop id-web-2 drained",
                "9 stop id-web-3 drained <4> [settled shop-web-1 for 4 s]",
                "13 stop id-web-4 drained <8> [settled shop-web-2 for 4 s]",
            ])
        let all = self.stack("one", replicas: 4, update: config { $0.parallelism = 0 })
        let atOnce = lines(plan(desired: wanted(all), observed: look(all, state.containers), now: 0))
        #expect(atOnce.filter { $0.contains("create") }.allSatisfy { !$0.contains("[") })
    }

    /// Five seconds without an error, as Docker has it, when the stack file speaks of updates at all.
    @Test func aReplicaCountsWhenItHasServedForAWhile() {
        let stack = stack("one", replicas: 2, update: config { $0.parallelism = 1 })
        let containers = [new(stack, 1), container(stack, "web", 2)]
        let early = plan(
            desired: wanted(stack, since: 50 * second), observed: look(stack, containers, at: 104), now: 104 * second)
        #expect(early.runnable(done: [], begun: [], in: look(stack, containers, at: 104)).isEmpty)
        #expect(early.wakeAt == 107 * second)
        #expect(!early.runnable(done: [], begun: [], in: look(stack, containers, at: 107)).isEmpty)
    }

    /// Also by a plan that is made while it passes.
    @Test func theDelayIsWaitedFor() {
        let update = config { ($0.monitor, $0.delay, $0.order) = (second, 20 * second, .stopFirst) }
        let stack = stack("one", replicas: 2, update: update)
        func isHeld(_ at: Int64) -> Bool {
            let state = look(stack, [new(stack, 1), container(stack, "web", 2)], at: at)
            return plan(desired: wanted(stack, since: 50 * second), observed: state, now: at * second)
                .runnable(done: [], begun: [], in: state).isEmpty
        }
        #expect(isHeld(122))
        #expect(!isHeld(123))
    }

    @Test func longTimesAreNoTrap() {
        let update = config { ($0.monitor, $0.delay, $0.order) = (Int64.max, Int64.max, .stopFirst) }
        let stack = stack("one", replicas: 3, update: update)
        let containers = [new(stack, 1), container(stack, "web", 2), container(stack, "web", 3)]
        let state = look(stack, containers, at: 1_800_000_000)
        let result = plan(desired: wanted(stack, since: 50 * second), observed: state, now: 0)
        #expect(result.runnable(done: [], begun: [], in: state).isEmpty && result.wakeAt != nil)
    }

    @Test func theLastOneIsWaitedFor() {
        let stack = stack("one", update: config { $0.order = .stopFirst })
        let waiting = plan(
            desired: wanted(stack, since: 50 * second), observed: look(stack, [new(stack, 1)], at: 103), now: 0)
        #expect(lines(waiting) == ["1 await [settled shop-web-1 for 5 s]"])
        let settled = plan(
            desired: wanted(stack, since: 50 * second), observed: look(stack, [new(stack, 1)], at: 107), now: 0)
        #expect(settled.isEmpty)
    }

    // MARK: Failures

    private func failing(_ action: UpdateConfig.FailureAction?, ratio: Double? = nil) -> Plan {
        let stack = stack(
            "one", replicas: 4,
            update: config { ($0.failureAction, $0.failureRatioMax, $0.monitor) = (action, ratio, 0) })
        let broken = new(stack, 1) { ($0.state, $0.exitCode, $0.finishedAt) = (.exited, 1, 103 * second) }
        let state = look(stack, [broken] + (2...4).map { container(stack, "web", $0) })
        return plan(desired: wanted(stack, since: 50 * second), observed: state, now: 0)
    }

    @Test func aFailureEndsTheRollout() {
        let cases: [(given: UpdateConfig.FailureAction?, action: UpdateConfig.FailureAction)] = [
            (nil, .pause), (.pause, .pause), (.rollback, .rollback),
        ]
        for (given, action) in cases {
            let result = failing(given)
            #expect(result.failedRollouts.map(\.action) == [action])
            #expect(result.failedRollouts.first?.failures.map(\.message) == ["container shop-web-1 exited (1)"])
            #expect(!result.blocked.isEmpty)
        }
    }

    @Test func failuresThatAreAllowedDoNot() {
        for result in [failing(.continue), failing(.rollback, ratio: 0.25)] {
            #expect(result.failedRollouts.isEmpty && result.blocked.isEmpty)
            #expect(lines(result).first == "1 create web-2")
        }
        #expect(failing(.pause, ratio: 0.2).failedRollouts.count == 1)
    }

    /// The predecessor of one that failed goes on serving, and the others have their turn.
    @Test func afterAFailureThatIsAllowedTheOthersGoOn() {
        let stack = stack("one", replicas: 2, update: config { ($0.failureAction, $0.monitor) = (.continue, 0) })
        let broken = new(stack, 1, next: true) { ($0.health, $0.readySince) = (.unhealthy, nil) }
        let state = look(stack, [container(stack, "web", 1), broken, container(stack, "web", 2)])
        let result = plan(desired: wanted(stack, since: 50 * second), observed: state, now: 0)
        #expect(result.blocked.isEmpty && result.failedRollouts.isEmpty)
        #expect(lines(result).first == "1 create web-2")
        #expect(!lines(result).contains { $0.contains("id-web-1") })
    }

    /// A third version finds both of a pair serving: the one with the name stays until its successor serves.
    @Test func aThirdVersionKeepsOneThatServes() {
        let stack = stack("one")
        let third = desired(stack) { $0.imageIDs["web"] = "sha256:3" }
        let pair = look(stack, [new(stack, 1, next: true), container(stack, "web")])
        #expect(
            lines(plan(desired: third, observed: pair, now: 0)).prefix(2) == [
                "1 stop new-1 drained", "2 remove new-1 <1>",
            ])
        let alone = look(stack, [new(stack, 1, next: true)])
        #expect(
            lines(plan(desired: third, observed: alone, now: 0)) == [
                "1 rename shop-web-1-next", "2 create web-1 <1>", "3 start web-1 <2>",
                "4 stop new-1 drained <3> [ready shop-web-1-next]", "5 remove new-1 <4>",
                "6 rename shop-web-1-next <5>",
            ])
    }

    /// A rename may say that it is done and not be: then the successor's name is still the predecessor's own.
    @Test func nobodySucceedsItself() {
        let stack = stack("one")
        let third = desired(stack) { $0.imageIDs["web"] = "sha256:3" }
        var state = look(stack, [new(stack, 1, next: true)])
        let result = plan(desired: third, observed: state, now: 0)
        func runnable() -> [Int] { result.runnable(done: [1, 2, 3], begun: [1, 2, 3], in: state).map(\.id) }
        #expect(runnable() == [])
        state.containers.append(new(stack, 1, next: true) { $0.id = "third" })
        #expect(runnable() == [4])
    }

    /// One that lacks its name yet is replaced in its turn, and those after it wait for it as for any other.
    @Test func oneWithoutItsNameKeepsItsPlace() {
        let stack = stack("one", replicas: 3)
        let third = desired(stack) { $0.imageIDs["web"] = "sha256:3" }
        let state = look(stack, [new(stack, 1), new(stack, 2, next: true), new(stack, 3)])
        #expect(
            lines(plan(desired: third, observed: state, now: 0)).filter { $0.contains(" create ") } == [
                "1 create web-1", "7 create web-2 <5,6> [ready shop-web-1]", "12 create web-3 <11> [ready shop-web-2]",
            ])
    }

    /// It was started again a moment ago, or its engine was: what is new has yet to show that it serves.
    @Test func aPredecessorThatDoesNotServeYetStays() {
        let stack = stack("one")
        let old = container(stack, "web") { $0.health = .starting }
        let next = new(stack, 1, next: true) { ($0.health, $0.readySince) = (.starting, nil) }
        #expect(
            lines(plan(desired: wanted(stack), observed: look(stack, [old, next]), now: 0)).first
                == "1 stop id-web-1 drained [ready shop-web-1-next]")
    }

    /// Two of one number may not run side by side: the one that does is replaced in its turn, instead of starting the
    /// one that does not beside it.
    @Test func whereOneMayRunTheOtherIsNotStarted() {
        let exclusive = stack("one", update: config { $0.order = .stopFirst })
        let stopped = container(exclusive, "web", 1, .exited)
        let state = look(exclusive, [stopped, new(exclusive, 1, next: true)])
        #expect(
            lines(plan(desired: desired(exclusive), observed: state, now: 0)) == [
                "1 remove id-web-1", "2 stop new-1", "3 remove new-1 <2>", "4 create web-1 <1,3>", "5 start web-1 <4>",
            ])
    }

    /// Nor is a new one started before all of its number are gone.
    @Test func whereOneMayRunBothGoBeforeTheNext() {
        let exclusive = stack("one", update: config { $0.order = .stopFirst })
        let third = desired(exclusive) { $0.imageIDs["web"] = "sha256:3" }
        let state = look(exclusive, [container(exclusive, "web"), new(exclusive, 1, next: true)])
        #expect(
            lines(plan(desired: third, observed: state, now: 0)) == [
                "1 stop new-1 drained", "2 remove new-1 <1>", "3 stop id-web-1", "4 remove id-web-1 <3>",
                "5 create web-1 <2,4>", "6 start web-1 <5>",
            ])
    }

    /// Scaled down and updated at once: one beyond the wanted number goes when all that are wanted serve.
    @Test func oneTooManyStaysUntilTheOthersServe() {
        let stack = stack("one", replicas: 2)
        let state = look(
            stack,
            [
                container(stack, "web", 1), new(stack, 1, next: true) { $0.health = .starting },
                new(stack, 2) { $0.health = .starting }, container(stack, "web", 3),
            ])
        let stop = lines(plan(desired: wanted(stack), observed: state, now: 0)).first { $0.contains("stop id-web-3") }
        #expect(stop?.hasSuffix("drained [ready shop-web-2]") == true)
    }

    @Test func aSuccessorTakesNobodysName() {
        let stack = stack("one").with {
            $0.services["web"]?.containerName = "app"
            $0.services["other"] = service { $0.containerName = "app-next" }
        }
        let state = look(stack, [container(stack, "web"), container(stack, "other")])
        #expect(lines(plan(desired: wanted(stack), observed: state, now: 0)).first == "1 stop id-web-1 drained")
    }

    /// Nobody waits for the deadline of one that ends again and again.
    @Test func aCrashLoopIsAFailure() {
        let stack = stack("one", update: config { $0.failureAction = .rollback }) { $0.restart.mode = .always }
        func failures(_ restarts: Int) -> [String] {
            let looping = new(stack, 1) {
                ($0.state, $0.exitCode, $0.finishedAt, $0.restarts) = (.exited, 1, 103 * second, restarts)
                $0.readySince = nil
            }
            let result = plan(
                desired: wanted(stack, since: 50 * second), observed: look(stack, [looping], at: 103), now: 103 * second
            )
            return result.failedRollouts.flatMap { $0.failures.map(\.message) }
        }
        #expect(failures(1).isEmpty)
        #expect(failures(2) == ["container shop-web-1 keeps ending: exited (1)"])
    }

    @Test func aReplicaThatIsNeverReadyIsAFailure() {
        let stack = stack("one", update: config { $0.failureAction = .rollback })
        let slow = new(stack, 1) { ($0.health, $0.readySince) = (.starting, nil) }
        func result(_ at: Int64) -> Plan {
            plan(desired: wanted(stack, since: 50 * second), observed: look(stack, [slow], at: at), now: at * second)
        }
        #expect(result(404).failedRollouts.isEmpty && result(404).wakeAt == 405 * second)
        #expect(
            result(405).failedRollouts.first?.failures.map(\.message) == [
                "container shop-web-1 was not ready in time, or not for long enough"
            ])
        // A healthcheck that gives it more time is believed.
        let patient = self.stack("one", update: config { $0.failureAction = .rollback }) {
            $0.healthcheck?.startPeriod = 600 * second
        }
        let patience = wanted(patient, since: 50 * second)
        let early = new(patient, 1) { ($0.health, $0.readySince) = (.starting, nil) }
        #expect(plan(desired: patience, observed: look(patient, [early], at: 700), now: 0).failedRollouts.isEmpty)
    }

    /// Ready each time that somebody looks, and never for as long as it has to be.
    @Test func aReplicaThatComesAndGoesIsAFailure() {
        let stack = stack("one", update: config { ($0.failureAction, $0.monitor) = (.rollback, 30 * second) }) {
            $0.restart.mode = .always
        }
        func failures(_ at: Int64) -> Int {
            let flapping = new(stack, 1) { ($0.startedAt, $0.readySince) = ((at - 9) * second, (at - 8) * second) }
            return plan(
                desired: wanted(stack, since: 50 * second), observed: look(stack, [flapping], at: at), now: at * second
            ).failedRollouts.count
        }
        #expect(failures(420) == 0)
        #expect(failures(430) == 1)
    }

    /// What a command is about to start, or has stopped, has not failed.
    @Test func onlyWhatIsLeftToItselfFails() {
        let stack = stack("one", update: config { $0.failureAction = .rollback })
        let stopped = new(stack, 1) { ($0.state, $0.exitCode, $0.stoppedByUser) = (.exited, 137, true) }
        var command = wanted(stack, since: 50 * second)
        command.since = 150 * second
        let started = plan(desired: command, observed: look(stack, [stopped]), now: 200 * second)
        #expect(lines(started).first == "1 start new-1" && started.failedRollouts.isEmpty)
        var maintained = wanted(stack, since: 50 * second)
        maintained.mode = .maintain
        #expect(plan(desired: maintained, observed: look(stack, [stopped]), now: 0).failedRollouts.isEmpty)
    }

    /// Without `update_config` a failure stops what waits for it, and is nothing else.
    @Test func whatIsNotAskedForIsNotPromised() {
        let stack = stack("one")
        let broken = new(stack, 1) { ($0.state, $0.exitCode, $0.finishedAt) = (.exited, 1, 103 * second) }
        let result = plan(
            desired: wanted(stack, since: 50 * second), observed: look(stack, [broken]), now: 200 * second)
        #expect(result.failedRollouts.isEmpty && result.blocked.isEmpty)
    }

    /// What was there before the change is none of it.
    @Test func onlyWhatWasMadeSinceCounts() {
        let stack = stack("one", replicas: 2, update: config { $0.failureAction = .rollback })
        let broken = new(stack, 1) { ($0.state, $0.exitCode) = (.exited, 1) }
        let state = look(stack, [broken, container(stack, "web", 2)])
        #expect(plan(desired: wanted(stack, since: 150 * second), observed: state, now: 0).failedRollouts.isEmpty)
    }
}
