import ContainerNetwork
import InternetAddress
import Synchronization
import Testing

@Suite struct NetworkWatchTests {
    @Test func eitherFamilysLossesAreReported() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.addIPv6()
        let network = try NetworkFixture.dualBridge("a")
        try fixture.ensure(network)
        try fixture.attach("c0", [NetworkFixture.dualInterface("c0", on: network, host: 2)])
        try fixture.apply([network])
        let seen = ChangeLog()
        let watch = try fixture.onHost { try $0.watch { seen.add($0) } }
        defer { watch.cancel() }
        let cases: [(String, NetworkChange)] = [
            ("ip addr del fd00:89:0:1::1/64 dev gn-a", .linkChanged(name: "gn-a")),
            ("ip addr del 10.89.1.1/24 dev gn-a", .linkChanged(name: "gn-a")),
            ("ip -6 route del fd00:89:0:1::/64 dev gn-a", .linkChanged(name: "gn-a")),
            ("ip route del 10.89.1.0/24 dev gn-a", .linkChanged(name: "gn-a")),
            ("ip -6 route add 2001:db8:9::/48 via 2001:db8:1::2", .routesChanged),
            ("ip addr add 2001:db8:1::9/64 dev up0 nodad", .routesChanged),
            ("ip link set up0 mtu 1400", .routesChanged),
            ("echo 1 >/proc/sys/net/ipv4/ip_forward", .routesChanged),
            ("echo 0 >/proc/sys/net/ipv4/ip_forward", .routesChanged),
            ("echo 0 >/proc/sys/net/ipv6/conf/up0/force_forwarding", .routesChanged),
        ]
        for (damage, expected) in cases {
            seen.clear()
            try fixture.lab.shell(damage)
            #expect(seen.wait(for: expected), "\(damage)")
            try fixture.ensure(network)
            // What the repair itself makes the kernel say is no news, or ends.
            try fixture.lab.shell("sleep 0.2")
        }
        seen.settle()
        seen.clear()
        try fixture.ensure(network)
        try fixture.lab.shell("sleep 0.2")
        #expect(seen.count == 0)
        watch.cancel()
        try fixture.lab.shell("ip -6 route del 2001:db8:9::/48")
        try fixture.expectNothingLeft()
    }

    @Test func aBurstOfChangesIsReportedOnce() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        try fixture.ensure(NetworkFixture.bridge("a"))
        let seen = ChangeLog()
        let watch = try fixture.onHost { try $0.watch { seen.add($0) } }
        defer { watch.cancel() }
        try fixture.lab.shell(
            """
            for i in $(seq 0 999); do echo "route add 198.18.$((i / 250)).$((i % 250))/32 via 192.0.2.2"; done >/tmp/batch
            ip -batch /tmp/batch
            sed s/add/del/ /tmp/batch | ip -batch -
            """)
        #expect(seen.wait(for: .routesChanged))
        try fixture.lab.shell("sleep 0.3")
        #expect((1..<100).contains(seen.count), "\(seen.count) reports of 2,000 changes")
        try fixture.lab.shell("rm /tmp/batch")
        try fixture.expectNothingLeft()
    }
}

/// What a watch reported so far.
final class ChangeLog: Sendable {
    private let changes = Mutex<[NetworkChange]>([])

    func add(_ change: NetworkChange) { changes.withLock { $0.append(change) } }

    var count: Int { changes.withLock { $0.count } }

    func clear() { changes.withLock { $0 = [] } }

    func has(_ change: NetworkChange) -> Bool { changes.withLock { $0.contains(change) } }

    /// Waits, for half a minute at most, until nothing more has come for a second.
    func settle() {
        var (last, quiet) = (count, 0)
        for _ in 0..<3_000 where quiet < 100 {
            waitTenMilliseconds()
            quiet = count == last ? quiet + 1 : 0
            last = count
        }
    }

    /// Waits up to half a minute.
    func wait(for change: NetworkChange) -> Bool {
        for _ in 0..<3_000 {
            if has(change) { return true }
            waitTenMilliseconds()
        }
        return false
    }
}
