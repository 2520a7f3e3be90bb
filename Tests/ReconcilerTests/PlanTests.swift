import Reconciler
import StackModel
import Testing

@Suite struct PlanTests {
    @Test func anEmptyMachineGetsEverythingInDependencyOrder() {
        let stack = shop([
            "web": service(replicas: 2, dependsOn: ["db": .healthy, "migrate": .completed]),
            "db": service { $0.mounts = [Mount(kind: .volume, source: "data", target: "/data")] },
            "migrate": service(dependsOn: ["db": .healthy]),
        ]).with { $0.volumes["data"] = Volume() }
        let result = plan(desired: desired(stack), observed: ObservedState(), now: 0)
        #expect(
            lines(result) == [
                "1 create network default",
                "2 create volume data",
                "3 create db-1 <1,2>",
                "4 start db-1 <3>",
                "5 create migrate-1 <1>",
                "6 start migrate-1 <4,5> [healthy db]",
                "7 create web-1 <1>",
                "8 start web-1 <4,6,7> [healthy db, completed migrate]",
                "9 create web-2 <1>",
                "10 start web-2 <4,6,9> [healthy db, completed migrate]",
            ])
        #expect(
            changes(result) == [
                "create network shop_default: does not exist", "create volume shop_data: does not exist",
                "create container shop-db-1: does not exist", "create container shop-migrate-1: does not exist",
                "create container shop-web-1: does not exist", "create container shop-web-2: does not exist",
            ])
        #expect(result.blocked.isEmpty)
        #expect(result.pendingGates.map(\.step) == [6, 8, 8, 10, 10])
    }

    @Test func whatIsAsItShouldBeNeedsNothing() {
        let stack = shop(["web": service(replicas: 2)])
        let state = observed(stack, [container(stack, "web", 1), container(stack, "web", 2)])
        for mode in [DesiredState.Mode.apply, .maintain] {
            let result = plan(desired: desired(stack, mode), observed: state, now: 0)
            #expect(result == Plan())
        }
    }

    @Test func aSelectionBringsItsDependenciesAndNothingElse() {
        let stack = shop([
            "web": service(dependsOn: ["db": .started]), "db": service(), "other": service(),
        ])
        let wanted = desired(stack) { $0.selection = ["web"] }
        #expect(
            lines(plan(desired: wanted, observed: observed(stack, []), now: 0)) == [
                "1 create db-1", "2 start db-1 <1>", "3 create web-1", "4 start web-1 <2,3> [started db]",
            ])
        let alone = desired(stack) {
            $0.selection = ["web"]
            $0.noDependencies = true
        }
        #expect(
            lines(plan(desired: alone, observed: observed(stack, []), now: 0)) == [
                "1 create web-1", "2 start web-1 <1>",
            ])
    }

    @Test func anUnknownServiceIsRefused() {
        let wanted = desired(shop(["web": service()])) { $0.selection = ["wbe"] }
        let result = plan(desired: wanted, observed: ObservedState(), now: 0)
        #expect(result.isEmpty)
        #expect(result.blocked.map(\.message) == ["no such service: wbe"])
    }

    @Test func aCircleIsRefused() {
        let stack = shop([
            "a": service(dependsOn: ["b": .started]), "b": service(dependsOn: ["a": .started]), "c": service(),
        ])
        let result = plan(desired: desired(stack), observed: ObservedState(), now: 0)
        #expect(result.isEmpty)
        #expect(result.blocked.map(\.code) == ["dependency.cycle"])
    }

    @Test func noStartMakesWithoutStarting() {
        let stack = shop(["web": service(dependsOn: ["db": .healthy]), "db": service()])
        let wanted = desired(stack) { $0.noStart = true }
        #expect(
            lines(plan(desired: wanted, observed: observed(stack, []), now: 0)) == ["1 create db-1", "2 create web-1"])
        let made = observed(stack, [container(stack, "web", 1, .created), container(stack, "db", 1, .created)])
        #expect(plan(desired: wanted, observed: made, now: 0) == Plan())
        let held = desired(stack, .maintain) { $0.stopped = ["web", "db"] }
        #expect(plan(desired: held, observed: made, now: 0) == Plan())
        #expect(
            lines(plan(desired: desired(stack, .maintain), observed: made, now: 0)) == [
                "1 start id-db-1", "2 start id-web-1 <1> [healthy db]",
            ])
    }

    @Test func theSourceOfAChangeIsGiven() {
        let mark = SourceMark(file: "compose.yaml", line: 7, column: 5)
        let old = shop(["app": service { $0.environment = ["FOO": "1"] }])
        let new = shop(["app": service { $0.environment = ["FOO": "2"] }]).with {
            $0.sources = ["services.app": SourceMark(file: "compose.yaml", line: 2, column: 3)]
            $0.sources["services.app.environment.FOO"] = mark
        }
        let result = plan(desired: desired(new), observed: observed(old, [container(old, "app")]), now: 0)
        #expect(changes(result) == ["recreate container shop-app-1: environment.FOO changed"])
        #expect(result.displayChanges.map(\.source) == [mark])
        #expect(result.steps.allSatisfy { $0.source == mark })
    }

    @Test func orderOfTheInputDoesNotMatter() {
        let stack = shop(["web": service(replicas: 3), "db": service(replicas: 2)])
        let state = observed(
            stack,
            [container(stack, "web", 1, .exited), container(stack, "web", 3), container(stack, "db", 2, .exited)])
        let wanted = desired(stack)
        #expect(
            plan(desired: wanted, observed: state, now: 9) == plan(desired: wanted, observed: reversed(state), now: 9))
        var broken = observed(stack, (1...3).map { container(stack, "web", $0) })
        for index in 0..<3 { broken.containers[index].problems = [.vethMissing(network: "shop_default")] }
        #expect(
            plan(desired: wanted, observed: broken, now: 9) == plan(desired: wanted, observed: reversed(broken), now: 9)
        )
        #expect(planDown(observed: broken) == planDown(observed: reversed(broken)))
        #expect(planStop(observed: broken) == planStop(observed: reversed(broken)))
        #expect(endpoints(of: broken) == endpoints(of: reversed(broken)))
    }

    private func reversed(_ state: ObservedState) -> ObservedState {
        var result = state
        result.containers.reverse()
        result.networks.reverse()
        return result
    }

    @Test func aPartialCommandKeepsTheOtherServices() {
        let old = shop(["web": service("one"), "db": service("one"), "gone": service()])
        let new = shop(["web": service("two"), "db": service("two"), "fresh": service()])
        let kept = new.keeping(old, selection: ["web"])
        #expect(kept.services["web"]?.image == "two")
        #expect(kept.services["db"]?.image == "one")
        #expect(kept.services["gone"] != nil)
        #expect(kept.services["fresh"] == nil)
        #expect(new.keeping(old, selection: []) == new)
    }
}

extension Stack {
    func with(_ edit: (inout Stack) -> Void) -> Stack {
        var copy = self
        edit(&copy)
        return copy
    }
}
