import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import NameServer
import Synchronization
import Testing

@testable import NetworkService

/// The program itself, beside the tests where it was built with them.
private let supervisor: String = {
    let own = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    return FileSystem.parent(of: own) + "/gantry-supervisor"
}()

@Suite(.serialized, .timeLimit(.minutes(2)), .enabled(if: access(supervisor, X_OK) == 0 && geteuid() == 0))
struct ServiceTests {
    private final class Lab {
        let folder: String
        let poller: Poller
        let losses = Mutex(0)

        init() throws {
            var template = Array("/tmp/gantry-service.XXXXXX".utf8CString)
            _ = try #require(mkdtemp(&template))
            folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            poller = try Poller(name: "test-poll")
        }

        func client(_ path: String = supervisor, onLoss: @escaping @Sendable () -> Void = {}) -> NetworkServiceClient {
            NetworkServiceClient(supervisorPath: path, execRoot: folder, poller: poller, onLoss: onLoss)
        }

        /// The process behind the socket.
        func pid() throws -> pid_t {
            let socket = try MessageSocket.connect(to: NetworkServicePlace.socketPath(execRoot: folder))
            let message = try #require(try ServiceSocket.receive(from: socket.raw))
            guard case .hello(_, _, let pid, _) = try ServiceReply(message.bytes) else { return 0 }
            return pid
        }

        func onlooker() throws -> ClosableDescriptor {
            ClosableDescriptor(try MessageSocket.connect(to: NetworkServicePlace.socketPath(execRoot: folder)))
        }

        /// The process ends with its folder's socket, or when told.
        func end() throws {
            let last = client()
            try last.adopt()
            last.end()
            wait { (try? self.pid()) == nil }  // No process, no answer.
            try FileSystem.removeTree(folder)
        }

        func wait(_ isDone: () -> Bool) {
            for _ in 0..<6_000 {
                if isDone() { return }
                usleep(5_000)
            }
        }
    }

    private struct Sockets {
        let udp: SharedDescriptor
        let tcp: SharedDescriptor
        let port: UInt16

        init() throws {
            udp = SharedDescriptor(try Self.bound(gantry_ipv4_socket(0)))
            tcp = SharedDescriptor(try Self.bound(gantry_ipv4_socket(1)))
            let raw = tcp.raw
            try check("listen") { listen(raw, 64) }
            port = UInt16(gantry_local_port_ipv4(udp.raw))
        }

        private static func bound(_ raw: Int32) throws(SystemError) -> FileDescriptor {
            try check("socket") { raw }
            let socket = FileDescriptor(owning: raw)
            try check("bind") { gantry_bind_ipv4(raw, UInt32(0x7F00_0001).bigEndian, 0) }
            return socket
        }
    }

    /// The last byte of the address of `web`, 255 for none; `nil` when nothing answers for ten seconds.
    private func look(_ port: UInt16) -> UInt8? {
        let socket = FileDescriptor(owning: gantry_ipv4_socket(0))
        guard gantry_connect_ipv4(socket.raw, UInt32(0x7F00_0001).bigEndian, port) == 0 else { return nil }
        let question: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 119, 101, 98, 0, 0, 1, 0, 1]
        guard send(socket.raw, question, question.count, 0) == question.count else { return nil }
        var polled = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
        guard poll(&polled, 1, 10_000) > 0 else { return nil }
        var answer = [UInt8](repeating: 0, count: 512)
        let count = recv(socket.raw, &answer, answer.count, 0)
        guard count > 12 else { return nil }
        return answer[7] > 0 ? answer[count - 1] : 255
    }

    private func zone(_ last: UInt32) -> DNSZone {
        DNSZone(names: ["web": [.v4(IPv4Address(value: 0x0A00_0000 | last))]])
    }

    @Test func answersGoOnWithoutAnEngineAndTheNextOneTakesUp() throws {
        let lab = try Lab()
        let sockets = try Sockets()
        let first = lab.client()
        try first.serve(scope: "c1", zone: "z", zone(1), udp: sockets.udp, tcp: sockets.tcp)
        #expect(look(sockets.port) == 1)
        first.update(zone: "z", zone(2), scopes: ["c1"])
        #expect(look(sockets.port) == 2)
        let pid = try lab.pid()
        // With nobody connected it would end: no container runs here.
        let onlooker = try lab.onlooker()
        defer { onlooker.close() }
        first.leave()
        #expect(look(sockets.port) == 2)
        let second = lab.client()
        try second.adopt()
        #expect(second.serves(scope: "c1"))
        #expect(look(sockets.port) == 2)
        second.update(zone: "other", zone(3), scopes: ["c1", "c2"])
        second.sweep()
        #expect(look(sockets.port) == 3)
        #expect(try lab.pid() == pid)
        second.leave()
        let third = lab.client()
        try third.adopt()
        third.sweep()
        #expect(!third.serves(scope: "c1"))
        try lab.end()
    }

    @Test func aKilledProcessIsNoticedAndReplaced() throws {
        let lab = try Lab()
        let sockets = try Sockets()
        let lost = Losses()
        let client = lab.client { lost.count.withLock { $0 += 1 } }
        try client.serve(scope: "c1", zone: "z", zone(1), udp: sockets.udp, tcp: sockets.tcp)
        let pid = try lab.pid()
        kill(pid, SIGKILL)
        lab.wait { lost.count.withLock { $0 } > 0 }
        #expect(lost.count.withLock { $0 } == 1)
        #expect(!client.serves(scope: "c1"))
        client.update(zone: "z", zone(9), scopes: ["c1"])
        try client.serve(scope: "c1", zone: "z", zone(4), udp: sockets.udp, tcp: sockets.tcp)
        #expect(look(sockets.port) == 4)
        #expect(try lab.pid() != pid)
        try lab.end()
    }

    private final class Losses: Sendable { let count = Mutex(0) }

    /// A process that another test has just forked may still hold the descriptor by which the program was written.
    private func waitUntilRunnable(_ program: String) throws {
        var arguments = [strdup(program), nil]
        defer { free(arguments[0]) }
        for _ in 0..<1_000 {
            var pid: pid_t = 0
            let code = posix_spawn(&pid, program, nil, nil, &arguments, nil)
            if code == 0 {
                try check("waitpid") { waitpid(pid, nil, 0) }
                return
            }
            guard code == ETXTBSY else { throw SystemError("posix_spawn", path: program, code: code) }
            usleep(10_000)
        }
        Issue.record("\(program) stays busy")
    }

    @Test func anotherBuildTakesTheSocketsOver() throws {
        let lab = try Lab()
        let sockets = try Sockets()
        let first = lab.client()
        try first.serve(scope: "c1", zone: "z", zone(1), udp: sockets.udp, tcp: sockets.tcp)
        let pid = try lab.pid()
        // With nobody connected it would end: no container runs here.
        let onlooker = try lab.onlooker()
        defer { onlooker.close() }
        first.leave()
        let copy = "\(lab.folder)/gantry-supervisor"
        try FileSystem.replaceFile(copy, with: try FileSystem.readFile(supervisor, byteCountMax: 1 << 28), mode: 0o755)
        try waitUntilRunnable(copy)
        let second = lab.client(copy)
        try second.adopt()
        #expect(try lab.pid() != pid)
        #expect(second.serves(scope: "c1"))
        // Nobody answers yet, and nothing is lost: the question waits.
        second.update(zone: "z", zone(6), scopes: ["c1"])
        #expect(look(sockets.port) == 6)
        second.end()
        lab.wait { (try? lab.pid()) == nil }  // No process, no answer.
        try lab.end()
    }

    @Test func isConfinedAndInASessionOfItsOwn() throws {
        let lab = try Lab()
        let sockets = try Sockets()
        let client = lab.client()
        try client.serve(scope: "c1", zone: "z", zone(1), udp: sockets.udp, tcp: sockets.tcp)
        let pid = try lab.pid()
        let status = String(decoding: try FileSystem.readFile("/proc/\(pid)/status"), as: UTF8.self)
        for line in ["Name:\tgantry-network", "CapEff:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            #expect(status.contains(line), "\(line)")
        }
        #expect(getsid(pid) == pid)
        try lab.end()
        // Whoever is its parent now takes a moment to bury it.
        lab.wait { kill(pid, 0) != 0 }
        #expect(kill(pid, 0) != 0)
    }

    @Test func relaysPortsOfTheLoopback() throws {
        let lab = try Lab()
        let client = lab.client()
        let target = FileDescriptor(owning: gantry_ipv4_socket(1))
        #expect(gantry_bind_ipv4(target.raw, UInt32(0x7F00_0001).bigEndian, 0) == 0)
        #expect(listen(target.raw, 16) == 0)
        let port = UInt16(gantry_local_port_ipv4(target.raw))
        let relayed = RelayedPort(transport: .tcp, address: .any, port: port)
        try client.open(relayed)
        let connection = try connected(port)
        var ready = pollfd(fd: target.raw, events: Int16(POLLIN), revents: 0)
        #expect(poll(&ready, 1, 5_000) == 1)
        let server = FileDescriptor(owning: gantry_accept_nonblocking(target.raw))
        try connection.writeAll(Array("ping".utf8))
        shutdown(connection.raw, Int32(SHUT_WR))
        ready.fd = server.raw
        var received: [UInt8] = []
        while received.count < 4, poll(&ready, 1, 5_000) == 1 { received += try server.read(upTo: 100) }
        #expect(received == Array("ping".utf8))
        // The other direction is still open.
        try server.writeAll(Array("pong".utf8))
        ready.fd = connection.raw
        #expect(poll(&ready, 1, 5_000) == 1)
        #expect(try connection.read(upTo: 100) == Array("pong".utf8))
        client.close(relayed)
        lab.wait { (try? self.connected(port)) == nil }  // Refused: what is waited for.
        #expect(throws: SystemError.self) { _ = try connected(port) }
        try lab.end()
    }

    private func connected(_ port: UInt16) throws(SystemError) -> FileDescriptor {
        let socket = FileDescriptor(owning: Glibc.socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0))
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        address.sin6_addr = in6addr_loopback
        let raw = socket.raw
        try check("connect") {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
        return socket
    }
}
