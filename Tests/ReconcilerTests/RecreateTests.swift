import Reconciler
import StackModel
import Testing

@Suite struct RecreateTests {
    private let checked = Healthcheck(test: ["CMD", "true"])

    @Test func replicasAreReplacedOneAfterTheOther() {
        let old = shop(["web": service("one", replicas: 2)])
        let new = shop(["web": service("two", replicas: 2)])
        let state = observed(old, [container(old, "web", 1), container(old, "web", 2)])
        let wanted = desired(new) { $0.imageIDs["web"] = "sha256:2" }
        let result = plan(desired: wanted, observed: state, now: 0)
        #expect(
            lines(result) == [
                "1 stop id-web-1 drained", "2 remove id-web-1 <1>", "3 create web-1 <2>", "4 start web-1 <3>",
                "5 stop id-web-2 drained <4> [ready shop-web-1]", "6 remove id-web-2 <5>", "7 create web-2 <6>",
                "8 start web-2 <7>",
            ])
        #expect(
            changes(result) == [
                "recreate container shop-web-1: image changed", "recreate container shop-web-2: image changed",
            ])
    }

    @Test func thoseThatDoNotServeGoFirst() {
        let old = shop(["web": service("one", replicas: 3) { $0.healthcheck = checked }])
        let new = shop(["web": service("one", replicas: 3) { ($0.healthcheck, $0.user) = (checked, "nobody") }])
        let state = observed(
            old,
            [
                container(old, "web", 1), container(old, "web", 2) { $0.health = .unhealthy },
                container(old, "web", 3, .exited),
            ])
        let result = plan(desired: desired(new), observed: state, now: 0)
        #expect(
            lines(result) == [
                "1 remove id-web-3", "2 create web-3 <1>", "3 start web-3 <2>",
                "4 stop id-web-2 drained", "5 remove id-web-2 <4>", "6 create web-2 <5>", "7 start web-2 <6>",
                "8 create web-1 <3,7> [ready shop-web-3, ready shop-web-2]", "9 start web-1 <8>",
                "10 stop id-web-1 drained <9> [ready shop-web-1-next]", "11 remove id-web-1 <10>",
                "12 rename shop-web-1-next <11>",
            ])
    }

    @Test func manyReplicasMakeAChainOfGates() {
        let count = DesiredState.replicasMax
        let old = shop(["web": service("one", replicas: count)])
        let new = shop(["web": service("one", replicas: count) { $0.user = "nobody" }])
        let state = observed(old, (1...count).map { container(old, "web", $0) })
        let result = plan(desired: desired(new), observed: state, now: 0)
        #expect(result.steps.count == 4 * count)
        #expect(lines(result)[4 * count - 4].hasSuffix("[ready shop-web-\(count - 1)]"))
        #expect(result.steps.reduce(0) { $0 + $1.gates.count } == count - 1)
    }

    @Test func aRolloutStopsAtAReplicaThatFails() {
        let old = shop(["web": service("one", replicas: 2)])
        let new = shop(["web": service("one", replicas: 2) { $0.command = ["broken"] }])
        let state = observed(new, [container(new, "web", 1, .exited), container(old, "web", 2)])
        let result = plan(desired: desired(new, .maintain), observed: state, now: 9 * second)
        #expect(lines(result).first == "1 stop id-web-2 drained [ready shop-web-1]")
        #expect(result.blocked.map(\.message) == ["container shop-web-1 exited (1)"])
        #expect(result.runnable(done: [], begun: [], in: state).isEmpty)
    }

    @Test func anImageUnderTheSameNameReplaces() {
        let stack = shop(["web": service()])
        let state = observed(stack, [container(stack, "web")])
        let wanted = desired(stack) { $0.imageIDs["web"] = "sha256:2" }
        #expect(
            changes(plan(desired: wanted, observed: state, now: 0)) == [
                "recreate container shop-web-1: image id changed"
            ])
        let unknown = desired(stack) { $0.imageIDs = [:] }
        #expect(plan(desired: unknown, observed: state, now: 0).isEmpty)
    }

    @Test func contentOfAConfigReplacesItsUsers() {
        func stack(_ text: String) -> Stack {
            shop([
                "web": service { $0.configs = [FileMount(source: "site", target: "/site")] }, "db": service(),
            ]).with { $0.configs["site"] = FileObject(content: Array(text.utf8)) }
        }
        let state = observed(stack("a"), [container(stack("a"), "web"), container(stack("a"), "db")])
        #expect(
            changes(plan(desired: desired(stack("b")), observed: state, now: 0)) == [
                "recreate container shop-web-1: configs.site content changed"
            ])
    }

    @Test func aChangedNetworkIsReplacedWithItsUsers() {
        let old = shop([
            "web": service(dependsOn: ["db": .started]), "db": service(), "alone": service { $0.networks = [:] },
        ])
        let new = old.with { $0.networks["default"]?.isInternal = true }
        let state = observed(old, [container(old, "web"), container(old, "db"), container(old, "alone")])
        let result = plan(desired: desired(new), observed: state, now: 0)
        #expect(
            lines(result) == [
                "1 stop id-web-1", "2 remove id-web-1 <1>", "3 stop id-db-1 <1,2>", "4 remove id-db-1 <3>",
                "5 remove network shop_default <2,4>", "6 create network default <5>",
                "7 create db-1 <4,6>", "8 start db-1 <7>",
                "9 create web-1 <2,6>", "10 start web-1 <8,9> [started db]",
            ])
        #expect(
            changes(result) == [
                "recreate network shop_default: definition changed",
                "recreate container shop-db-1: network default changed",
                "recreate container shop-web-1: network default changed",
            ])
    }

    /// A network cannot be taken from under those that the plan does not replace.
    @Test func aChangedNetworkIsLeftAsItIsWhileOthersAreOnIt() {
        let old = shop(["web": service(), "db": service()])
        let new = old.with { $0.networks["default"]?.isInternal = true }
        let oneOff = container(old, "web", 7) { $0.oneOff = true }
        let state = observed(old, [container(old, "web"), container(old, "db"), oneOff])
        let wanted = desired(new) { $0.selection = ["web"] }
        let result = plan(desired: wanted, observed: state, now: 0)
        #expect(result.isEmpty)
        #expect(result.warnings.map(\.code) == ["network.changed"])
        #expect(result.warnings.first?.hint?.contains("shop-db-1, shop-web-7") == true)
    }

    @Test func aChangedVolumeIsLeftWithAWarning() {
        let old = shop(["db": service { $0.mounts = [Mount(kind: .volume, source: "data", target: "/data")] }])
            .with { $0.volumes["data"] = Volume() }
        let new = old.with { $0.volumes["data"]?.driverOptions = ["type": "nfs"] }
        let result = plan(desired: desired(new), observed: observed(old, [container(old, "db")]), now: 0)
        #expect(result.isEmpty)
        #expect(result.warnings.map(\.code) == ["volume.changed"])
    }

    @Test func aLostVolumeIsNotReplacedByAnEmptyOne() {
        let stack = shop(["db": service { $0.mounts = [Mount(kind: .volume, source: "data", target: "/data")] }])
            .with { $0.volumes["data"] = Volume() }
        var state = observed(stack, [container(stack, "db", 1, .exited)])
        state.volumes = []
        let result = plan(desired: desired(stack), observed: state, now: 0)
        #expect(lines(result) == ["1 start id-db-1 [volume shop_data]"])
        #expect(result.blocked.map(\.code) == ["volume.not-found"])
        #expect(result.warnings.map(\.code) == ["volume.lost"])
    }

    @Test func controlFieldsOnlyUpdateTheRecord() {
        let old = shop(["web": service()])
        let new = shop(["web": service(restart: .always)])
        let result = plan(desired: desired(new), observed: observed(old, [container(old, "web")]), now: 0)
        #expect(changes(result) == ["update container shop-web-1: restart changed"])
        #expect(lines(result) == ["1 update id-web-1"])
    }

    @Test func forcedRecreationHappensOnce() {
        let stack = shop(["web": service()])
        let state = observed(stack, [container(stack, "web")])
        let forced = desired(stack) {
            $0.forceRecreate = true
            $0.since = 5 * second
        }
        #expect(changes(plan(desired: forced, observed: state, now: 5 * second)).count == 1)
        var again = state
        again.containers[0].createdAt = 6 * second
        again.containers[0].startedAt = 7 * second
        #expect(plan(desired: forced, observed: again, now: 8 * second).isEmpty)
    }

    @Test func noRecreateLeavesWhatDiffers() {
        let old = shop(["web": service()])
        let new = shop(["web": service(restart: .always) { $0.command = ["new"] }])
        let state = observed(old, [container(old, "web")])
        for mode in [DesiredState.Mode.apply, .maintain] {
            let wanted = desired(new, mode) { $0.noRecreate = true }
            #expect(plan(desired: wanted, observed: state, now: 0).isEmpty)
        }
    }

    @Test func dependentsThatAskForItRestartWithAReplacement() {
        func stack(_ image: String) -> Stack {
            shop([
                "db": service(image),
                "web": service { $0.dependsOn = ["db": Dependency(condition: .started, restart: true)] },
                "log": service(dependsOn: ["db": .started]),
            ])
        }
        let names = ["db", "web", "log"]
        let state = observed(stack("one"), names.map { container(stack("one"), $0) })
        let wanted = desired(stack("two")) { $0.imageIDs["db"] = "sha256:2" }
        #expect(
            lines(plan(desired: wanted, observed: state, now: 9 * second)).suffix(1) == [
                "5 restart id-web-1 <4> [started db]"
            ])
        // The same when the replacement has happened and the restart has not.
        var half = state
        half.containers[0] = container(stack("two"), "db") {
            $0.definition.imageID = "sha256:2"
            ($0.createdAt, $0.startedAt) = (5 * second, 6 * second)
        }
        #expect(lines(plan(desired: wanted, observed: half, now: 9 * second)) == ["1 restart id-web-1 [started db]"])
        half.containers[1].startedAt = 7 * second
        #expect(plan(desired: wanted, observed: half, now: 9 * second).isEmpty)
    }

    @Test func aSharedNamespaceEndsWithItsOwner() {
        func stack(_ image: String) -> Stack {
            shop(["vpn": service(image), "app": service { ($0.networkMode, $0.networks) = ("service:vpn", [:]) }])
        }
        let state = observed(stack("one"), [container(stack("one"), "vpn"), container(stack("one"), "app")])
        let wanted = desired(stack("two")) { $0.imageIDs["vpn"] = "sha256:2" }
        let result = plan(desired: wanted, observed: state, now: 0)
        #expect(changes(result).suffix(1) == ["restart container shop-app-1: shares a namespace with vpn"])
        #expect(lines(result).suffix(1) == ["5 restart id-app-1 <4> [started vpn]"])
    }
}
