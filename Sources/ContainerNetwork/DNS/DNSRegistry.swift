import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// What the threads that change the server share with the thread that serves: sockets and names of every container.
final class DNSRegistry: Sendable {
    /// The sockets of one container.
    struct Listener: Sendable {
        var scope: String
        /// Also names the listener: never used again.
        var udpToken: UInt64
        var tcpToken: UInt64
        var udp: SharedDescriptor
        var tcp: SharedDescriptor
    }

    private struct State {
        var zones: [String: SharedZone] = [:]
        var listeners: [String: Listener] = [:]
        var scopeOfToken: [UInt64: String] = [:]
        var removed: [UInt64] = []
        var isStopping = false
    }

    static let wakeToken: UInt64 = 0

    let epoll: SharedDescriptor
    private let wakeUps: SharedDescriptor
    private let nextToken = Atomic<UInt64>(1)
    private let state = Mutex(State())

    init() throws(SystemError) {
        epoll = SharedDescriptor(
            FileDescriptor(owning: try check("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) }))
        wakeUps = SharedDescriptor(
            FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) }))
        try watch(wakeUps.raw, token: Self.wakeToken)
    }

    func makeToken() -> UInt64 { nextToken.add(1, ordering: .relaxed).oldValue }

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
        try check("epoll_ctl") { epoll_ctl(epoll.raw, operation, raw, &event) }
    }

    func unwatch(_ raw: Int32) { epoll_ctl(epoll.raw, EPOLL_CTL_DEL, raw, nil) }

    /// Serves a container, in place of one with the same scope if there is.
    func add(scope: String, udp: SharedDescriptor, tcp: SharedDescriptor) throws(SystemError) {
        try DNSSocket.setNonBlocking(udp.raw)
        try DNSSocket.setNonBlocking(tcp.raw)
        let listener = Listener(scope: scope, udpToken: makeToken(), tcpToken: makeToken(), udp: udp, tcp: tcp)
        let replaced = state.withLock { state in
            let replaced = Self.removeListener(scope, from: &state)
            state.listeners[scope] = listener
            state.scopeOfToken[listener.udpToken] = scope
            state.scopeOfToken[listener.tcpToken] = scope
            return replaced
        }
        if let replaced { retire(replaced) }
        do {
            try watch(udp.raw, token: listener.udpToken)
            try watch(tcp.raw, token: listener.tcpToken)
        } catch {
            remove(scope: scope)
            throw error
        }
    }

    func remove(scope: String) {
        let removed = state.withLock { state in
            state.zones[scope] = nil
            return Self.removeListener(scope, from: &state)
        }
        if let removed { retire(removed) }
    }

    private static func removeListener(_ scope: String, from state: inout State) -> Listener? {
        guard let listener = state.listeners.removeValue(forKey: scope) else { return nil }
        state.scopeOfToken[listener.udpToken] = nil
        state.scopeOfToken[listener.tcpToken] = nil
        state.removed.append(listener.udpToken)
        return listener
    }

    private func retire(_ listener: Listener) {
        unwatch(listener.udp.raw)
        unwatch(listener.tcp.raw)
        wake()
    }

    func update(scopes: [String], zone: DNSZone) {
        state.withLock { state in
            let known = scopes.first.flatMap { state.zones[$0] }
            if let known, known.source == zone, scopes.allSatisfy({ state.zones[$0] === known }) { return }
            let shared = SharedZone(zone)
            for scope in scopes { state.zones[scope] = shared }
        }
    }

    func serves(scope: String) -> Bool { state.withLock { $0.listeners[scope] != nil } }

    var scopes: [String] { state.withLock { $0.listeners.keys.sorted() } }

    func listener(_ token: UInt64) -> Listener? {
        state.withLock { state in state.scopeOfToken[token].flatMap { state.listeners[$0] } }
    }

    func zone(_ scope: String) -> CompiledZone? { state.withLock { $0.zones[scope] }?.compiled }

    /// Listeners that are gone since the last call, and whether the server should end.
    func takeChanges() -> (removed: [UInt64], isStopping: Bool) {
        var count: eventfd_t = 0
        eventfd_read(wakeUps.raw, &count)
        return state.withLock { state in
            defer { state.removed = [] }
            return (state.removed, state.isStopping)
        }
    }

    func stop() {
        state.withLock { state in
            state.isStopping = true
            state.listeners = [:]
            state.scopeOfToken = [:]
            state.zones = [:]
        }
        wake()
    }

    private func wake() { eventfd_write(wakeUps.raw, 1) }
}
