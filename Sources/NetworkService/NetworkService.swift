import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import NameServer
import PortRelay

/// Where the process that serves an engine's networks is found, and which program it runs.
public enum NetworkServicePlace {
    /// Below an engine's exec root.
    public static func socketPath(execRoot: String) -> String { "\(execRoot)/network.sock" }
    public static func lockPath(execRoot: String) -> String { "\(execRoot)/network.lock" }

    /// What tells one build of a program from another: the file it was read from.
    public static func build(of program: String) throws(SystemError) -> String {
        var status = stat()
        try check("stat", path: program) { stat(program, &status) }
        return "\(status.st_dev) \(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }
}

/// Answers the names of containers and relays ports of IPv6's loopback, for one engine after the other and between
/// them. One thread; what engines say comes over a Unix socket.
public final class NetworkService {
    private static let idleMilliseconds: UInt64 = 200
    private static let pollMilliseconds: UInt64 = 5_000
    private static let flowSweepMilliseconds: UInt64 = 30_000
    private static let clientCountMax = 16

    private let names: NameServer
    private let loop: EventLoop
    private let listener: FileDescriptor
    private let path: String
    private let build: String
    private let mayEnd: () -> Bool
    private var clients: [Int32: SharedDescriptor] = [:]
    private var ports: [RelayedPort: any ForwardedPort] = [:]
    private var unclaimedScopes: Set<String> = []
    private var unclaimedPorts: Set<RelayedPort> = []
    private var isEnding = false
    private var checkAt: UInt64
    private var sweepAt: UInt64

    /// - Parameters:
    ///   - listener: a listening socket at `path`; without the path there is nobody left to serve.
    ///   - mayEnd: asked now and again while no engine is connected: whether no container runs.
    public init(
        listener: consuming FileDescriptor, path: String, build: String, resolvConfPath: String = "/etc/resolv.conf",
        mayEnd: @escaping () -> Bool
    ) throws(SystemError) {
        let raw = listener.raw
        names = try NameServer(resolvConfPath: resolvConfPath)
        loop = try EventLoop()
        (self.path, self.build, self.mayEnd) = (path, build, mayEnd)
        self.listener = listener
        let now = monotonicMilliseconds()
        (checkAt, sweepAt) = (now + Self.pollMilliseconds, now + Self.flowSweepMilliseconds)
        try loop.add(raw, EPOLLIN.rawValue) { [unowned self] _ in accept() }
        try names.watch(loop.raw) { [unowned self] in loop.turn(milliseconds: 0) }
    }

    /// Until told to end, or nobody needs it any more.
    public func run() {
        while !isEnding {
            let now = monotonicMilliseconds()
            let next = ports.isEmpty ? checkAt : min(checkAt, sweepAt)
            names.turn(millisecondsMax: loop.hasUnfinished ? 0 : Int32(clamping: next - min(next, now)))
            if loop.hasUnfinished { loop.turn(milliseconds: 0) }
            tick()
        }
    }

    private func tick() {
        let now = monotonicMilliseconds()
        if now >= sweepAt {
            for port in ports.values { port.sweep() }
            sweepAt = now + Self.flowSweepMilliseconds
        }
        guard now >= checkAt else { return }
        checkAt = now + Self.pollMilliseconds
        if !FileSystem.exists(path) || clients.isEmpty && mayEnd() { isEnding = true }
    }

    // MARK: - Engines

    private func accept() {
        let raw = gantry_unix_accept(listener.raw)
        guard raw >= 0 else { return }
        let client = SharedDescriptor(FileDescriptor(owning: raw))
        guard clients.count < Self.clientCountMax else { return }
        do {
            // An engine that does not listen must not keep containers waiting.
            try check("setsockopt") { gantry_socket_patience(raw, 1_000) }
            let hello = ServiceReply.hello(
                version: ServiceRequest.version, build: build, pid: getpid(), scopes: names.scopes)
            try ServiceSocket.send(hello.bytes, to: raw)
            try loop.add(raw, EPOLLIN.rawValue) { [unowned self] _ in hear(raw) }
            clients[raw] = client
        } catch {
            return  // It is closed, and tries again.
        }
    }

    private func hear(_ raw: Int32) {
        do {
            var polled = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
            repeat {
                guard let message = try ServiceSocket.receive(from: raw) else { return forget(raw) }
                try perform(try ServiceRequest(message.bytes), message.descriptors, raw)
            } while poll(&polled, 1, 0) > 0
        } catch {
            forget(raw)  // Broken, or not one of ours.
        }
    }

    private func forget(_ raw: Int32) {
        loop.remove(raw)
        clients[raw] = nil
        if clients.isEmpty { checkAt = monotonicMilliseconds() + Self.idleMilliseconds }
    }

    private func perform(_ request: ServiceRequest, _ descriptors: [SharedDescriptor], _ raw: Int32) throws {
        switch request {
        case .claim: (unclaimedScopes, unclaimedPorts) = (Set(names.scopes), Set(ports.keys))
        case .sweep: sweep()
        case .setZone(let id, let zone): names.setZone(id, zone)
        case .forgetZone(let id): names.forgetZone(id)
        case .assign(let scopes, let zone):
            for scope in scopes {
                unclaimedScopes.remove(scope)
                names.assign(scope: scope, zone: zone)
            }
        case .serve(let scope, let zone):
            guard descriptors.count == 2 else { throw SystemError("recvmsg", code: EBADMSG) }
            unclaimedScopes.remove(scope)
            try names.serve(
                scope: scope, zone: zone, udp: try descriptors[0].duplicate(), tcp: try descriptors[1].duplicate())
        case .remove(let scope): names.remove(scope: scope)
        case .open(let port): try ServiceSocket.send(ServiceReply.opened(open(port)).bytes, to: raw)
        case .close(let port): close(port)
        case .handOver: try handOver(raw)
        case .end: isEnding = true
        }
    }

    private func sweep() {
        for scope in unclaimedScopes { names.remove(scope: scope) }
        for port in unclaimedPorts { close(port) }
        (unclaimedScopes, unclaimedPorts) = ([], [])
    }

    /// The containers' sockets, with what is in their queues.
    private func handOver(_ raw: Int32) throws {
        for scope in names.scopes {
            guard let sockets = names.sockets(of: scope) else { continue }
            try ServiceSocket.send(
                ServiceReply.sockets(scope: scope).bytes, [sockets.udp, sockets.tcp], to: raw)
        }
        try ServiceSocket.send(ServiceReply.handedOver.bytes, to: raw)
        isEnding = true
    }

    // MARK: - Ports

    /// An `errno`, or 0.
    private func open(_ port: RelayedPort) -> Int32 {
        unclaimedPorts.remove(port)
        guard ports[port] == nil else { return 0 }
        do throws(SystemError) {
            let socket = FileDescriptor(
                owning: try check("bind") {
                    gantry_ipv6_listener(port.transport == .tcp ? 1 : 0, port.address.bytes, port.port)
                })
            switch port.transport {
            case .tcp:
                ports[port] = try StreamPort(socket, loop: loop, target: port.target.value, port: port.port)
            case .udp:
                ports[port] = try DatagramPort(socket, loop: loop, target: port.target.value, port: port.port)
            }
            return 0
        } catch {
            return error.code
        }
    }

    private func close(_ port: RelayedPort) {
        unclaimedPorts.remove(port)
        ports.removeValue(forKey: port)?.end()
    }
}
