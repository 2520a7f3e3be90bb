import FoundationEssentials
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
        for policy in DriftPolicy.allCases {
            #expect(try options("drift: \(policy.rawValue)")?.drift == DriftPolicies(policy))
        }
        let written = "drift: {policy: warn, limits: ignore, volume_options: warn, orphan: repair, paused_max: 5m}"
        let expected = with(
            DriftPolicies(.warn, classes: [.limits: .ignore, .volumeOptions: .warn, .orphan: .repair])
        ) { $0.pausedMax = 300 * second }
        #expect(try options(written)?.drift == expected)
    }

    @Test func driftThatNobodyCanRepairAndClassesThatAreNone() throws {
        for (line, hint) in [("volume: repair", "warn"), ("limit: ignore", "limits"), ("network: repairs", "repair")] {
            let report = serviceErrors("x-gantry: {drift: {\(line)}}")
            let text = report.map { "\($0.message) \($0.hint ?? "")" }
            #expect(text.count == 1 && text[0].contains(hint), "\(line): \(text)")
        }
    }

    @Test func policiesOfOlderEnginesAreOneWord() throws {
        let old = try JSONDecoder().decode([DriftPolicies].self, from: Data(#"["warn"]"#.utf8))
        #expect(old == [DriftPolicies(.warn)])
        let new = DriftPolicies(.repair, classes: [.limits: .ignore])
        #expect(try JSONDecoder().decode([DriftPolicies].self, from: JSONEncoder().encode([new])) == [new])
    }

    @Test func schedule() throws {
        #expect(try options("schedule: \"0 3 * * *\"")?.schedule == Schedule(cron: "0 3 * * *"))
        let expected = with(Schedule(cron: "@daily")) {
            ($0.timeZone, $0.concurrency, $0.suspend) = ("Europe/Berlin", .replace, true)
            ($0.deadline, $0.timeout) = (60 * second, 3600 * second)
            ($0.succeededKept, $0.failedKept) = (5, 2)
        }
        let written =
            "cron: \"@daily\", time_zone: Europe/Berlin, concurrency: replace, suspend: true, deadline: 60s, "
            + "timeout: 1h, history: {succeeded: 5, failed: 2}"
        #expect(try options("schedule: {\(written)}")?.schedule == expected)
    }

    @Test(arguments: [
        ("x-gantry: {schedule: \"61 * * * *\"}", "the minute must be 0 to 59, found 61"),
        ("x-gantry: {schedule: \"0 0 L * *\"}", "is not understood"),
        ("x-gantry: {schedule: {cron: \"@hourly\", time_zone: ../../etc/passwd}}", "is no name of a time zone"),
        ("x-gantry: {reload: {signal: SIGBOGUS}}", "no such signal: 'SIGBOGUS'"),
        ("stop_signal: SIGFOO", "no such signal: 'SIGFOO'"), ("stop_signal: \"65\"", "no such signal: '65'"),
        ("x-gantry: {schedule: {time_zone: UTC}}", "'cron'"),
        ("x-gantry: {schedule: {cron: \"@hourly\", concurrency: never}}", "never"),
        ("restart: always\nx-gantry: {schedule: \"@hourly\"}", "restarted whenever it ends"),
        ("scale: 2\nx-gantry: {schedule: \"@hourly\"}", "cannot have 2 replicas"),
    ])
    func whatIsWrongWithAScheduleIsSaid(line: String, problem: String) {
        let error = #expect(throws: StackFileError.self) { try onlyService(line) }
        let found = error?.diagnostics.first { $0.message.contains(problem) }
        #expect(found?.source != nil, "\(error?.diagnostics.map(\.message) ?? [])")
    }

    @Test func nobodyDependsOnWhatTheClockStarts() throws {
        func text(_ dependency: String) -> String {
            """
            services:
              tick: {image: a, x-gantry: {schedule: "@daily"}}
              web: {image: a, depends_on: {tick: {condition: service_started\(dependency)}}}
            """
        }
        let error = #expect(throws: StackFileError.self) { try stack(text("")) }
        #expect(error?.diagnostics.first?.message.contains("started by the clock") == true)
        #expect(try stack(text(", required: false")).services.count == 2)
    }

    @Test func stackOptions() throws {
        func options(_ line: String) throws -> StackOptions? {
            try stack("services: {a: {image: x}}\nx-gantry: {\(line)}").gantry
        }
        #expect(try options("drift: warn") == with(StackOptions()) { $0.drift = DriftPolicies(.warn) })
        let ignoring = with(StackOptions()) {
            ($0.drift, $0.driftIgnored) = (DriftPolicies(.repair), ["services.a.image", "volumes.*"])
        }
        #expect(try options("drift: {policy: repair, ignore: [services.a.image, \"volumes.*\"]}") == ignoring)
        #expect(try options("revisions: 7") == with(StackOptions()) { $0.revisions = 7 })
        #expect(try stack("services: {a: {image: x}}").gantry == nil)
    }
}
