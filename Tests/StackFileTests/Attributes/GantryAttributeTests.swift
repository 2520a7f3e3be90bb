import StackModel
import Testing

@testable import StackFile

/// `x-gantry` of a service and of the stack.
struct GantryAttributeTests {
    private func options(_ line: String) throws -> ServiceOptions? { try onlyService("x-gantry: {\(line)}").gantry }

    @Test func rollout() throws {
        let expected = with(Rollout()) {
            $0.minHealthyTime = 10 * second
            $0.healthyDeadline = 60 * second
            $0.progressDeadline = 600 * second
            $0.drain = 5 * second
            $0.canary = 2
            $0.autoPromote = true
            $0.autoRollback = false
        }
        let written =
            "min_healthy_time: 10s, healthy_deadline: 1m, progress_deadline: 10m, drain: 5s, canary: 2, "
            + "auto_promote: true, auto_rollback: false"
        #expect(try options("rollout: {\(written)}")?.rollout == expected)
        #expect(try options("rollout: {}")?.rollout == Rollout())
        try expect("image: a", \.gantry, nil)
    }

    @Test func reload() throws {
        #expect(try options("reload: {signal: SIGHUP}")?.reload == .signal("SIGHUP"))
        #expect(try options("reload: {command: [nginx, -s, reload]}")?.reload == .command(["nginx", "-s", "reload"]))
        #expect(try options("reload: {command: nginx -s reload}")?.reload == .command(["nginx", "-s", "reload"]))
    }

    @Test func affinityAndDrift() throws {
        #expect(try options("session_affinity: none")?.sessionAffinity == ServiceOptions.SessionAffinity.none)
        #expect(try options("session_affinity: client_ip")?.sessionAffinity == .clientIP)
        for policy in DriftPolicy.allCases { #expect(try options("drift: \(policy.rawValue)")?.drift == policy) }
    }

    @Test func stackOptions() throws {
        func options(_ line: String) throws -> StackOptions? {
            try stack("services: {a: {image: x}}\nx-gantry: {\(line)}").gantry
        }
        #expect(try options("drift: warn") == with(StackOptions()) { $0.drift = .warn })
        let ignoring = with(StackOptions()) {
            ($0.drift, $0.driftIgnored) = (.repair, ["services.a.image", "volumes.*"])
        }
        #expect(try options("drift: {policy: repair, ignore: [services.a.image, \"volumes.*\"]}") == ignoring)
        #expect(try options("revisions: 7") == with(StackOptions()) { $0.revisions = 7 })
        #expect(try stack("services: {a: {image: x}}").gantry == nil)
    }
}
