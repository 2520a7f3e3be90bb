import StackModel
import Testing

@testable import Reconciler

@Suite struct FieldDifferenceTests {
    private func lines(old: (inout Service) -> Void = { _ in }, new: (inout Service) -> Void) -> [String] {
        let before = ContainerDefinition(service: service(edit: old), imageID: "sha256:1")
        let after = ContainerDefinition(service: service(edit: new), imageID: "sha256:1")
        return after.differences(from: before).map { "\($0.path): \($0.before ?? "-") → \($0.after ?? "-")" }
    }

    @Test func valuesReadAsInTheStackFile() {
        #expect(
            lines(
                old: { ($0.environment, $0.command) = (["A": "1", "B": nil, "C": "x"], ["sh", "-c", "echo a b"]) },
                new: { ($0.environment, $0.command) = (["A": "2", "C": "x", "D": ""], nil) })
                == [
                    "command: sh -c \"echo a b\" → -", "environment.A: 1 → 2", "environment.B: - → -",
                    "environment.D: - → ",
                ])
        #expect(
            lines(old: { $0.ports = [Port(target: 80, published: 8080)] }) {
                $0.ports = [Port(target: 80, published: 8081, hostIP: "127.0.0.1"), Port(target: 53, transport: .udp)]
            } == ["ports: 8080:80/tcp → 127.0.0.1:8081:80/tcp, 53/udp"])
        #expect(lines { $0.shmSize = 64 << 20 } == ["shm_size: - → 64 MiB"])
        #expect(lines { $0.stopGracePeriod = 90 * second } == ["stop_grace_period: - → 1m30s"])
        #expect(
            lines { $0.restart = RestartPolicy(mode: .onFailure, attemptsMax: 3) } == ["restart: no → on-failure:3"])
        #expect(lines { $0.tty = true } == ["tty: false → true"])
        #expect(lines { $0.oomScoreAdjust = 5 } == ["oom_score_adj: - → 5"])
        func check(_ retries: Int) -> Healthcheck {
            var check = Healthcheck()
            check.retries = retries
            return check
        }
        #expect(
            lines(old: { $0.healthcheck = check(1) }) { $0.healthcheck = check(3) } == ["healthcheck.retries: 1 → 3"])
    }

    @Test func partsAreComparedOneByOne() {
        #expect(
            lines(
                old: { $0.healthcheck = Healthcheck(test: ["CMD", "true"]) },
                new: {
                    $0.healthcheck = Healthcheck(test: ["CMD", "true"])
                    $0.healthcheck?.interval = 500_000_000
                }) == ["healthcheck.interval: - → 500ms"])
        #expect(
            lines(old: { $0.resources.memory = 256 << 20 }) {
                ($0.resources.memory, $0.resources.nanoCPUs) = (512 << 20, 1_250_000_000)
            } == ["deploy.resources.cpus: - → 1.25", "deploy.resources.memory: 256 MiB → 512 MiB"])
        #expect(
            lines(old: { $0.mounts = [Mount(kind: .volume, source: "a", target: "/d")] }) {
                $0.mounts = [Mount(kind: .volume, source: "a", target: "/d", readOnly: true)]
            } == ["volumes./d.read_only: - → true"])
        #expect(
            lines { $0.dependsOn = ["db": Dependency(condition: .healthy)] }
                == ["depends_on: - → db: condition: service_healthy, required: true"])
    }

    @Test func contentsAreNotShown() {
        func definition(_ text: String) -> ContainerDefinition? {
            var stack = shop(["web": service { $0.secrets = [FileMount(source: "pin", target: "/pin")] }])
            stack.secrets["pin"] = FileObject(content: Array(text.utf8))
            return ContainerDefinition(stack: stack, service: "web", imageID: "")
        }
        guard let old = definition("one"), let new = definition("three") else {
            Issue.record("no definition")
            return
        }
        let differences = new.differences(from: old)
        #expect(differences.map(\.path) == ["secrets.pin.content"])
        #expect(differences.first?.isSecret == true && differences.first?.after == "5 bytes")
    }

    /// Each rule has values at the very paths that it says differ.
    @Test func everyChangeHasItsValues() {
        let changed = service {
            ($0.command, $0.entrypoint, $0.user, $0.workingDirectory) = (["a"], ["b"], "c", "/d")
            ($0.environment, $0.labels, $0.annotations) = (["E": "1"], ["l": "1"], ["a": "1"])
            ($0.capAdd, $0.capDrop, $0.securityOptions, $0.groupAdd) = (["CHOWN"], ["KILL"], ["s"], ["1"])
            ($0.dns, $0.dnsSearch, $0.dnsOptions, $0.devices) = (["1.1.1.1"], ["x"], ["y"], ["/dev/a:/dev/a:rwm"])
            ($0.ulimits, $0.sysctls, $0.oomScoreAdjust) = (["nofile": Ulimit(soft: 1, hard: 2)], ["k": "v"], 5)
            ($0.logging, $0.hostname, $0.platform) = (Logging(driver: "json-file"), "h", "linux/amd64")
            ($0.extraHosts, $0.configs) = ([ExtraHost(name: "a", address: "b")], [FileMount(source: "c", target: "/c")])
            $0.networks["front"] = NetworkAttachment(aliases: ["web"])
            $0.preStart = [Hook(command: ["x"])]
        }
        let old = ContainerDefinition(service: service(), imageID: "")
        let differences = ContainerDefinition(service: changed, imageID: "").differences(from: old)
        #expect(differences.count == 25)
        for difference in differences { #expect(difference.after != nil, "\(difference.path)") }
    }

    @Test func networksAndVolumes() {
        var (network, volume) = (Network(), Volume())
        network.driver = "bridge"
        #expect(network.differences(from: Network()).isEmpty)
        (network.isInternal, network.subnets) = (true, [Subnet(subnet: "10.0.0.0/24")])
        #expect(network.differences(from: Network()).map(\.path) == ["internal", "subnets"])
        volume.labels = ["a": "b"]
        #expect(volume.differences(from: Volume()).isEmpty)
        volume.driverOptions = ["type": "tmpfs"]
        let differences = volume.differences(from: Volume())
        #expect(differences.map(\.path) == ["driver_opts"] && differences.map(\.effect) == [.destructive])
    }
}
