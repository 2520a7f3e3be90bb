import StackModel
import Testing

@testable import StackFile

/// Compose Deploy Specification, and the service's own keys for the same things.
struct DeployAttributeTests {
    private func deploy(_ line: String) throws -> Deploy { try #require(try onlyService("deploy: {\(line)}").deploy) }

    @Test func modes() throws {
        for mode in Deploy.Mode.allCases { #expect(try deploy("mode: \(mode.rawValue)").mode == mode) }
        for mode in Deploy.EndpointMode.allCases {
            #expect(try deploy("endpoint_mode: \(mode.rawValue)").endpointMode == mode)
        }
        #expect(try deploy("") == Deploy())
        try expect("image: a", \.deploy, nil)
    }

    @Test func replicas() throws {
        try expect("deploy: {mode: replicated, replicas: 6}", \.replicas, 6)
        try expect("deploy: {replicas: 0}", \.replicas, 0)
        try expect("deploy: {replicas: \"2\"}", \.replicas, 2)
        try expect("scale: 3", \.replicas, 3)
        try expect("scale: 2\ndeploy: {replicas: 2}", \.replicas, 2)
        try expect("image: a", \.replicas, 1)
        try expect("scale: ${FOO_SCALE}", \.replicas, 2, environment: ["FOO_SCALE": "2"])
    }

    @Test func labels() throws {
        #expect(try deploy("labels: [FOO=BAR]").labels == ["FOO": "BAR"])
        #expect(
            try deploy("labels: {com.example.description: text, n: 1}").labels == [
                "com.example.description": "text", "n": "1",
            ])
        try expect("deploy: {labels: {a: b}}", \.labels, [:])
    }

    @Test func updateAndRollback() throws {
        for (key, property) in [("update_config", \Deploy.update), ("rollback_config", \Deploy.rollback)] {
            for action in UpdateConfig.FailureAction.allCases {
                #expect(
                    try deploy("\(key): {failure_action: \(action.rawValue)}")[keyPath: property]?.failureAction
                        == action)
            }
            for order in UpdateConfig.Order.allCases {
                #expect(try deploy("\(key): {order: \(order.rawValue)}")[keyPath: property]?.order == order)
            }
            let expected = with(UpdateConfig()) {
                $0.parallelism = 3
                $0.delay = 10 * second
                $0.failureAction = .continue
                $0.monitor = 60 * second
                $0.failureRatioMax = 0.3
                $0.order = .startFirst
            }
            let written = """
                \(key): {parallelism: 3, delay: 10s, failure_action: continue, monitor: 60s, max_failure_ratio: 0.3,
                    order: start-first}
                """
            #expect(try deploy(written.split(separator: "\n").joined(separator: " "))[keyPath: property] == expected)
            #expect(try deploy("\(key): {parallelism: 0}")[keyPath: property]?.parallelism == 0)
            #expect(try deploy("\(key): {max_failure_ratio: \"0.25\"}")[keyPath: property]?.failureRatioMax == 0.25)
            #expect(try deploy("mode: global")[keyPath: property] == nil)
        }
    }

    @Test func placement() throws {
        let expected = with(Deploy.Placement()) {
            $0.constraints = ["node.role == manager", "disktype=ssd"]
            $0.spread = ["node.labels.zone", "node.labels.rack"]
            $0.replicasPerNodeMax = 5
        }
        let written = """
            placement: {constraints: ["node.role == manager", disktype=ssd], max_replicas_per_node: 5, \
            preferences: [{spread: node.labels.zone}, {spread: node.labels.rack}]}
            """
        #expect(try deploy(written).placement == expected)
    }

    @Test func limitsAndReservations() throws {
        let service = try onlyService(
            """
            deploy:
              resources:
                limits: {cpus: '0.001', memory: 50M, pids: 100}
                reservations:
                  cpus: '0.0001'
                  memory: 20M
                  generic_resources:
                    - discrete_resource_spec: {kind: gpu, value: 2}
                    - discrete_resource_spec: {kind: ssd, value: 1}
            """)
        #expect(service.resources.nanoCPUs == 1_000_000 && service.resources.memory == 50 << 20)
        #expect(service.resources.pids == 100 && service.resources.memoryReservation == 20 << 20)
        let expected = with(Reservations()) {
            $0.nanoCPUs = 100_000
            $0.genericResources = [.init(kind: "gpu", value: 2), .init(kind: "ssd", value: 1)]
        }
        #expect(service.reservations == expected)
        try expect("image: a", \.reservations, nil)
    }

    @Test func devices() throws {
        func requests(_ text: String) throws -> [DeviceRequest] {
            try onlyService("deploy: {resources: {reservations: {devices: [\(text)]}}}").deviceRequests
        }
        let request = with(DeviceRequest()) {
            $0.capabilities = ["gpu", "tpu"]
            $0.driver = "nvidia"
            $0.count = -1
            $0.options = ["q_bits": "42"]
        }
        #expect(
            try requests("{capabilities: [gpu, tpu], driver: nvidia, count: all, options: {q_bits: 42}}") == [request])
        #expect(try requests("{capabilities: [gpu, tpu], driver: nvidia, options: [q_bits=42]}") == [request])
        #expect(try requests("{capabilities: [a], count: 2}").map(\.count) == [2])
        #expect(try requests("{capabilities: [a], count: \"2\"}").map(\.count) == [2])
        let named = try requests("{capabilities: [a], device_ids: [\"GPU-f\", \"0\"]}")
        #expect(named.map(\.deviceIDs) == [["GPU-f", "0"]] && named.map(\.count) == [nil])
    }

    @Test func restartPolicy() throws {
        let policy = with(RestartPolicy(mode: .onFailure, attemptsMax: 3)) {
            $0.delay = 5 * second
            $0.window = 120 * second
        }
        try expect(
            "deploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 120s}}", \.restart,
            policy)
        for (condition, mode) in [("none", RestartPolicy.Mode.no), ("any", .always), ("on-failure", .onFailure)] {
            try expect("deploy: {restart_policy: {condition: \(condition)}}", \.restart.mode, mode)
        }
        try expect("deploy: {restart_policy: {delay: 1s}}", \.restart.mode, .always)
        try expect("restart: always\ndeploy: {restart_policy: {condition: none}}", \.restart.mode, .no)
    }

    @Test(arguments: [
        ("\"no\"", RestartPolicy(mode: .no)), ("always", RestartPolicy(mode: .always)),
        ("on-failure", RestartPolicy(mode: .onFailure)),
        ("on-failure:3", RestartPolicy(mode: .onFailure, attemptsMax: 3)),
        ("unless-stopped", RestartPolicy(mode: .unlessStopped)),
    ])
    func restart(text: String, policy: RestartPolicy) throws { try expect("restart: \(text)", \.restart, policy) }
}
