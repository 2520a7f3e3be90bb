import Reconciler
import StackModel
import Testing

@Suite struct DriftTests {
    private let stack = shop(["web": service(replicas: 2, restart: .always)])

    private func with(_ policies: DriftPolicies?, service: DriftPolicies? = nil) -> Stack {
        stack.with {
            var options = StackOptions()
            options.drift = policies
            $0.gantry = options
            guard let service else { return }
            var own = ServiceOptions()
            own.drift = service
            $0.services["web"]?.gantry = own
        }
    }

    private func state(_ stack: Stack, edit: (inout ObservedState) -> Void) -> ObservedState {
        var state = observed(stack, [container(stack, "web", 1), container(stack, "web", 2)])
        state.at = 9 * second
        edit(&state)
        return state
    }

    private func planned(
        _ stack: Stack, _ mode: DesiredState.Mode = .maintain, at now: Int64 = 9 * second,
        edit: (inout ObservedState) -> Void
    ) -> Plan {
        let wanted = desired(stack, mode) { $0.isSettled = true }
        return plan(desired: wanted, observed: state(stack, edit: edit), now: now)
    }

    private func reported(
        _ stack: Stack, facts: (inout DriftFacts) -> Void = { _ in }, edit: (inout ObservedState) -> Void = { _ in }
    ) -> [String] {
        var known = DriftFacts()
        facts(&known)
        let wanted = desired(stack, .maintain) { $0.isSettled = true }
        return drift(desired: wanted, observed: state(stack, edit: edit), facts: known).map {
            "\($0.address) \($0.kind.rawValue) \($0.policy.rawValue): \($0.detail)"
        }
    }

    private static let limit = ChangedLimit(file: "memory.max", present: "1", wanted: "max")

    /// What each class looks like, the plan that repairs it, and how it is reported.
    private static let cases: [(DriftClass, @Sendable (inout ObservedState) -> Void, [String], String)] = [
        (
            .limits, { $0.containers[0].limits = [limit] }, ["1 restore limits of id-web-1"],
            "services.web[1] limits: memory.max is 1 instead of max"
        ),
        (
            .network, { $0.containers[0].problems = [.addressMissing(network: "shop_default")] },
            ["1 attach id-web-1 to shop_default"], "services.web[1] network: address on shop_default is missing"
        ),
        (
            .network, { $0.networks[0].problems = [.bridgeDown] }, ["1 repair network shop_default"],
            "networks.default network: bridge is down"
        ),
        (
            .dns, { $0.containers[0].problems = [.resolverMissing] }, ["1 attach id-web-1 to shop_default"],
            "services.web[1] dns: resolver is missing"
        ),
        (
            .sysctl, { $0.networks[0].problems = [.settingChanged] }, ["1 repair network shop_default"],
            "networks.default sysctl: kernel parameters of its bridge were changed"
        ),
        (
            .firewall, { $0.firewallProblems = ["rules were changed"] }, ["1 repair firewall"],
            "firewall firewall: rules were changed"
        ),
        (
            .exited,
            {
                $0.containers[0].state = .exited
                $0.containers[0].exitCode = 1
                $0.containers[0].finishedAt = 3 * second
            }, ["1 start id-web-1"], "services.web[1] exited: exited (1)"
        ),
        (
            .deleted, { $0.containers.removeFirst() }, ["1 create web-1", "2 start web-1 <1>"],
            "services.web[1] deleted: it is gone"
        ),
        (
            .deleted, { $0.containers[0].state = .dead },
            ["1 remove id-web-1", "2 create web-1 <1>", "3 start web-1 <2>"],
            "services.web[1] deleted: its files were removed"
        ),
        (
            .paused, { $0.containers[0].state = .paused }, ["1 resume id-web-1"],
            "services.web[1] paused: its processes are frozen"
        ),
    ]

    @Test func everyClassIsRepairedWarnedOfOrIgnoredAsItsPolicySays() {
        for (kind, edit, steps, text) in Self.cases {
            for policy in DriftPolicy.allCases {
                for own in [false, true] {
                    // The service's word counts before the stack's, which says the opposite.
                    let opposite = policy == .repair ? DriftPolicy.ignore : .repair
                    let isOfService = own && text.hasPrefix("services.")
                    let stack = with(
                        DriftPolicies(classes: [kind: isOfService ? opposite : policy]),
                        service: isOfService ? DriftPolicies(classes: [kind: policy]) : nil)
                    let plan = planned(stack, edit: edit)
                    #expect(lines(plan) == (policy == .repair ? steps : []), "\(kind) \(policy)")
                    let wanted = text.replacing(": ", with: " \(policy.rawValue): ", maxReplacements: 1)
                    #expect(reported(stack, edit: edit) == (policy == .ignore ? [] : [wanted]), "\(kind) \(policy)")
                }
            }
        }
    }

    @Test func defaultsRepairWhatNobodyMissesAndAskAboutTheRest() {
        for (kind, edit, steps, _) in Self.cases {
            #expect(lines(planned(stack, edit: edit)) == (kind == .paused ? [] : steps))
        }
    }

    @Test func oneWordForAllRemovesNothingAndLetsNothingGo() {
        let all = with(DriftPolicies(.repair))
        #expect(lines(planned(all) { $0.containers[0].state = .paused }) == [])
        let orphan = container(shop(["old": service()]), "old")
        #expect(lines(planned(all) { $0.containers.append(orphan) }) == [])
        let named = with(DriftPolicies(.repair, classes: [.orphan: .repair]))
        #expect(lines(planned(named) { $0.containers.append(orphan) }) == ["1 stop id-old-1", "2 remove id-old-1 <1>"])
        let none = with(DriftPolicies(.ignore))
        #expect(Self.cases.allSatisfy { lines(planned(none, edit: $0.1)) == [] && reported(none, edit: $0.1) == [] })
    }

    @Test func aCommandRepairsWhatIsOnlyReportedButNotIgnoredLimits() {
        let warn = with(DriftPolicies(.warn))
        for (kind, edit, steps, _) in Self.cases where kind != .paused && kind != .exited {
            #expect(lines(planned(warn, .apply, edit: edit)) == steps, "\(kind)")
        }
        #expect(lines(planned(with(DriftPolicies(.ignore)), .apply) { $0.containers[0].limits = [Self.limit] }) == [])
    }

    @Test func whatWasNeverMadeIsNoDrift() {
        let stack = with(DriftPolicies(.warn))
        let result = plan(
            desired: desired(stack, .maintain), observed: state(stack) { $0.containers.removeFirst() }, now: 9 * second)
        #expect(lines(result) == ["1 create web-1", "2 start web-1 <1>"])
    }

    @Test func aPauseEndsAfterItsTimeUnlessAPersonMadeIt() {
        var policies = DriftPolicies()
        policies.pausedMax = 5 * second
        let stack = with(nil, service: policies)
        func paused(_ state: inout ObservedState) {
            state.containers[0].state = .paused
            state.containers[0].pausedSince = 6 * second
        }
        let early = planned(stack, at: 10 * second, edit: paused)
        #expect(lines(early) == [] && early.wakeAt == 11 * second)
        #expect(lines(planned(stack, at: 11 * second, edit: paused)) == ["1 resume id-web-1"])
        let wished = planned(stack, at: 99 * second) {
            paused(&$0)
            $0.containers[0].pausedByUser = true
        }
        #expect(lines(wished) == [] && wished.wakeAt == nil)
        let report = reported(
            stack,
            edit: {
                paused(&$0)
                $0.containers[0].pausedByUser = true
            })
        #expect(report == [])
    }

    @Test func anEmptyVolumeTakesNobodysPlaceUnlessItIsNamed() {
        let stack = self.stack.with {
            $0.volumes["data"] = Volume()
            $0.services["web"]?.mounts = [Mount(kind: .volume, source: "data", target: "/data")]
        }
        func lost(_ state: inout ObservedState) {
            state.volumes[0].isLost = true
            state.containers[0].state = .exited
            state.containers[0].finishedAt = 3 * second
            state.containers[0].exitCode = 1
        }
        let plan = planned(stack, edit: lost)
        #expect(plan.runnable(done: [], begun: [], in: state(stack, edit: lost)).isEmpty)
        #expect(plan.blocked.map(\.code) == ["volume.not-found"] && plan.warnings.map(\.code) == ["volume.lost"])
        #expect(reported(stack, edit: lost).contains("volumes.data volume warn: volume shop_data is gone"))
        for name in ["data", "shop_data"] {
            let wanted = desired(stack, .apply) { $0.recreatedVolumes = [name] }
            let result = Reconciler.plan(desired: wanted, observed: state(stack, edit: lost), now: 9 * second)
            #expect(lines(result) == ["1 create volume data", "2 start id-web-1 <1>"])
        }
    }

    @Test func whatTheFileTheTagAndTheContentsSayIsReported() {
        var file = stack
        file.services["web"]?.environment = ["A": "1"]
        file.services["new"] = service()
        let lines = reported(
            stack,
            facts: {
                $0.file = file
                $0.imageIDs = ["web": "sha256:2"]
                $0.content = [DriftFacts.Object(address: "configs.app", detail: "its file was changed")]
                $0.host = [DriftFacts.Object(address: "host", detail: "forwarding is off")]
            })
        #expect(
            lines == [
                "configs.app content warn: its file was changed", "host sysctl warn: forwarding is off",
                "services.new stack warn: the stack file has it, and it was not applied",
                "services.web stack warn: environment.A changed",
                "services.web[1] image warn: image app leads to 2 now, not to 1",
                "services.web[2] image warn: image app leads to 2 now, not to 1",
            ])
    }

    /// The engine would repair the class; this one its restart policy leaves as it is.
    @Test func whatOnlyACommandPutsRightIsNotSaidToBeRepaired() {
        func lines(_ mode: RestartPolicy.Mode) -> [String] {
            let stack = shop(["web": service { $0.restart = RestartPolicy(mode: mode) }])
            return reported(
                stack,
                edit: {
                    $0.containers[0].state = .exited
                    $0.containers[0].exitCode = 1
                    $0.containers[0].finishedAt = 3 * second
                })
        }
        #expect(lines(.no) == ["services.web[1] exited warn: exited (1)"])
        #expect(lines(.always) == ["services.web[1] exited repair: exited (1)"])
    }

    @Test func patternsNameAddressesAndClasses() {
        func left(_ pattern: String) -> Int {
            let stack = self.stack.with {
                var options = StackOptions()
                options.driftIgnored = [pattern]
                $0.gantry = options
            }
            let entries = reported(
                stack,
                edit: {
                    $0.containers[0].limits = [Self.limit]
                    $0.containers[1].limits = [Self.limit]
                    $0.networks[0].problems = [.bridgeDown]
                })
            return entries.count
        }
        #expect(left("services.web") == 1 && left("services.web.limits") == 1 && left("services.web[2]") == 2)
        #expect(left("services.*.limits") == 1 && left("*.*.network") == 2 && left("services.web.network") == 3)
        #expect(left("") == 3 && left("networks.default.network.more") == 3)
    }
}
