import Reconciler
import StackModel
import Testing

@Suite struct CommandPlanTests {
    private let stack = shop([
        "web": service(dependsOn: ["api": .started]), "api": service(dependsOn: ["db": .healthy]),
        "db": service {
            $0.healthcheck = Healthcheck(test: ["CMD", "true"])
            $0.mounts = [Mount(kind: .volume, source: "data", target: "/data")]
        },
    ]).with { $0.volumes["data"] = Volume() }

    private func all(_ state: ObservedContainer.State = .running) -> ObservedState {
        observed(stack, ["api", "db", "web"].map { container(stack, $0, 1, state) })
    }

    @Test func downStopsDependentsFirstAndKeepsVolumes() {
        #expect(
            lines(planDown(observed: all())) == [
                "1 stop id-web-1", "2 remove id-web-1 <1>", "3 stop id-api-1 <1>", "4 remove id-api-1 <3>",
                "5 stop id-db-1 <3>", "6 remove id-db-1 <5>", "7 remove network shop_default <2,4,6>",
            ])
        #expect(
            lines(planDown(observed: all(), removeVolumes: true)).suffix(2) == [
                "7 remove network shop_default <2,4,6>", "8 remove volume shop_data <2,4,6>",
            ])
        #expect(lines(planDown(observed: all(), removeVolumes: true))[1] == "2 remove id-web-1 with volumes <1>")
    }

    @Test func downWaitsThroughWhatHasAlreadyStopped() {
        var state = all()
        state.containers[0].state = .exited
        #expect(lines(planDown(observed: state))[3] == "4 stop id-db-1 <1>")
    }

    @Test func downTakesOneOffContainersAndLeavesWhatIsExternal() {
        var state = all()
        state.containers = [container(stack, "web", 4) { $0.oneOff = true }]
        state.networks = [ObservedNetwork(name: "lan", definition: Network(), external: true)]
        state.volumes = [ObservedVolume(name: "nas", definition: Volume(), external: true)]
        #expect(
            lines(planDown(observed: state, removeVolumes: true)) == [
                "1 stop id-web-4", "2 remove id-web-4 with volumes <1>",
            ])
    }

    @Test func downWithAStackLeavesOrphansAndWhatTheyUse() {
        var state = all()
        state.containers.append(container(stack, "db", 9) { ($0.service, $0.name) = ("old", "shop-old-1") })
        let result = planDown(observed: state, stack: stack, removeVolumes: true)
        #expect(
            !lines(result).contains { $0.contains("id-db-9") || $0.contains("network") || $0.contains("volume shop") })
        #expect(result.warnings.map(\.code) == ["stack.orphans", "network.in-use", "volume.in-use"])
        #expect(planDown(observed: state, stack: stack, removeOrphans: true).warnings.isEmpty)
        #expect(lines(planDown(observed: state)).contains { $0.contains("remove id-db-9") })
    }

    @Test func stopIsStartBackwards() {
        #expect(
            lines(planStop(observed: all())) == ["1 stop id-web-1", "2 stop id-api-1 <1>", "3 stop id-db-1 <2>"])
        #expect(
            lines(planStart(observed: all(.exited))) == [
                "1 start id-db-1", "2 start id-api-1 <1> [healthy db]", "3 start id-web-1 <2> [started api]",
            ])
        #expect(lines(planStop(observed: all(), services: ["api"])) == ["1 stop id-api-1"])
        #expect(planStop(observed: all(.exited)).isEmpty)
        #expect(planStart(observed: all()).isEmpty)
    }

    /// One that ends again and again would be started for ever, without a pause.
    @Test func whatStartHasStartedIsLeftToItsRestartPolicy() {
        func again(_ mode: RestartPolicy.Mode, now: Int64) -> Plan {
            let stack = shop(["web": service(restart: mode)])
            return planStart(
                observed: observed(stack, [container(stack, "web", 1, .exited) { $0.restarts = 3 }]), since: second,
                now: now)
        }
        #expect(again(.no, now: 9 * second).isEmpty)
        #expect(again(.always, now: 3 * second).isEmpty)
        #expect(again(.always, now: 3 * second).wakeAt == 3_800_000_000)
        let due = again(.always, now: 4 * second)
        #expect(due.steps.map(\.action) == [.startContainer(.id("id-web-1"), byPolicy: true)])
    }

    @Test func startBringsDependencies() {
        #expect(
            lines(planStart(observed: all(.exited), services: ["api"])) == [
                "1 start id-db-1", "2 start id-api-1 <1> [healthy db]",
            ])
        let result = planStart(observed: ObservedState(), services: ["web"])
        #expect(result.isEmpty)
        #expect(result.blocked.map(\.message) == ["service \"web\" has no container"])
    }

    @Test func restartFollowsTheOrderAndTheDependentsThatAskForIt() {
        #expect(
            lines(planRestart(observed: all(), services: ["db"])) == ["1 restart id-db-1"])
        let linked = stack.with { $0.services["api"]?.dependsOn["db"]?.restart = true }
        var state = observed(linked, ["api", "db", "web"].map { container(linked, $0) })
        #expect(
            lines(planRestart(observed: state, services: ["db"])) == [
                "1 restart id-db-1", "2 restart id-api-1 <1> [healthy db]",
            ])
        #expect(lines(planRestart(observed: state, services: ["db"], noDependencies: true)) == ["1 restart id-db-1"])
        state.containers[0].state = .exited
        #expect(lines(planRestart(observed: state, services: ["db"])) == ["1 restart id-db-1"])
        #expect(lines(planRestart(observed: state, services: ["api"])) == ["1 restart id-api-1"])
    }

    @Test func killReachesWhatRuns() {
        var state = all()
        state.containers[0].state = .exited
        #expect(
            lines(planKill(observed: state, signal: "SIGHUP")) == [
                "1 signal id-db-1 SIGHUP", "2 signal id-web-1 SIGHUP",
            ])
    }

    @Test func circlesDoNotHang() {
        let circle = shop(["a": service(dependsOn: ["b": .started]), "b": service(dependsOn: ["a": .started])])
        let state = observed(circle, [container(circle, "a"), container(circle, "b")])
        #expect(planDown(observed: state).displayChanges.count == 3)
        #expect(planRestart(observed: state).steps.count == 2)
    }
}
