import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Synchronization
import Testing

@testable import NameServer

@Suite(.timeLimit(.minutes(1)), .enabled(if: geteuid() == 0)) struct DNSNamespaceTests {
    /// Sockets of 127.0.0.11:53 in a network namespace of its own; the server and its upstream are outside of it.
    @Test func servesANamespaceFromOutside() async throws {
        let upstream = try DNSTestServer { packet, _ in [dnsAnswered(packet, [0x0808_0808])] }
        let server = try DNSServer(resolvConfPath: "/nonexistent")
        try server.start()
        defer {
            server.stop()
            upstream.stop()
        }
        try server.update(scope: "c1", zone: DNSZone(names: ["web": [1]], forwarders: [upstream.address]))
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            do {
                // The namespace belongs to this thread and goes with it and the sockets.
                try NamedThread.start("dns-netns") {
                    done.resume(with: Result { try Self.askFromInside(server) })
                }
            } catch {
                done.resume(throwing: error)
            }
        }
    }

    private static func askFromInside(_ server: DNSServer) throws {
        try check("unshare") { unshare(CLONE_NEWNET) }
        try bringLoopbackUp()
        let address: UInt32 = 0x7F00_000B
        let port: UInt16 = 53
        try server.add(
            scope: "c1", udp: try DNSSocket.udpListener(address: address, port: port),
            tcp: try DNSSocket.tcpListener(address: address, port: port))
        for isDatagram in [true, false] {
            let client = try DNSTestClient(server: "127.0.0.11", isDatagram: isDatagram)
            #expect(try client.ask(dnsQuestion("web")).addresses == [1])
            #expect(try client.ask(dnsQuestion("example.org")).addresses == [0x0808_0808])
        }
        try server.remove(scope: "c1")
    }

    private static func bringLoopbackUp() throws {
        let socket = try DNSSocket.udpListener(address: 0, port: 0)
        var request = ifreq()
        withUnsafeMutableBytes(of: &request.ifr_ifrn.ifrn_name) { $0.copyBytes(from: Array("lo".utf8)) }
        request.ifr_ifru.ifru_flags = Int16(IFF_UP | IFF_RUNNING)
        let raw = socket.raw
        try check("ioctl") { gantry_ioctl(raw, UInt(SIOCSIFFLAGS), &request) }
    }
}
