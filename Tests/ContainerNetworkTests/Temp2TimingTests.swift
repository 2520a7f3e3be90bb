import Glibc
import LinuxSystem
import Netlink
import Testing
@testable import ContainerNetwork
@Suite struct Temp2 {
    @Test func timing() throws {
        let fixture = try NetworkFixture()
        defer { fixture.lab.close() }
        let manager = fixture.manager
        let a = NetworkFixture.bridge("a")
        let out = try fixture.lab.run {
            try manager.ensureBridge(a)
            var t: [String: [Double]] = [:]
            func time<V>(_ n: String, _ b: () throws -> V) rethrows -> V { let t0 = now(); defer { t[n, default: []].append(now() - t0) }; return try b() }
            for i in 0..<60 {
                let path = try manager.makeNamespace(id: "t\(i)")
                usleep(4000)
                let ns = try FileDescriptor.open(path, O_RDONLY)
                let inside = try time("1 inside socket") { try withNetworkNamespace(path) { () throws(NetworkError) in try NetlinkSocket.make(.route) } }
                let br = try time("2 lookup bridge") { try manager.route.link(.name("gn-a")) }
                var r = MessageBuilder()
                r.newVeth(NewVeth(name: "gv\(i)", master: br?.index ?? 0, mtu: nil, peerName: "eth0", peerAddress: [2,2,2,2,2,UInt8(i)], peerNamespace: ns.raw))
                try time("3 veth") { try manager.route.transact(r, operation: "") }
                var c = LinkChange(isUp: true); c.isHairpin = true; c.isIsolated = false; c.withoutLinkLocal = true
                var s = MessageBuilder(); s.setLink(.name("gv\(i)"), c)
                try time("4 hostend") { try manager.route.transact(s, operation: "") }
                let e = try time("5 lookup eth0") { try inside.link(.name("eth0")) }
                let ix = e?.index ?? 0
                var q = MessageBuilder()
                q.newAddress(InterfaceAddress(index: ix, address: [10,89,1,UInt8(i+2)], prefixLength: 24))
                try time("6 addr") { try inside.transact(q, operation: "") }
                var u = MessageBuilder(); var cc = LinkChange(isUp: true); cc.withoutLinkLocal = true; u.setLink(.index(ix), cc)
                try time("7 up") { try inside.transact(u, operation: "") }
                var ro = MessageBuilder(); ro.newRoute(Route(destination: [], prefixLength: 0, gateway: [10,89,1,1], outputIndex: ix))
                try time("8 route") { try inside.transact(ro, operation: "") }
                _ = try time("9a settle host") { try manager.route.link(.name("gv\(i)")) }
                _ = try time("9b settle bridge") { try manager.route.link(.name("gn-a")) }
                _ = try time("9c settle eth0") { try inside.link(.name("eth0")) }
            }
            return t.sorted { $0.key < $1.key }.map { n, v in let s = v.sorted(); return "\(n): median \(s[30]) min \(s[0]) p90 \(s[54])" }.joined(separator: "\n")
        }
        print(out)
    }
}
