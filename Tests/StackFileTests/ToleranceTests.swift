import StackModel
import Testing

@testable import StackFile

/// What Docker Compose shows although nothing could be brought up with it, and what it makes the best of.
struct ToleranceTests {
    private func document(_ lines: String) throws -> LoadedDocument {
        try MemoryProject("services:\n  web:\n    image: a\n    \(lines)\n").document()
    }

    @Test(arguments: [
        ("restart: sometimes", "restart: sometimes"),
        ("restart: \"always:3\"", "restart: always:3"),
        ("dns: resolver", "- resolver"),
        ("cpus: -1", "cpus: -1"),
        ("mem_limit: -1", "mem_limit: \"-1\""),
        ("stop_grace_period: -5s", "stop_grace_period: -5s"),
        ("ports: [{target: 80, published: \"8-7\"}]", "published: 8-7"),
        ("ports: [{target: 80, protocol: tpc}]", "protocol: tpc"),
        ("ports: [{target: 70000}]", "target: 70000"),
        ("deploy: {restart_policy: {condition: bad}}", "condition: bad"),
        ("deploy: {endpoint_mode: bad}", "endpoint_mode: bad"),
        ("deploy: {update_config: {failure_action: bad}}", "failure_action: bad"),
        ("extra_hosts: [\"db:\"]", "- db="),
        ("environment: [\"=x\"]", "\"\": x"),
        ("tmpfs: \"\"", "- \"\""),
        ("devices: [\"\"]", "permissions: rwm"),
        ("ulimits: {nofile: {soft: 5, hard: 1}}", "soft: 5"),
    ])
    func shownAndNotUsed(lines: String, shown: String) throws {
        let document = try document(lines)
        #expect(document.render(.yaml).contains(shown + "\n"))
        #expect(document.warnings.contains { ["stack.value", "stack.missing-key"].contains($0.code) })
        #expect(!serviceErrors(lines).isEmpty)
    }

    @Test(arguments: [
        ("ports: [\"0:80\"]", "published: \"0\""),
        ("ports: [{target: 80, published: \"0\"}]", "published: \"0\""),
        ("ports: [{target: 80, protocol: UDP}]", "protocol: UDP"),
        ("ports: [\"80:80/\"]", "protocol: tcp"),
        ("environment: {BIG: 1e400}", "BIG: 1e400"),
        ("stop_grace_period: +5s", "stop_grace_period: 5s"),
        ("mem_limit: 1_000m", "mem_limit: \"1048576000\""),
        ("deploy: {resources: {limits: {memory: \"1e3\"}}}", "memory: \"1000\""),
        (
            "deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: "
                + "{kind: gpu, value: \"2\"}}]}}}", "value: 2"
        ),
    ])
    func taken(lines: String, shown: String) throws {
        #expect(try document(lines).render(.yaml).contains(shown + "\n"))
        #expect(serviceErrors(lines).isEmpty)
    }

    @Test func theHostPortZeroIsAnyPort() throws {
        #expect(try loadService("ports: [\"0:80\"]").ports == [Port(target: 80)])
        #expect(try loadService("ports: [{target: 80, protocol: UDP}]").ports == [Port(target: 80, transport: .udp)])
    }

    @Test func fractionsOfWholeNumbersAreCutOffWithAWarning() throws {
        let document = try document("cpu_shares: 1.5")
        #expect(document.render(.yaml).contains("cpu_shares: 1\n"))
        #expect(document.warnings.map(\.message) == ["'services.web.cpu_shares' is a whole number: 1.5 is read as 1"])
        #expect(serviceErrors("cpu_shares: 1e300").map(\.code) == ["stack.value"])
    }

    @Test func emptyItemsAreWhatUnsetVariablesLeave() throws {
        let service = try loadService("environment: [\"${EXTRA-}\", A=b]\nlabels: [\"\"]")
        #expect(service.environment == ["A": "b"])
        #expect(service.labels.isEmpty)
        #expect(try document("environment: [\"\"]").render(.yaml).contains("\"\": null\n"))
        #expect(serviceErrors("environment: {\"\": x}").map(\.code) == ["stack.name"])
    }

    @Test func emptyServersAreWhatUnsetVariablesLeave() throws {
        #expect(try loadService("dns: \"${DNS-}\"").dns.isEmpty)
        #expect(try document("dns: [\"\", 8.8.8.8]").render(.yaml).contains("dns:\n      - 8.8.8.8\n"))
    }

    @Test func scaleIsTheNumberOfReplicas() throws {
        let shown = "replicas: 2\n"
        let text = "services: {web: {image: a, scale: 2, deploy: {}}}"
        #expect(try MemoryProject(text).document().render(.yaml).contains(shown))
        #expect(!(try MemoryProject(text).document { $0.checksConsistency = false }.render(.yaml).contains(shown)))
        #expect(try MemoryProject(text).load().stack.services["web"]?.replicas == 2)
    }

    @Test func theEmptyFormatOfAnEnvironmentFileIsTheUsualOne() throws {
        var project = MemoryProject("services: {web: {image: a, env_file: [{path: x.env, format: \"\"}]}}")
        project.files["/work/demo/x.env"] = "A='b'\n"
        #expect(try project.load().stack.services["web"]?.environment == ["A": "b"])
    }

    @Test func externalFilesMayHaveBeenOverridden() throws {
        let text = "services: {web: {image: a, secrets: [s]}}\nsecrets: {s: {file: ./s, external: true}}\n"
        let document = try MemoryProject(text).document()
        #expect(document.warnings.map(\.message) == ["'secrets.s' is external, so 'file' has no meaning"])
        #expect(document.render(.yaml).contains("external: true\n"))
        #expect(MemoryProject(text).errors().map(\.code) == ["stack.conflict"])
    }

    @Test(arguments: [
        ("volumes: [{type: bind, target: /x}]", "a bind mount needs the key 'source'"),
        (
            "build: {context: ., additional_contexts: [x]}",
            "'services.web.build.additional_contexts[0]' must be NAME=CONTEXT, found 'x'"
        ),
        (
            "develop: {watch: [{action: rebuild, path: \"\"}]}",
            "a watch rule of service 'web' watches an empty path"
        ),
    ])
    func refused(lines: String, message: String) {
        #expect(throws: StackFileError.self) { try document(lines) }
        #expect(serviceErrors(lines).map(\.message) == [message])
    }
}
