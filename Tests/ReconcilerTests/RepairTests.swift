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
        let removed = plan(desired: desired(stack) { $0.removeOrphans = true }, observed: state, now: 0)
        #expect(
            lines(removed) == [
                "1 stop id-older-1", "2 remove id-older-1 <1>", "3 stop id-old-1 <1>", "4 remove id-old-1 <3>",
                "5 remove network shop_gone <2,4>",
            ])
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
