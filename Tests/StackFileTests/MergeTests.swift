import StackModel
import Testing

@testable import StackFile

struct MergeTests {
    /// The service `a` of two documents merged.
    private func merged(_ base: String, _ over: String) throws -> Service {
        let text =
            "services:\n  a:\n    image: x\n\(lines(base))---\nservices:\n  a:\n\(lines(over))"
            + "---\nnetworks: {n: {}, m: {}}\nvolumes: {vv: {}, ww: {}}\nsecrets: {s: {environment: HOME}}\n"
        return try #require(try MemoryProject(text).load().stack.services["a"])
    }

    private func lines(_ text: String) -> String {
        text.split(separator: "\n").map { "    \($0)\n" }.joined()
    }

    @Test func scalarsReplaceAndNullKeeps() throws {
        let service = try merged("user: a\nhostname: h\nports: [80]", "user: b\nhostname:\nports:")
        #expect(service.user == "b" && service.hostname == "h" && service.ports.count == 1)
    }

    @Test func commandsAndTestsReplace() throws {
        let service = try merged(
            "command: [a, b]\nentrypoint: e\nhealthcheck: {test: [CMD, a], retries: 3}",
            "command: c\nhealthcheck: {test: d}")
        #expect(service.command == ["c"] && service.entrypoint == ["e"])
        #expect(service.healthcheck?.test == ["CMD-SHELL", "d"] && service.healthcheck?.retries == 3)
    }

    @Test func pairsMergeByKeyInBothForms() throws {
        let service = try merged("environment: {A: 1, B: 1}\nlabels: [x=1]", "environment: [B=2, C]\nlabels: {y: 2}")
        #expect(service.environment == ["A": "1", "B": "2", "C": nil])
        #expect(service.labels == ["x": "1", "y": "2"])
    }

    @Test func listsAppendAndStayUnique() throws {
        let service = try merged(
            """
            ports: ["80:80", "81:81"]
            volumes: ["vv:/a", "vv:/b"]
            dns: 1.1.1.1
            cap_add: [A]
            security_opt: [a]
            """,
            """
            ports: [{target: 80, published: "80"}, "82:82"]
            volumes: ["ww:/a:ro"]
            dns: [2.2.2.2, 1.1.1.1]
            cap_add: [A, B]
            security_opt: [b]
            """
        )
        #expect(service.ports.map(\.target) == [80, 81, 82])
        #expect(service.mounts.map(\.source) == ["ww", "vv"] && service.mounts[0].readOnly)
        #expect(service.dns == ["1.1.1.1", "2.2.2.2"] && service.capAdd == ["A", "B"])
        #expect(service.securityOptions == ["a", "b"])
    }

    @Test func networksMergeAcrossForms() throws {
        let service = try merged("networks: [n]", "networks: {n: {aliases: [x]}, m: }")
        #expect(service.networks == ["n": NetworkAttachment(aliases: ["x"]), "m": NetworkAttachment()])
    }

    @Test func ulimitsReplaceOrMerge() throws {
        let service = try merged(
            "ulimits: {a: 1, b: {soft: 1, hard: 2}}", "ulimits: {a: {soft: 3, hard: 4}, b: {hard: 9}}")
        #expect(service.ulimits == ["a": Ulimit(soft: 3, hard: 4), "b": Ulimit(soft: 1, hard: 9)])
    }

    @Test func resetAndOverride() throws {
        let service = try merged(
            "ports: [80]\nenvironment: {A: 1, B: 2}\nuser: u\ncap_add: [A]\ndns: [1.1.1.1]",
            """
            ports: !reset []
            environment: {A: !reset null}
            user: !reset
            cap_add: !override [B]
            dns: !override 2.2.2.2
            """
        )
        #expect(service.ports.isEmpty && service.environment == ["B": "2"] && service.user == nil)
        #expect(service.capAdd == ["B"] && service.dns == ["2.2.2.2"])
    }

    @Test func subnetsMergeBySubnet() throws {
        let text = """
            services: {a: {image: x}}
            networks: {default: {ipam: {config: [{subnet: 10.0.0.0/24}, {subnet: 10.0.1.0/24}]}}}
            ---
            networks: {default: {ipam: {config: [{subnet: 10.0.1.0/24, gateway: 10.0.1.9}, {subnet: 10.0.2.0/24}]}}}
            """
        let network = try MemoryProject(text).load().stack.networks["default"]
        #expect(network?.subnets.map(\.subnet) == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"])
        #expect(network?.subnets.map(\.gateway) == [nil, "10.0.1.9", nil])
    }

    @Test func longFormsMayBeCompletedByAnotherDocument() throws {
        let text = """
            services: {a: {image: x, depends_on: {b: {restart: true}}}, b: {image: x}}
            ---
            services: {a: {depends_on: {b: {condition: service_healthy}}}}
            """
        let service = try MemoryProject(text).load().stack.services["a"]
        #expect(service?.dependsOn == ["b": Dependency(condition: .healthy, restart: true)])
    }
}
