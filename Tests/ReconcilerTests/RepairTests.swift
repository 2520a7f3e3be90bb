import Reconciler
import StackModel
import Testing

@Suite struct RepairTests {
    private let stack = shop(["web": service(replicas: 2)])

    private func planned(
        _ mode: DesiredState.Mode = .maintain, edit: (inout ObservedState) -> Void,
        wanted: (inout DesiredState) -> Void = { _ in }
    ) -> Plan {
        var state = observed(stack, [container(stack, "web", 1), container(stack, "web", 2)])
        edit(&state)
        return plan(desired: desired(stack, mode, edit: wanted), observed: state, now: 9 * second)
    }

    @Test func aLostBridgeAndItsPortsAreMadeAgainUnderTheContainers() {
        let result = planned { state in
            state.networks[0].problems = [.bridgeMissing]
            state.containers[1].problems = [.vethMissing(network: "shop_default")]
        }
        #expect(lines(result) == ["1 repair network shop_default", "2 attach id-web-2 to shop_default <1>"])
        #expect(
            changes(result) == [
                "repair network shop_default: bridge is missing",
                "repair container shop-web-2: interface on shop_default is missing",
            ])
    }

    @Test func theFirewallIsRepairedInOneStep() {
        let result = planned { $0.firewallProblems = ["map ports has changed", "chain forward is missing"] }
        #expect(lines(result) == ["1 repair firewall"])
        #expect(result.displayChanges.map(\.reason) == ["chain forward is missing, map ports has changed"])
    }

    @Test func aLostNamespaceNeedsARestartAndTheOtherReplicaServesOn() {
        let result = planned { $0.containers[0].problems = [.namespaceLost, .vethMissing(network: "shop_default")] }
        #expect(lines(result) == ["1 restart id-web-1"])
    }

    @Test func aDeadContainerIsMadeAgain() {
        let result = planned { $0.containers[1].state = .dead }
        #expect(lines(result) == ["1 remove id-web-2", "2 create web-2 <1>", "3 start web-2 <2>"])
    }

    @Test func aMissingNetworkUnderRunningContainersIsMadeAndTheyArePluggedIn() {
        let result = planned { state in
            state.networks = []
            state.containers[0].problems = [.vethMissing(network: "shop_default")]
        }
        #expect(lines(result) == ["1 create network default", "2 attach id-web-1 to shop_default <1>"])
    }

    @Test func aPausedContainerIsLeftWithAWarning() {
        let result = planned(.apply) { $0.containers[0].state = .paused }
        #expect(result.isEmpty)
        #expect(result.warnings.map(\.code) == ["container.paused"])
    }

    @Test func oneOffContainersArePluggedInButNeverRestarted() {
        let result = planned { state in
            state.containers.append(
                container(stack, "web", 9) {
                    $0.oneOff = true
                    $0.problems = [.vethMissing(network: "shop_default"), .namespaceLost]
                })
            state.containers.append(container(stack, "web", 10, .exited) { $0.oneOff = true })
        }
        #expect(lines(result) == ["1 attach id-web-9 to shop_default"])
    }

    @Test func anExternalNetworkMustBeThere() {
        let external = stack.with {
            $0.networks["default"]?.external = true
            $0.networks["default"]?.name = "lan"
        }
        let result = plan(desired: desired(external), observed: ObservedState(), now: 0)
        #expect(result.blocked.map(\.message) == ["network lan declared as external, but could not be found"])
        #expect(result.runnable(done: [], begun: [], in: ObservedState()).isEmpty)
        var state = ObservedState()
        state.networks = [ObservedNetwork(name: "lan", definition: Network(), external: true)]
        #expect(plan(desired: desired(external), observed: state, now: 0).blocked.isEmpty)
    }

    @Test func orphansAreNamedAndOnlyRemovedWhenAsked() {
        let old = shop([
            "web": service(replicas: 2), "old": service(networks: ["gone"]),
            "older": service(dependsOn: ["old": .started]),
        ])
        .with { $0.networks["gone"] = Network() }
        let state = observed(
            old,
            [
                container(old, "web", 1), container(old, "web", 2), container(old, "old"), container(old, "older"),
            ])
        let warned = plan(desired: desired(stack), observed: state, now: 0)
        #expect(warned.isEmpty)
        #expect(
            warned.warnings.map(\.message) == [
                "found orphan containers of services that are not in the stack file: shop-old-1, shop-older-1"
            ])
        // What the file has, and no profile enables, is none.
        let disabled = stack.with { $0.disabledServices = ["old", "older"] }
        let kept = plan(desired: desired(disabled) { $0.removeOrphans = true }, observed: state, now: 0)
        #expect(kept.isEmpty && kept.warnings.isEmpty)
        let removed = plan(desired: desired(stack) { $0.removeOrphans = true }, observed: state, now: 0)
        #expect(
            lines(removed) == [
                "1 stop id-older-1", "2 remove id-older-1 <1>", "3 stop id-old-1 <1>", "4 remove id-old-1 <3>",
                "5 remove network shop_gone <2,4>",
            ])
    }

    /// A plan that was looked at is carried out and nothing beside it; the rest is the background loop's business.
    @Test func aSavedPlanActsOnWhatItTouchesOnly() {
        let old = shop(["web": service(replicas: 2), "db": service(replicas: 2), "job": service()])
        var new = old
        new.services["web"]?.environment = ["LOG": "debug"]
        var options = StackOptions()
        options.drift = DriftPolicies(.warn)
        new.gantry = options
        var state = observed(
            old,
            [
                container(old, "web", 1), container(old, "web", 2),
                container(old, "db", 1) {
                    $0.limits = [ChangedLimit(file: "memory.max", present: "1", wanted: "2")]
                    $0.problems = [.interfaceDown(network: "shop_default")]
                },
                container(old, "job", 1, .exited),
            ])
        state.networks[0].problems = [.routeMissing]
        state.firewallProblems = ["map ports has changed"]
        func touched(_ touches: Set<String>?, stopped: Set<String> = []) -> Set<String> {
            let wanted = desired(new) { ($0.touches, $0.stopped, $0.isSettled) = (touches, stopped, true) }
            return Set(plan(desired: wanted, observed: state, now: 9 * second).steps.map(\.name))
        }
        let web: Set = ["shop-web-1", "shop-web-2"]
        let planned: Set = ["service.web[1]", "service.web[2]"]
        #expect(touched(planned) == web)
        #expect(touched(planned.union(["service.db[1]", "firewall"])) == web.union(["shop-db-1", "shop"]))
        #expect(
            touched(planned.union(["service.db[2]", "network.default"])) == web.union(["shop-db-2", "shop_default"]))
        let all = web.union(["shop-db-1", "shop-db-2", "shop-job-1", "shop_default", "shop"])
        #expect(touched(nil) == all)
        // What a command has stopped meanwhile stays so.
        #expect(touched(nil, stopped: ["job"]) == all)
        #expect(touched(planned.union(["service.job[1]"]), stopped: ["job"]) == web)
    }

    @Test func aNameIsFreedBeforeItIsTakenAgain() {
        let old = shop(["old": service { $0.containerName = "front" }])
        let new = shop(["new": service { $0.containerName = "front" }])
        let state = observed(old, [container(old, "old")])
        let refused = plan(desired: desired(new), observed: state, now: 0)
        #expect(refused.blocked.map(\.code) == ["container.name-in-use"])
        let result = plan(desired: desired(new) { $0.removeOrphans = true }, observed: state, now: 0)
        #expect(result.blocked.isEmpty)
        #expect(
            lines(result) == ["1 stop id-old-1", "2 remove id-old-1 <1>", "3 create new-1 <2>", "4 start new-1 <3>"])
    }
}

private func service(networks: [String]) -> Service {
    var service = Service(image: "app")
    for key in networks { service.networks[key] = NetworkAttachment() }
    return service
}
