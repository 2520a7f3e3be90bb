import StackModel
import Testing

@testable import StackFile

/// Health, dependencies, hooks and stopping.
struct LifecycleAttributeTests {
    @Test func healthTests() throws {
        func check(_ line: String) throws -> [String]? { try onlyService("healthcheck: {\(line)}").healthcheck?.test }
        #expect(try check("test: [CMD, curl, -f, \"http://localhost\"]") == ["CMD", "curl", "-f", "http://localhost"])
        #expect(try check("test: [CMD-SHELL, \"curl -f x || exit 1\"]") == ["CMD-SHELL", "curl -f x || exit 1"])
        #expect(try check("test: curl -f x || exit 1") == ["CMD-SHELL", "curl -f x || exit 1"])
        #expect(try check("test: [NONE]") == ["NONE"])
        #expect(try check("test: NONE") == ["CMD-SHELL", "NONE"])
        #expect(try check("disable: true") == ["NONE"])
        #expect(try check("interval: 1s") == nil)
        #expect(try check("test: [CMD, a], disable: false") == ["CMD", "a"])
        try expect("image: a", \.healthcheck, nil)
    }

    @Test func healthTimes() throws {
        let expected = with(Healthcheck(test: ["CMD-SHELL", "echo \"hello world\""])) {
            $0.interval = 10 * second
            $0.timeout = second
            $0.retries = 5
            $0.startPeriod = 15 * second
            $0.startInterval = 5 * second
        }
        try expect(
            """
            healthcheck:
              test: echo "hello world"
              interval: 10s
              timeout: 1s
              retries: 5
              start_period: 15s
              start_interval: 5s
            """, \.healthcheck, expected)
        try expect("healthcheck: {retries: \"3\"}", \.healthcheck?.retries, 3)
    }

    @Test(arguments: [
        ("10ms", 10_000_000), ("40s", 40 * second), ("1m30s", 90 * second), ("1h5m30s20ms", 3_930_020_000_000),
        ("2us", 2000), ("1d", 86_400 * second), ("1w", 604_800 * second), ("1.5s", 1_500_000_000),
    ])
    func durations(text: String, nanoseconds: Int64) throws {
        try expect("stop_grace_period: \(text)", \.stopGracePeriod, nanoseconds)
        try expect("healthcheck: {interval: \(text)}", \.healthcheck?.interval, nanoseconds)
    }

    @Test func stopping() throws {
        try expect("stop_signal: SIGUSR1", \.stopSignal, "SIGUSR1")
        try expect("stop_grace_period: 20s", \.stopGracePeriod, 20 * second)
        try expect("image: a", \.stopGracePeriod, nil)
    }

    @Test func dependencies() throws {
        let others = "  db: {image: postgres}\n  redis: {image: redis}\n  x-foo: {image: foo}"
        let started = Dependency(condition: .started)
        try expect(
            "depends_on: [db, redis, x-foo]", \.dependsOn, ["db": started, "redis": started, "x-foo": started],
            top: others)
        try expect(
            """
            depends_on:
              db: {condition: service_healthy, restart: true}
              redis: {condition: service_started, required: false}
              x-foo: {condition: service_completed_successfully}
            """, \.dependsOn,
            [
                "db": Dependency(condition: .healthy, restart: true),
                "redis": Dependency(condition: .started, required: false), "x-foo": Dependency(condition: .completed),
            ], top: others)
        try expect("depends_on: []", \.dependsOn, [:])
    }

    @Test func impliedDependencies() throws {
        let restarted = Dependency(condition: .started, restart: true)
        let other = "  db: {image: postgres}"
        for line in [
            "network_mode: service:db", "ipc: service:db", "pid: service:db", "links: [db]", "links: [\"db:alias\"]",
        ] {
            try expect(line, \.dependsOn, ["db": restarted], top: other)
        }
        try expect("volumes_from: [\"db:ro\"]", \.dependsOn, ["db": Dependency(condition: .started)], top: other)
        try expect("volumes_from: [\"container:db\"]", \.dependsOn, [:])
        try expect(
            "links: [db]\ndepends_on: {db: {condition: service_healthy}}", \.dependsOn,
            ["db": Dependency(condition: .healthy)], top: other)
    }

    @Test func hooks() throws {
        for (key, property) in [
            ("post_start", \Service.postStart), ("pre_stop", \.preStop), ("pre_start", \.preStart),
        ] {
            try expectHooks(key, property)
        }
    }

    private func expectHooks(_ key: String, _ property: KeyPath<Service, [Hook]>) throws {
        let full = with(Hook(command: ["echo", "a b"])) {
            $0.user = "root"
            $0.privileged = true
            $0.workingDirectory = "/work"
            $0.environment = ["FOO": "BAR", "UNSET": nil]
        }
        try expect(
            """
            \(key):
              - command: [echo, a b]
                user: root
                privileged: true
                working_dir: /work
                environment: [FOO=BAR, UNSET]
              - command: echo "a b"
              - command: [one, two]
                environment: {N: 1}
            """, property,
            [
                full, Hook(command: ["echo", "a b"]),
                with(Hook(command: ["one", "two"])) { $0.environment = ["N": "1"] },
            ])
        try expect("\(key): []", property, [])
    }

    @Test func preStartHooks() throws {
        let hook = with(Hook(command: ["migrate"])) {
            $0.image = "tool"
            $0.perReplica = true
        }
        try expect("pre_start: [{command: [migrate], image: tool, per_replica: true}]", \.preStart, [hook])
    }

    @Test func profiles() throws {
        try expect("profiles: [debug, dev]", \.profiles, ["debug", "dev"])
        try expect("image: a", \.profiles, [])
    }

    @Test func logging() throws {
        let expected = with(Logging(driver: "syslog")) {
            $0.options = ["syslog-address": "tcp://192.168.0.42:123", "n": "3"]
        }
        try expect(
            "logging: {driver: syslog, options: {syslog-address: \"tcp://192.168.0.42:123\", n: 3}}", \.logging,
            expected)
        try expect("logging: {options: {a: b}}", \.logging, with(Logging()) { $0.options = ["a": "b"] })
        try expect("image: a", \.logging, nil)
    }
}
