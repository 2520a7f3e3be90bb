import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Synchronization
import Testing

@testable import ContainerNetwork

@Suite struct MembershipChangeTests {
    /// Backends come and go all the time; a stream of connections never finds a moment without one.
    @Test(arguments: [false, true])
    func noConnectionIsRefusedWhileABackendIsThere(isV6: Bool) throws {
        let containers = try DualStackPortTests.Containers()
        let lab = containers.lab
        defer { lab.lab.close() }
        let target = try #require(IPAddress(DualLab.hostAddress(isV6: isV6)))
        var generator = SeededGenerator(seed: 7)
        let all = [(1, 2), (1, 3), (2, 2)]
        func change() throws {
            let some = all.filter { _ in Bool.random(using: &generator) }
            let backends = (some.isEmpty ? [all[0]] : some).flatMap { DualLab.backends($0.0, [$0.1]) }
            try lab.apply(containers.networks, [PublishedPort(port: 8080, backends: backends)])
        }
        try change()
        var changeCount = 0
        for _ in 0..<8 {
            let stream = ConnectionStream(try clients(150, lab, target), target, containers.servers)
            try startDetachedThread(named: "stream") { stream.run() }
            while !stream.isDone {
                try change()
                changeCount += 1
            }
            #expect(stream.failures.isEmpty, "\(stream.failures.prefix(3))")
        }
        #expect(changeCount > 20)
    }

    /// Sockets on the LAN: they stay there whoever connects them.
    private func clients(_ count: Int, _ lab: DualLab, _ target: IPAddress) throws -> [SharedDescriptor] {
        let family = target.isV6 ? AF_INET6 : AF_INET
        let raws = try lab.inside(lab.lan) { () throws(SystemError) -> [Int32] in
            var raws: [Int32] = []
            for _ in 0..<count {
                let raw = try check("socket") { socket(family, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0) }
                var timeout = timeval(tv_sec: 5, tv_usec: 0)
                try check("setsockopt") {
                    setsockopt(raw, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
                }
                raws.append(raw)
            }
            return raws
        }
        return raws.map { SharedDescriptor(FileDescriptor(owning: $0)) }
    }
}

/// Connects one socket after the other, and takes the connections off the servers.
private final class ConnectionStream: Sendable {
    private let clients: [SharedDescriptor]
    private let target: IPAddress
    private let servers: [DualServer]
    private let state = Mutex<(failures: [Int32], isDone: Bool)>(([], false))

    init(_ clients: [SharedDescriptor], _ target: IPAddress, _ servers: [DualServer]) {
        self.clients = clients
        self.target = target
        self.servers = servers
    }

    var isDone: Bool { state.withLock { $0.isDone } }
    /// Error numbers.
    var failures: [Int32] { state.withLock { $0.failures } }

    func run() {
        for client in clients {
            if withAddress(target, 8080, { connect(client.raw, $0, $1) }) < 0 {
                let code = errno
                state.withLock { $0.failures.append(code) }
            }
            for server in servers {
                while case let raw = accept(server.socket.raw, __SOCKADDR_ARG(__sockaddr__: nil), nil), raw >= 0 {
                    close(raw)
                }
            }
        }
        state.withLock { $0.isDone = true }
    }
}
