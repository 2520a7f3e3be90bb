import Glibc
import Testing
@testable import ContainerNetwork
func now() -> Double { var t = timespec(); clock_gettime(CLOCK_MONOTONIC, &t); return Double(t.tv_sec) * 1e3 + Double(t.tv_nsec) / 1e6 }
@Suite struct TempTimingTests {
    @Test func timing() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        let a = NetworkFixture.bridge("a")
        let out = try fixture.lab.run {
            var text = ""
            try manager.ensureBridge(a)
            var t0 = now(); try manager.ensureBridge(a); text += "ensureBridge again \(now() - t0) ms\n"
            var make: [Double] = [], attach: [Double] = [], again: [Double] = [], apply: [Double] = []
            var ports: [PublishedPort] = []
            for i in 0..<60 {
                t0 = now(); _ = try manager.makeNamespace(id: "t\(i)"); make.append(now() - t0)
                usleep(4000); let spec = NetworkFixture.interface("t\(i)", on: a, host: UInt32(i + 2))
                t0 = now(); try manager.attach(namespaceID: "t\(i)", [spec]); attach.append(now() - t0)
                t0 = now(); try manager.attach(namespaceID: "t\(i)", [spec]); again.append(now() - t0)
                ports.append(PublishedPort(port: UInt16(9000 + i), backends: [Backend(address: spec.address4, port: 80)]))
                let state = FirewallState(bridges: [a], ports: ports)
                t0 = now(); try manager.applyFirewall(state); apply.append(now() - t0)
            }
            for (n, v) in [("make", make), ("attach", attach), ("attach again", again), ("apply +1", apply)] {
                let s = v.sorted()
                text += "\(n): median \(s[s.count/2]) p90 \(s[s.count*9/10]) max \(s[s.count-1]) first \(v[0])\n"
            }
            let backs = (2..<5).map { Backend(address: IPv4Address(value: 10 << 24 | 89 << 16 | 256 + $0), port: 80) }
            t0 = now(); try manager.applyFirewall(FirewallState(bridges: [a], ports: ports + [PublishedPort(port: 80, backends: backs)])); text += "apply 3 backends \(now() - t0)\n"
            t0 = now(); try manager.applyFirewall(FirewallState(bridges: [a], ports: ports + [PublishedPort(port: 80, backends: Array(backs.dropLast()))])); text += "apply 2 backends \(now() - t0)\n"
            t0 = now(); _ = try manager.observe(); text += "observe \(now() - t0)\n"
            let m2 = try NetworkManager(tableName: "gantry", namespaceDirectory: manager.namespaceDirectory)
            t0 = now(); try m2.applyFirewall(FirewallState(bridges: [a], ports: ports)); text += "replace table \(now() - t0)\n"
            return text
        }
        print(out)
        print(try fixture.lab.shell("nft list table inet gantry | grep -v ports4 | head -40"))
    }
}
