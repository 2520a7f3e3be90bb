import StackModel
import Testing

@testable import StackFile

struct WarningTests {
    @Test func ignoredKeysWarnOnceEach() throws {
        let loaded = try MemoryProject(
            """
            version: "3.9"
            services:
              web:
                image: a
                build: {context: ., args: {A: 1}}
                deploy:
                  placement: {max_replicas_per_node: 1}
                  mode: replicated
                x-mine: {anything: [1]}
                pull_policy: missing
                develop: {watch: []}
            """
        ).load()
        #expect(
            loaded.warnings.map(\.message) == [
                "'version' is obsolete and is ignored",
                "'services.web.deploy.placement' is known, but this engine does not act on it",
            ])
        #expect(loaded.warnings.map(\.source?.line) == [1, 7])
        #expect(loaded.warnings[1].code == "stack.ignored-key")
    }

    @Test func unsetVariablesWarnOnceWithTheirPlace() throws {
        let loaded = try MemoryProject(
            "services:\n  web:\n    image: \"app:${TAG}\"\n    user: $TAG\n    hostname: ${OTHER:-x}\n"
        ).load()
        #expect(loaded.warnings.map(\.code) == ["stack.unset-variable"])
        #expect(loaded.warnings.first?.source == SourceMark(file: "compose.yaml", line: 3, column: 17))
        #expect(loaded.stack.services["web"]?.image == "app:")
    }

    @Test func oldBooleans() throws {
        let loaded = try MemoryProject("services: {web: {image: a, tty: yes, init: \"off\"}}").load()
        #expect(loaded.stack.services["web"]?.tty == true)
        #expect(loaded.stack.services["web"]?.initProcess == false)
        #expect(loaded.warnings.map(\.code) == ["stack.boolean", "stack.boolean"])
    }
}
