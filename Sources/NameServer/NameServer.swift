import CLinux
import Glibc
import LinuxSystem

/// The sockets of one container: they say who asks.
final class DNSListener {
    let scope: String
    /// Also names the listener: never used again.
    let udpToken: UInt64
    let tcpToken: UInt64
    let udp: SharedDescriptor
    let tcp: SharedDescriptor
    var zone: SharedZone
    /// Questions that wait for other servers.
    var inFlightCount = 0
    var connectionCount = 0

    init(
        scope: String, udpToken: UInt64, tcpToken: UInt64, udp: SharedDescriptor, tcp: SharedDescriptor,
        zone: SharedZone
    ) {
        (self.scope, self.udpToken, self.tcpToken) = (scope, udpToken, tcpToken)
        (self.udp, self.tcp, self.zone) = (udp, tcp, zone)
    }
}

/// The DNS server that containers find at 127.0.0.11: one thread for all of them, each on a pair of sockets that was
/// bound inside the container's network namespace. Names are answered from memory; what is not known goes to the
/// host's servers (or the zone's own) from the network namespace of the process.
public final class NameServer {
    var resolvConf: ResolvConfFile
    var random: SpreadingGenerator
    /// By both tokens.
    var listeners: [UInt64: DNSListener] = [:]
    private var listenersOfScopes: [String: DNSListener] = [:]
    private var zones: [String: SharedZone] = [:]
    var lookups: [DNSLookupKey: DNSLookup] = [:]
    /// By the token of the socket they wait on.
    var lookupsOfTokens: [UInt64: DNSLookup] = [:]
    var connections: [UInt64: DNSConnection] = [:]
    var waiterCount = 0
    var cache = DNSCache()
    var health = DNSServerHealth()
    /// Of `rotate`.
    var turn = 0
    var lookupDeadlines = DeadlineQueue()
    private var connectionDeadlines = DeadlineQueue()
    /// See `shed`.
    var spare: SharedDescriptor?
    private let epoll: FileDescriptor
    private var nextToken: UInt64 = 1
    private var guests: [UInt64: () -> Void] = [:]
    private let batch = DatagramBatch()
    private var events = [epoll_event](repeating: epoll_event(), count: DNSLimits.eventsPerWaitCountMax)

    public init(resolvConfPath: String = "/etc/resolv.conf") throws(SystemError) {
        epoll = FileDescriptor(owning: try check("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
        resolvConf = ResolvConfFile(path: resolvConfPath)
        random = SpreadingGenerator(seed: UInt64.random(in: 0...UInt64.max))
        openSpare()
    }

    // MARK: - Containers

    /// Containers that are served, sorted.
    public var scopes: [String] { listenersOfScopes.keys.sorted() }

    /// The sockets of a container, for another server that takes over.
    public func sockets(of scope: String) -> (udp: Int32, tcp: Int32)? {
        listenersOfScopes[scope].map { ($0.udp.raw, $0.tcp.raw) }
    }

    /// Serves a container on a bound UDP socket and a listening TCP socket of its namespace, which are closed by
    /// `remove`. While the zone is not known its questions are answered SERVFAIL. A scope that is there is replaced.
    public func serve(
        scope: String, zone: String, udp: consuming FileDescriptor, tcp: consuming FileDescriptor
    ) throws(SystemError) {
        try DNSSocket.setNonBlocking(udp.raw)
        try DNSSocket.setNonBlocking(tcp.raw)
        remove(scope: scope)
        let listener = DNSListener(
            scope: scope, udpToken: makeToken(), tcpToken: makeToken(), udp: SharedDescriptor(udp),
            tcp: SharedDescriptor(tcp), zone: sharedZone(zone))
        listenersOfScopes[scope] = listener
        listeners[listener.udpToken] = listener
        listeners[listener.tcpToken] = listener
        do {
            try watch(listener.udp.raw, token: listener.udpToken)
            try watch(listener.tcp.raw, token: listener.tcpToken)
        } catch {
            remove(scope: scope)
            throw error
        }
    }

    /// Ends the service of a container: sockets, connections and questions under way.
    public func remove(scope: String) {
        guard let listener = listenersOfScopes.removeValue(forKey: scope) else { return }
        unwatch(listener.udp.raw)
        unwatch(listener.tcp.raw)
        for connection in connections.values where connection.listener == listener.udpToken { close(connection) }
        dropWaiters { $0.listener == listener.udpToken }
        listeners[listener.udpToken] = nil
        listeners[listener.tcpToken] = nil
    }

    /// Which names a container can look up.
    public func assign(scope: String, zone: String) { listenersOfScopes[scope]?.zone = sharedZone(zone) }

    /// Replaces the names of a zone at once, for all containers that it is assigned to.
    public func setZone(_ id: String, _ zone: DNSZone) { sharedZone(id).source = zone }

    /// Forgets a zone; who still has it keeps its names.
    public func forgetZone(_ id: String) { zones[id] = nil }

    private func sharedZone(_ id: String) -> SharedZone {
        if let known = zones[id] { return known }
        let zone = SharedZone()
        zones[id] = zone
        return zone
    }

    // MARK: - Loop

    /// Calls `handler` in a turn in which the descriptor is readable, until the server goes.
    public func watch(_ raw: Int32, _ handler: @escaping () -> Void) throws(SystemError) {
        let token = makeToken()
        try watch(raw, token: token)
        guests[token] = handler
    }

    /// Waits for something to do, at most so many milliseconds (-1: for ever), and does it.
    public func turn(millisecondsMax: Int32) {
        let count = epoll_wait(epoll.raw, &events, Int32(events.count), waitMilliseconds(millisecondsMax))
        // News of names come before the questions that were asked after them.
        for index in 0..<Int(max(count, 0)) { guests[events[index].data.u64]?() }
        for index in 0..<Int(max(count, 0)) {
            let event = events[index]
            handle(event.data.u64, failed: event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0)
        }
        expire()
    }

    private func waitMilliseconds(_ millisecondsMax: Int32) -> Int32 {
        let firsts = [lookupDeadlines.first, connectionDeadlines.first].compactMap(\.self)
        guard let first = firsts.min() else { return millisecondsMax }
        let now = monotonicMilliseconds()
        let wait = first <= now ? 0 : Int32(clamping: first - now)
        return millisecondsMax < 0 ? wait : min(wait, millisecondsMax)
    }

    /// An event may be of a socket that an earlier event of the same batch closed: then its token is unknown.
    private func handle(_ token: UInt64, failed: Bool) {
        if let listener = listeners[token] {
            if token == listener.udpToken { takeDatagrams(listener) } else { accept(listener) }
        } else if let lookup = lookupsOfTokens[token] {
            advance(lookup)
        } else if let connection = connections[token] {
            serve(connection, failed: failed)
        }
    }

    /// As many datagrams as one call brings; if there are more, the next turn has them.
    private func takeDatagrams(_ listener: DNSListener) {
        let count = batch.receive(listener.udp.raw)
        for index in 0..<count {
            let client = DNSClient.datagram(listener.udpToken, batch.sender(index))
            if let reply = answer(batch.packet(index), listener: listener, client: client) {
                batch.setReply(reply, index)
            }
        }
        if count > 0 { batch.send(listener.udp.raw, count) }
    }

    /// The answer, when there is one at once.
    private func answer(_ packet: [UInt8], listener: DNSListener, client: DNSClient) -> [UInt8]? {
        let zone = listener.zone.compiled
        switch DNSResponder.decide(packet, zone: zone, isDatagram: client.isDatagram, random: &random) {
        case .reply(let reply): return reply
        case .forward(let query):
            let hasOwn = zone?.source.forwarders.isEmpty == false
            forward(
                query, client: client, listener: listener,
                to: hasOwn ? zone?.forwarders ?? ResolvConf() : resolvConf.current())
            return nil
        case .drop: return nil
        }
    }

    func take(_ packet: [UInt8], _ listener: DNSListener, _ connection: DNSConnection) {
        let client = DNSClient.connection(connection.token)
        if let reply = answer(packet, listener: listener, client: client) { deliver(reply, to: client) }
    }

    func deliver(_ reply: [UInt8], to client: DNSClient) {
        switch client {
        case .datagram(let token, let sender):
            if let listener = listeners[token] { DNSSocket.send(listener.udp.raw, reply, to: sender) }
        case .connection(let token):
            guard let connection = connections[token] else { return }
            connection.outgoing.append(message: reply)
            flush(connection)
        }
    }

    private func expire() {
        guard lookupDeadlines.first != nil || connectionDeadlines.first != nil else { return }
        let now = monotonicMilliseconds()
        while let token = lookupDeadlines.popExpired(now) {
            if let lookup = lookupsOfTokens[token] { lookupExpired(lookup) }
        }
        while let token = connectionDeadlines.popExpired(now) {
            guard let connection = connections[token] else { continue }
            if connection.isActive {
                connection.isActive = false
                noteDeadline(connection)
            } else {
                close(connection)
            }
        }
    }

    func noteDeadline(_ connection: DNSConnection) {
        connectionDeadlines.push(
            connection.token, at: monotonicMilliseconds() + DNSLimits.connectionIdleMillisecondsMax)
    }

    // MARK: - epoll(7)

    func makeToken() -> UInt64 {
        defer { nextToken += 1 }
        return nextToken
    }

    func watch(_ raw: Int32, token: UInt64, writable: Bool = false) throws(SystemError) {
        try control(EPOLL_CTL_ADD, raw, token, readable: true, writable: writable)
    }

    func change(_ raw: Int32, token: UInt64, readable: Bool, writable: Bool) throws(SystemError) {
        try control(EPOLL_CTL_MOD, raw, token, readable: readable, writable: writable)
    }

    private func control(
        _ operation: Int32, _ raw: Int32, _ token: UInt64, readable: Bool, writable: Bool
    ) throws(SystemError) {
        let events = (readable ? EPOLLIN.rawValue : 0) | (writable ? EPOLLOUT.rawValue : 0)
        var event = epoll_event(events: events, data: epoll_data_t(u64: token))
        let epollRaw = epoll.raw
        try check("epoll_ctl") { epoll_ctl(epollRaw, operation, raw, &event) }
    }

    func unwatch(_ raw: Int32) { epoll_ctl(epoll.raw, EPOLL_CTL_DEL, raw, nil) }
}
