import LinuxSystem
import Synchronization
import Testing

@testable import ContainerNetwork

@Suite("Settings that others change")
struct SettingsWatchTests {
    private final class Counter: Sendable {
        private let value = Mutex(0)
        func add() { value.withLock { $0 += 1 } }
        var count: Int { value.withLock { $0 } }
    }

    private func wait(for counter: Counter, _ count: Int) async throws {
        for _ in 0..<200 where counter.count < count { try await Task.sleep(for: .milliseconds(20)) }
        #expect(counter.count >= count)
    }

    @Test("A write to a bridge's route_localnet is noticed, also after the bridge was made anew, and repaired")
    func notices() async throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        let bridge = NetworkFixture.bridge("a")
        let file = "/proc/sys/net/ipv4/conf/gn-a/route_localnet"
        try fixture.lab.run { try manager.ensureBridge(bridge) }
        let counter = Counter()
        let watch = try SettingsWatch { counter.add() }
        defer { watch.cancel() }
        try fixture.lab.run { watch.setBridges(["gn-a", "gn-none"]) }
        try fixture.lab.shell("echo 0 > \(file)")
        try await wait(for: counter, 1)
        try fixture.lab.run { try manager.repairControls(of: bridge) }
        #expect(try fixture.lab.shell("cat \(file)") == "1\n")
        try fixture.lab.shell("ip link del gn-a")
        try fixture.lab.run {
            try manager.repairControls(of: bridge)
            try manager.ensureBridge(bridge)
            watch.setBridges(["gn-a"])
        }
        let before = counter.count
        try fixture.lab.shell("echo 0 > \(file)")
        try await wait(for: counter, before + 1)
    }

    @Test("Forwarding that is switched off on a bridge is reported")
    func forwarding() async throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        let bridge = NetworkFixture.bridge("a")
        try fixture.lab.run { try manager.ensureBridge(bridge) }
        let counter = Counter()
        let watch = try fixture.lab.run {
            try manager.watch { if $0 == .routesChanged { counter.add() } }
        }
        defer { watch.cancel() }
        try fixture.lab.shell("echo 0 > /proc/sys/net/ipv4/conf/gn-a/forwarding")
        try await wait(for: counter, 1)
        try fixture.lab.run { try manager.repairControls(of: bridge) }
        #expect(try fixture.lab.shell("cat /proc/sys/net/ipv4/conf/gn-a/forwarding") == "1\n")
    }

    @Test("Rules of others are reported, elements of their sets are not")
    func foreignRules() async throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        try fixture.lab.shell("nft add table inet other; nft add set inet other s '{ type ipv4_addr; }'")
        let counter = Counter()
        let watch = try fixture.lab.run {
            try manager.watch { if $0 == .foreignTableChanged { counter.add() } }
        }
        defer { watch.cancel() }
        try fixture.lab.shell("nft add element inet other s '{ 192.0.2.1 }'")
        try await Task.sleep(for: .milliseconds(100))
        #expect(counter.count == 0)
        try fixture.lab.shell("nft add chain inet other c")
        try await wait(for: counter, 1)
    }
}
