import CLinux
import Glibc
import LinuxSystem
import PortRelay

/// What the holder does for its life: answers engines, and forwards the ports they published.
final class RootlessServer {
    private static let firstIdleMilliseconds: Int64 = 10_000
    /// After the last engine has gone: soon, and then now and again.
    private static let idleMilliseconds: Int64 = 200
    private static let survivorPollMilliseconds: Int64 = 5_000
    private static let flowSweepMilliseconds: Int64 = 30_000

    private let loop: EventLoop
    private let listener: Int32
    private let keeper: Int32
    private let facts: RootlessFacts
    private let survivors: RootlessSurvivors
    private var clients: Set<Int32> = []
    private var ports: [HostPort: any ForwardedPort] = [:]
    private var unclaimed: Set<HostPort> = []
    private var idleCheckAt: Int64?
    private var isEnding = false
    private var uplink: UplinkProcess

    init(
        listener: Int32, keeper: Int32, facts: RootlessFacts, survivors: RootlessSurvivors,
        uplink: consuming UplinkProcess
    ) throws(SystemError) {
        self.uplink = uplink
        loop = try EventLoop()
        (self.listener, self.keeper, self.facts, self.survivors) = (listener, keeper, facts, survivors)
        // Each forwarded connection takes six descriptors.
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            _ = gantry_setrlimit(Int32(RLIMIT_NOFILE.rawValue), UInt64(limit.rlim_max), UInt64(limit.rlim_max))
        }
        idleCheckAt = Self.now() + Self.firstIdleMilliseconds
        try loop.add(listener, EPOLLIN.rawValue) { [unowned self] _ in accept() }
        try loop.add(keeper, EPOLLIN.rawValue) { [unowned self] _ in _ = hearKeeper() }
    }

    private static func now() -> Int64 { Int64(Clock.monotonic() / 1_000_000) }

    func run() {
        var sweepAt = Self.now() + Self.flowSweepMilliseconds
        while !isEnding {
            var wait: Int64 = -1
            if let idleCheckAt { wait = max(0, idleCheckAt - Self.now()) }
            if ports.keys.contains(where: { $0.transport == .udp }) {
                let untilSweep = max(0, sweepAt - Self.now())
                wait = wait < 0 ? untilSweep : min(wait, untilSweep)
            }
            loop.turn(milliseconds: Int32(wait))
            if let idleCheckAt, Self.now() >= idleCheckAt { checkIdle() }
            if Self.now() >= sweepAt {
                for port in ports.values { port.sweep() }
                sweepAt = Self.now() + Self.flowSweepMilliseconds
            }
        }
    }

    private func checkIdle() {
        idleCheckAt = nil
        guard clients.isEmpty else { return }
        if survivors.areAny {
            idleCheckAt = Self.now() + Self.survivorPollMilliseconds
        } else {
            isEnding = true
        }
    }

    /// The next message that is not about the uplink; `nil` when there is none yet, or never will be one.
    private func hearKeeper() -> String? {
        // A failure to read is the end of the keeper, too.
        guard let message = try? MessageSocket.receive(from: keeper) else {
            // The keeper was killed: its uplink must not stay behind.
            uplink.end()
            isEnding = true
            return nil
        }
        let words = message.split(separator: " ")
        guard words.first == "uplink" else { return message }
        uplink = UplinkProcess(words)
        return nil
    }

    // MARK: - Engines

    private func accept() {
        let client = gantry_unix_accept(listener)
        guard client >= 0 else { return }
        do {
            try MessageSocket.send(facts.text, to: client)
            try loop.add(client, EPOLLIN.rawValue) { [unowned self] _ in hear(client) }
            clients.insert(client)
        } catch {
            close(client)  // It tries again.
        }
    }

    private func hear(_ client: Int32) {
        // A connection that breaks has ended.
        guard let text = try? MessageSocket.receive(from: client) else { return forget(client) }
        let reply = HostPortRequest(text: text).map(perform) ?? .failed(EINVAL)
        do { try MessageSocket.send(reply.text, to: client) } catch { forget(client) }
    }

    private func forget(_ client: Int32) {
        guard clients.remove(client) != nil else { return }
        loop.remove(client)
        close(client)
        if clients.isEmpty { idleCheckAt = Self.now() + Self.idleMilliseconds }
    }

    // MARK: - Ports

    private func perform(_ request: HostPortRequest) -> HostPortReply {
        switch request {
        case .claim: unclaimed = Set(ports.keys)
        case .sweep:
            for port in unclaimed { endPort(port) }
            unclaimed = []
        case .close(let port): endPort(port)
        case .open(let port, let target):
            if ports[port] != nil {
                unclaimed.remove(port)
                return .done(port: port.port)
            }
            do throws(SystemError) {
                return .done(port: try open(port, target: target, text: request.text))
            } catch {
                return .failed(error.code)
            }
        }
        return .done(port: 0)
    }

    private func endPort(_ port: HostPort) {
        unclaimed.remove(port)
        ports.removeValue(forKey: port)?.end()
    }

    /// The keeper binds, in the host's network namespace, and hands the socket in.
    private func open(_ port: HostPort, target: UInt32, text: String) throws(SystemError) -> UInt16 {
        try MessageSocket.send(text, to: keeper)
        var answer: String?
        while answer == nil, !isEnding { answer = hearKeeper() }
        guard let reply = answer.flatMap({ HostPortReply(text: $0) }) else { throw SystemError("recv", code: EPIPE) }
        switch reply {
        case .failed(let code): throw SystemError("bind", code: code)
        case .done(let number):
            let socket = FileDescriptor(owning: try check("recvmsg") { gantry_receive_descriptor(keeper) })
            let key = HostPort(transport: port.transport, address: port.address, port: number)
            switch key.transport {
            case .tcp: ports[key] = try StreamPort(socket, loop: loop, target: target, port: number)
            case .udp: ports[key] = try DatagramPort(socket, loop: loop, target: target, port: number)
            }
            return number
        }
    }
}

/// The keeper's child that is the way out, known here only to be ended when the keeper cannot.
struct UplinkProcess: ~Copyable {
    private let pidfd: Int32

    /// The words of `uplink NAME PID RESOLVER`.
    init(_ words: [Substring]) {
        let pid = words.count == 4 ? pid_t(words[2]) ?? 0 : 0
        pidfd = pid > 0 ? gantry_pidfd_open(pid, 0) : -1
    }

    deinit { if pidfd >= 0 { close(pidfd) } }

    func end() { if pidfd >= 0 { _ = gantry_pidfd_send_signal(pidfd, SIGKILL) } }
}
