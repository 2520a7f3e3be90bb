import CLinux
import Glibc
import LinuxSystem

/// The serving thread: sockets of containers, their TCP connections, and questions under way to other servers. All of
/// it belongs to this thread; what others change comes through the registry.
final class DNSLoop {
    let registry: DNSRegistry
    var resolvConf: ResolvConfFile
    var random: SpreadingGenerator
    /// By the token of the socket they wait on.
    var forwards: [UInt64: DNSForward] = [:]
    var connections: [UInt64: DNSConnection] = [:]
    /// By listener.
    var inFlightCounts: [UInt64: Int] = [:]
    var connectionCounts: [UInt64: Int] = [:]
    var forwardDeadlines = DeadlineQueue(milliseconds: DNSLimits.serverMillisecondsMax)
    var connectionDeadlines = DeadlineQueue(milliseconds: DNSLimits.connectionIdleMillisecondsMax)
    /// See `shed`.
    var spare: SharedDescriptor?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: DNSLimits.messageByteCountMax, alignment: 16)

    init(registry: DNSRegistry, resolvConfPath: String) {
        self.registry = registry
        resolvConf = ResolvConfFile(path: resolvConfPath)
        random = SpreadingGenerator(seed: UInt64.random(in: 0...UInt64.max))
        openSpare()
    }

    deinit { buffer.deallocate() }

    func run() {
        var events = [epoll_event](repeating: epoll_event(), count: DNSLimits.eventsPerWaitCountMax)
        while true {
            let count = epoll_wait(registry.epoll.raw, &events, Int32(events.count), waitMilliseconds())
            for event in events.prefix(Int(max(count, 0))) {
                let token = event.data.u64
                if token == DNSRegistry.wakeToken {
                    guard handleChanges() else { return }
                } else {
                    handle(token, failed: event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0)
                }
            }
            expire()
        }
    }

    private func waitMilliseconds() -> Int32 {
        let deadlines = [forwardDeadlines.first, connectionDeadlines.first].compactMap(\.self)
        guard let first = deadlines.min() else { return -1 }
        let now = monotonicMilliseconds()
        return first <= now ? 0 : Int32(clamping: first - now)
    }

    /// `false`: the server ends.
    private func handleChanges() -> Bool {
        let (removed, isStopping) = registry.takeChanges()
        for listener in removed {
            for forward in forwards.values where forward.listener == listener { end(forward) }
            for connection in connections.values where connection.listener == listener { close(connection) }
        }
        return !isStopping
    }

    /// An event may be of a socket that an earlier event of the same batch closed: then its token is unknown.
    private func handle(_ token: UInt64, failed: Bool) {
        if let forward = forwards[token] {
            advance(forward)
        } else if let connection = connections[token] {
            serve(connection, failed: failed)
        } else if let listener = registry.listener(token) {
            if token == listener.udpToken { takeDatagrams(listener) } else { accept(listener) }
        }
    }

    private func takeDatagrams(_ listener: DNSRegistry.Listener) {
        for _ in 0..<DNSLimits.datagramsPerTurnCountMax {
            do {
                let (packet, sender) = try DNSSocket.receive(listener.udp.raw, into: buffer)
                answer(packet, listener: listener, client: .datagram(listener.udp, sender))
            } catch {
                // EAGAIN: all taken. Any other error is one of an earlier answer (ICMP), reported once.
                if error.code == EAGAIN { return }
            }
        }
    }

    func answer(_ packet: [UInt8], listener: DNSRegistry.Listener, client: DNSForward.Client) {
        let zone = registry.zone(listener.scope)
        let decision = DNSResponder.decide(packet, zone: zone, isDatagram: client.isDatagram, random: &random)
        switch decision {
        case .reply(let reply): deliver(reply, to: client)
        case .forward(let query):
            let servers = zone?.forwarders ?? []
            forward(
                query, packet, client: client, listener: listener.udpToken,
                servers: zone?.source.forwarders.isEmpty == false ? servers : resolvConf.current())
        case .drop: break
        }
    }

    func deliver(_ reply: [UInt8], to client: DNSForward.Client) {
        switch client {
        case .datagram(let socket, let sender): DNSSocket.send(socket.raw, reply, to: sender)
        case .connection(let token):
            guard let connection = connections[token] else { return }
            connection.outgoing.append(message: reply)
            flush(connection)
        }
    }

    private func expire() {
        let now = monotonicMilliseconds()
        while let token = forwardDeadlines.popExpired(now) {
            if let forward = forwards[token] { tryNextServer(forward) }
        }
        while let token = connectionDeadlines.popExpired(now) {
            guard let connection = connections[token] else { continue }
            if connection.isActive {
                connection.isActive = false
                connectionDeadlines.push(token, now)
            } else {
                close(connection)
            }
        }
    }
}

func monotonicMilliseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000 + UInt64(now.tv_nsec) / 1_000_000
}

/// Deadlines that are all the same time away, and so in order. What ended before its deadline stays until then.
struct DeadlineQueue {
    private let milliseconds: UInt64
    private var entries: [(deadline: UInt64, token: UInt64)] = []
    private var head = 0

    init(milliseconds: UInt64) { self.milliseconds = milliseconds }

    var first: UInt64? { head < entries.count ? entries[head].deadline : nil }

    mutating func push(_ token: UInt64, _ now: UInt64) { entries.append((now + milliseconds, token)) }

    mutating func popExpired(_ now: UInt64) -> UInt64? {
        guard head < entries.count, entries[head].deadline <= now else { return nil }
        let token = entries[head].token
        head += 1
        if head > entries.count / 2 {
            entries.removeFirst(head)
            head = 0
        }
        return token
    }
}
