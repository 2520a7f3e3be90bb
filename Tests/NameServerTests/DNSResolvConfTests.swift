import Glibc
import InternetAddress
import LinuxSystem
import Testing

@testable import NameServer

@Suite struct DNSResolvConfTests {
    @Test(arguments: [
        ("nameserver 192.0.2.1\n", ["192.0.2.1"]),
        (
            "# c\n; c\nsearch a b\noptions ndots:2\nnameserver\t192.0.2.1  # local\nnameserver 192.0.2.2",
            ["192.0.2.1", "192.0.2.2"]
        ),
        ("nameserver 2001:db8::1\r\nnameserver fe80::1%1\r\n", ["2001:db8::1", "fe80::1%1"]),
        ("  nameserver 192.0.2.1;x\nnameserver 192.0.2.1\nNameserver 192.0.2.3\n", ["192.0.2.1"]),
        ("nameserver\nnameserver example.org\nnameserver 1.2.3\nnameserver fe80::1%nosuch0\nnameserver ::1", ["::1"]),
        (
            "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4\n",
            ["1.1.1.1", "2.2.2.2", "3.3.3.3"]
        ),
        ("nameserver 127.0.0.1#5353\nnameserver 127.0.0.1#0\nnameserver 127.0.0.1#x\n", ["127.0.0.1#5353"]),
        ("\u{0}\u{1}nameserver", []), ("", []),
    ])
    func takesWhatItUnderstands(content: String, servers: [String]) {
        #expect(ResolvConf(Array(content.utf8)).servers.map(\.description) == servers)
    }

    @Test func parsesAddresses() throws {
        let v4 = try #require(ResolverAddress("192.0.2.1"))
        #expect(v4.ip == .v4(0xC000_0201))
        #expect(v4.port == 53)
        let v6 = try #require(ResolverAddress("fe80::1%lo#54"))
        #expect(v6.ip == .v6([0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1], scope: if_nametoindex("lo")))
        #expect(v6.port == 54)
    }

    /// Those that are asked, with their scope, and none besides.
    @Test func resolversOfTheHostAreAsked() throws {
        let upstream = try DNSTestServer { packet, _ in [dnsAnswered(packet, [7])] }
        defer { upstream.stop() }
        let silent = try DNSTestServer { _, _ in [] }
        defer { silent.stop() }
        let file = "nameserver \(upstream.address)\nnameserver fe80::1%lo\nnameserver \(silent.address)\n"
        let resolvers = HostResolver.list(Array((file + "nameserver 127.0.0.9\n").utf8))
        #expect(resolvers.map(\.description) == [upstream.address, "fe80::1%lo", silent.address])
        // A resolver has a second, which may be too little on a busy machine: some more, then.
        var (answers, roundCount) = ([Bool](), 0)
        repeat {
            answers = resolvers.map { $0.answers() }
            roundCount += 1
        } while answers.first == false && roundCount < 10
        #expect(answers == [true, false, false])
        #expect(upstream.packets.count == roundCount && silent.packets.count == roundCount)
    }

    @Test func readsAChangedFileAgain() throws {
        var template = Array("/tmp/gantry-dns.XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { #expect(throws: Never.self) { try FileSystem.removeTree(folder) } }
        let (path, target) = ("\(folder)/resolv.conf", "\(folder)/target")
        var file = ResolvConfFile(path: path)
        #expect(file.current().servers == [])
        try FileSystem.replaceFile(target, with: Array("nameserver 192.0.2.1".utf8))
        #expect(symlink(target, path) == 0)
        #expect(file.current().servers.map(\.description) == ["192.0.2.1"])
        for octet in 2...9 {
            // Same size, within one tick of the clock, through a link.
            let descriptor = try FileDescriptor.open(target, O_WRONLY)
            try descriptor.writeAll(Array("nameserver 192.0.2.\(octet)".utf8))
            #expect(file.current().servers.map(\.description) == ["192.0.2.\(octet)"])
        }
        unlink(path)
        #expect(file.current().servers == [])
    }
}
