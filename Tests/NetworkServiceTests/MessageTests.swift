import Glibc
import InternetAddress
import LinuxSystem
import NameServer
import Testing

@testable import NetworkService

@Suite struct MessageTests {
    private static func zone() throws -> DNSZone {
        DNSZone(
            names: ["web": [try #require(IPAddress("10.0.0.1")), try #require(IPAddress("fd00::1"))], "none": []],
            external: false, forwarders: ["192.0.2.1#54"])
    }

    private static func requests() throws -> [ServiceRequest] {
        let port = RelayedPort(transport: .udp, address: .loopback, port: 53)
        return [
            .claim, .sweep, .setZone("a\nb", try zone()), .setZone("", DNSZone()), .forgetZone("z"),
            .serve(scope: "c1", zone: "z"), .assign(scopes: ["c1", "c2"], zone: "z"), .remove(scope: "c1"),
            .open(port), .close(port), .handOver, .end,
        ]
    }

    private static let replies: [ServiceReply] = [
        .hello(version: 1, build: "1 2 3", pid: 7, scopes: ["a", "b"]), .opened(98), .sockets(scope: "c"), .handedOver,
    ]

    @Test func everyMessageComesBackAsItWas() throws {
        for request in try Self.requests() { #expect(try ServiceRequest(request.bytes) == request) }
        for reply in Self.replies { #expect(try ServiceReply(reply.bytes) == reply) }
    }

    /// The names of a stack of some hundred containers are more than a message of the socket may be.
    @Test(arguments: [0, 1, 16 << 10, 16 << 10 + 1, 3 << 20]) func messagesOfAnyLengthArrive(count: Int) throws {
        var raw: [Int32] = [-1, -1]
        try check("socketpair") {
            socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &raw)
        }
        let left = FileDescriptor(owning: raw[0])
        let right = FileDescriptor(owning: raw[1])
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let passed = try FileDescriptor.open("/dev/null", O_RDONLY)
        try ServiceSocket.send(bytes, [passed.raw], to: left.raw)
        let message = try #require(try ServiceSocket.receive(from: right.raw))
        #expect(message.bytes == bytes)
        #expect(message.descriptors.count == 1)
    }

    @Test func brokenMessagesAreRefusedAndNeverTrap() throws {
        var random = SystemRandomNumberGenerator()
        for bytes in try Self.requests().map(\.bytes) + Self.replies.map(\.bytes) {
            for count in 0..<bytes.count {
                let cut = Array(bytes.prefix(count))
                #expect(throws: ServiceReader.Malformed.self) {
                    _ = try ServiceRequest(cut)
                    _ = try ServiceReply(cut)
                }
            }
            #expect(throws: ServiceReader.Malformed.self) { try ServiceRequest(bytes + [0]) }
            for _ in 0..<500 {
                var broken = bytes
                broken[Int.random(in: 0..<broken.count, using: &random)] = .random(in: 0...255, using: &random)
                // Some are other messages: it only has to end.
                _ = try? ServiceRequest(broken)
                _ = try? ServiceReply(broken)  // As above.
            }
        }
    }
}
