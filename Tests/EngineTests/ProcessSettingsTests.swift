import Images
import Reconciler
import StackModel
import Testing

@testable import Engine

@Suite struct ProcessSettingsTests {
    private func defaults(entrypoint: [String]?, command: [String]?) -> ContainerDefaults {
        var defaults = ContainerDefaults()
        defaults.entrypoint = entrypoint
        defaults.cmd = command
        return defaults
    }

    @Test func commandReplacesOnlyTheImagesCommand() {
        var service = Service(image: "x")
        let image = defaults(entrypoint: ["/entry"], command: ["serve"])
        #expect(processArguments(service, defaults: image) == ["/entry", "serve"])
        service.command = ["check"]
        #expect(processArguments(service, defaults: image) == ["/entry", "check"])
    }

    @Test func entrypointDropsTheImagesCommand() {
        var service = Service(image: "x")
        service.entrypoint = ["/mine"]
        let image = defaults(entrypoint: ["/entry"], command: ["serve"])
        #expect(processArguments(service, defaults: image) == ["/mine"])
        service.command = ["check"]
        #expect(processArguments(service, defaults: image) == ["/mine", "check"])
    }

    @Test func serviceEnvironmentWinsAndNullUnsets() {
        var service = Service(image: "x")
        service.environment = ["COLOUR": "blue", "GONE": nil]
        var image = ContainerDefaults()
        image.env = ["PATH=/bin", "COLOUR=red", "GONE=1", "EMPTY="]
        let lines = processEnvironment(service, defaults: image, hostname: "box")
        #expect(lines == ["PATH=/bin", "HOSTNAME=box", "COLOUR=blue", "EMPTY="])
    }

    @Test func healthCommandForms() {
        var service = Service(image: "x")
        #expect(probeCommand(service, defaults: nil) == nil)
        service.healthcheck = Healthcheck(test: ["CMD-SHELL", "test -f /ok"])
        #expect(probeCommand(service, defaults: nil) == ["/bin/sh", "-c", "test -f /ok"])
        service.healthcheck = Healthcheck(test: ["CMD", "true"])
        #expect(probeCommand(service, defaults: nil) == ["true"])
        service.healthcheck = Healthcheck(test: ["NONE"])
        #expect(probeCommand(service, defaults: nil) == nil)
    }

    @Test(arguments: [("SIGTERM", 15), ("TERM", 15), ("term", 15), ("9", 9), ("RTMIN+3", 37), ("SIGRTMIN", 34)])
    func signalNames(_ name: String, _ number: Int32) throws {
        #expect(try signalNumber(name) == number)
    }

    @Test(arguments: ["", "SIGFOO", "0", "65", "-1", "RTMIN+99"])
    func unknownSignals(_ name: String) {
        #expect(throws: EngineError.self) { try signalNumber(name) }
    }
}

@Suite struct NameFilesTests {
    @Test func hostsNamesTheContainerOnEachAddress() {
        let text = hostsFile(
            hostname: "box", domainname: "example.org", addresses: ["10.1.0.2", "10.2.0.2"],
            extra: [(name: "db", address: "192.0.2.9")])
        #expect(text.contains("127.0.0.1\tlocalhost\n"))
        #expect(text.contains("10.1.0.2\tbox.example.org box\n"))
        #expect(text.contains("10.2.0.2\tbox.example.org box\n"))
        #expect(text.contains("192.0.2.9\tdb\n"))
    }

    @Test func resolverIsTheEmbeddedServerWithTheHostsSearchList() {
        let host = "nameserver 192.0.2.1\nsearch example.org corp\noptions edns0\n"
        let text = resolvConf(Service(image: "x"), hostFile: host, embedded: true)
        #expect(text == "nameserver 127.0.0.11\nsearch example.org corp\noptions edns0 ndots:0\n")
    }

    @Test func hostNetworkKeepsTheHostsResolvers() {
        let host = "# comment\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n"
        let text = resolvConf(Service(image: "x"), hostFile: host, embedded: false)
        #expect(text == "nameserver 192.0.2.1\nnameserver 192.0.2.2\n")
    }
}

@Suite struct TimeTests {
    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000000000Z"), (1_795_233_844_000_000_001, "2026-11-21T04:04:04.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ])
    func rfc3339Text(_ time: Int64, _ text: String) {
        #expect(rfc3339(time) == text)
    }
}
