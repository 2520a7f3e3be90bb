import Glibc
import InternetAddress
import LinuxSystem
import Netlink
import Testing

@testable import ContainerNetwork

/// What a change costs with many published ports. Prints a table; run with GANTRY_NETWORK_BENCHMARK=1, best with
/// `swift test -c release`.
@Suite(.enabled(if: getenv("GANTRY_NETWORK_BENCHMARK") != nil), .serialized)
struct FirewallBenchmark {
    private static let repetitions = 41

    @Test(arguments: [10, 1000, 10_000])
    func changes(count: Int) throws {
        let lab = try HostLab()
        defer { lab.close() }
        let manager = try lab.manager()
        let network = NetworkFixture.bridge("a")
        let fixed = ports(count)
        let apply: @Sendable ([PublishedPort]) throws -> Void = { ports in
            try manager.applyFirewall(FirewallState(bridges: [network], ports: ports))
        }
        let rows = try lab.run { () throws -> [(String, Double)] in
            var rows: [(String, Double)] = []
            rows.append(("all at once, whole apply", try seconds { try apply(fixed) }))
            let port = PublishedPort(port: 60_000, backends: [backend("10.89.1.2")])
            rows.append(
                (
                    "publish one port, whole apply",
                    try median({ try apply(fixed + [port]) }, undo: { try apply(fixed) })
                ))
            let three = (2...4).map { backend("10.89.1.\($0)") }
            let before = fixed + [PublishedPort(port: 60_000, backends: three)]
            let after = fixed + [PublishedPort(port: 60_000, backends: three + [backend("10.89.1.5")])]
            try apply(after)
            try apply(before)
            rows.append(
                ("add a fourth replica, whole apply", try median({ try apply(after) }, undo: { try apply(before) })))
            rows.append(("nothing changed, whole apply", try median({ try apply(before) }, undo: {})))
            rows += try kernelPart(manager)
            return rows
        }
        // The kernel's own way of old, with as many rules.
        let rule = "-A PREROUTING -p tcp -m tcp --dport & -j DNAT --to-destination 10.89.1.2:80"
        try lab.shell("{ echo '*nat'; seq \(count) | sed 's/.*/\(rule)/'; echo COMMIT; } >/tmp/rules")
        try lab.shell("iptables-restore </tmp/rules")
        let add = "iptables -t nat -A PREROUTING -p tcp --dport 60000 -j DNAT --to-destination 10.89.1.2:80"
        let iptables = try median(
            { try lab.shell(add) },
            undo: { try lab.shell(add.replacing("-A ", with: "-D ")) }, repetitions: 5)
        for (what, value) in rows + [("iptables -t nat -A, with its start", iptables)] {
            print(row(count, what, value))
        }
    }

    private func row(_ count: Int, _ what: String, _ seconds: Double) -> String {
        let microseconds = "\((seconds * 10_000_000).rounded() / 10)"
        return "\(padded("\(count)", 8)) \(padded(what, 44)) \(padded(microseconds, 12)) us"
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }

    private func ports(_ count: Int) -> [PublishedPort] {
        (0..<count).map { PublishedPort(port: UInt16(1 + $0), backends: [backend("10.89.1.2")]) }
    }

    /// One element in and out by netlink alone.
    private func kernelPart(_ manager: NetworkManager) throws -> [(String, Double)] {
        let element = SetElement([6, 0, 0, 0, 0xff, 0, 0, 0], value: .data([10, 89, 1, 2, 0, 80, 0, 0]))
        func send(_ isNew: Bool) throws {
            var body = MessageBuilder()
            if isNew {
                body.newElements([element], set: "ports4", table: manager.tableName)
            } else {
                body.deleteElements([element], set: "ports4", table: manager.tableName)
            }
            let generation = try manager.netfilter.firewallGeneration()
            try manager.netfilter.transact(body.asBatch(generation: generation), operation: "benchmark")
        }
        return [("one element, netlink and kernel", try median({ try send(true) }, undo: { try send(false) }))]
    }

    private func median(
        _ body: () throws -> Void, undo: () throws -> Void, repetitions: Int = repetitions
    ) throws -> Double {
        var times: [Double] = []
        for _ in 0..<repetitions {
            times.append(try seconds(body))
            try undo()
        }
        return times.sorted()[times.count / 2]
    }

    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        try body()
        let parts = (clock.now - start).components
        return Double(parts.seconds) + Double(parts.attoseconds) / 1e18
    }
}
