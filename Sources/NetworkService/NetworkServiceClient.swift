import CLinux
import Glibc
import LinuxSystem
import NameServer
import Synchronization

/// An engine's side of the process that serves its networks. The process is started when there is something for it to
/// do, outlives the engine, and is replaced when the program is another build. Thread-safe; a call takes microseconds,
/// one that starts the process milliseconds.
public final class NetworkServiceClient: Sendable {
    private struct Session {
        let socket: SharedDescriptor
        let process: SharedDescriptor
    }

    private struct State {
        var session: Session?
        /// What the process has been told, in this session.
        var zones: [String: DNSZone] = [:]
        var zonesOfScopes: [String: String] = [:]
        var served: Set<String> = []
        /// Sockets out of a process of another build, until the names are known: questions wait in them meanwhile.
        var moved: [String: [SharedDescriptor]] = [:]
        /// What it is to hold, in every session.
        var ports: Set<RelayedPort> = []
        var isEnded = false
        /// Counts sessions, so that late news of an earlier one is told from news of this one.
        var number = 0
    }

    private static let startMilliseconds: UInt64 = 5_000
    /// Beyond, ports are had on IPv4 only: a range of thousands must not cost a listener each.
    private static let portCountMax = 4_096
    private static let pauseMicroseconds: UInt32 = 5_000
    private static let patienceMilliseconds: Int32 = 2_000

    private let supervisorPath: String
    private let execRoot: String
    private let poller: Poller
    private let onLoss: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - supervisorPath: the program `gantry-supervisor`.
    ///   - onLoss: called when the process has ended although nobody told it to: sockets and zones have to be sent
    ///     again (`serve`), ports open themselves again with the next start.
    public init(
        supervisorPath: String, execRoot: String, poller: Poller, onLoss: @escaping @Sendable () -> Void
    ) {
        self.supervisorPath = supervisorPath
        self.execRoot = execRoot
        self.poller = poller
        self.onLoss = onLoss
    }

    // MARK: - Session

    /// Takes up what the process does for an engine before this one, if there is one.
    public func adopt() throws(SystemError) {
        try state.withLock { state throws(SystemError) in
            guard state.session == nil, FileSystem.exists(NetworkServicePlace.socketPath(execRoot: execRoot)) else {
                return
            }
            do throws(SystemError) {
                try connect(&state)
            } catch {
                // Nobody listens there any more: one is started when it is needed.
                if error.code != ECONNREFUSED, error.code != ENOENT { throw error }
            }
        }
    }

    /// Lets go of the containers and ports of the engine before this one that nobody asked for again.
    public func sweep() {
        state.withLock { state in
            state.served.formIntersection(state.zonesOfScopes.keys)
            state.moved = [:]
            tell(.sweep, &state)
        }
    }

    /// Ends the process: nobody needs it any more.
    public func end() {
        state.withLock { state in
            tell(.end, &state)
            state.isEnded = true
            state.number += 1
            state.session = nil
        }
    }

    /// The process goes on; this client does nothing any more.
    public func leave() {
        state.withLock { state in
            state.isEnded = true
            state.number += 1
            state.session = nil
        }
    }

    // MARK: - Names

    /// Whether a container is served.
    public func serves(scope: String) -> Bool { state.withLock { $0.served.contains(scope) } }

    /// Serves a container on a bound UDP socket and a listening TCP socket of its network namespace, starting the
    /// process if it does not run.
    public func serve(
        scope: String, zone id: String, _ zone: DNSZone, udp: SharedDescriptor, tcp: SharedDescriptor
    ) throws(SystemError) {
        try state.withLock { state throws(SystemError) in
            for isLastAttempt in [false, true] {
                do throws(SystemError) {
                    try start(&state)
                    try sendZone(id, zone, &state)
                    let request = ServiceRequest.serve(scope: scope, zone: id)
                    try send(request, [udp.raw, tcp.raw], state)
                    state.served.insert(scope)
                    state.zonesOfScopes[scope] = id
                    state.moved[scope] = nil
                    return
                } catch {
                    lose(&state)
                    if isLastAttempt { throw error }
                }
            }
        }
    }

    /// Replaces the names that these containers can look up. Nothing is sent that has been sent already; without a
    /// process nothing is lost, for `serve` brings the names along.
    public func update(zone id: String, _ zone: DNSZone, scopes: [String]) {
        state.withLock { state in
            guard state.session != nil else { return }
            do throws(SystemError) {
                try sendZone(id, zone, &state)
                if !state.moved.isEmpty { try serveMoved(scopes, zone: id, &state) }
                let moved = scopes.filter { state.served.contains($0) && state.zonesOfScopes[$0] != id }
                guard !moved.isEmpty else { return }
                try send(.assign(scopes: moved, zone: id), [], state)
                for scope in moved { setZone(id, of: scope, &state) }
            } catch {
                lose(&state)
            }
        }
    }

    private func serveMoved(_ scopes: [String], zone id: String, _ state: inout State) throws(SystemError) {
        for scope in scopes {
            guard let sockets = state.moved.removeValue(forKey: scope) else { continue }
            try send(.serve(scope: scope, zone: id), sockets.map(\.raw), state)
            state.zonesOfScopes[scope] = id
        }
    }

    public func remove(scope: String) {
        state.withLock { state in
            state.moved[scope] = nil
            guard state.served.remove(scope) != nil else { return }
            tell(.remove(scope: scope), &state)
            setZone(nil, of: scope, &state)
        }
    }

    private func sendZone(_ id: String, _ zone: DNSZone, _ state: inout State) throws(SystemError) {
        guard state.zones[id] != zone else { return }
        try send(.setZone(id, zone), [], state)
        state.zones[id] = zone
    }

    /// A zone that nobody has any more is forgotten.
    private func setZone(_ id: String?, of scope: String, _ state: inout State) {
        let before = state.zonesOfScopes[scope]
        state.zonesOfScopes[scope] = id
        guard let before, before != id, !state.zonesOfScopes.values.contains(before) else { return }
        state.zones[before] = nil
        tell(.forgetZone(before), &state)
    }

    // MARK: - Ports

    /// Relays a port, until `close`; starts the process if it does not run.
    ///
    /// - Throws: the error of bind(2), or EADDRNOTAVAIL for one port too many.
    public func open(_ port: RelayedPort) throws(SystemError) {
        try state.withLock { state throws(SystemError) in
            guard state.ports.count < Self.portCountMax else { throw SystemError("bind", code: EADDRNOTAVAIL) }
            try start(&state)
            let code = try openNow(port, &state)
            guard code == 0 else { throw SystemError("bind", path: "[\(port.address)]:\(port.port)", code: code) }
            state.ports.insert(port)
        }
    }

    public func close(_ port: RelayedPort) {
        state.withLock { state in
            guard state.ports.remove(port) != nil else { return }
            tell(.close(port), &state)
        }
    }

    private func openNow(_ port: RelayedPort, _ state: inout State) throws(SystemError) -> Int32 {
        do throws(SystemError) {
            try send(.open(port), [], state)
            guard let session = state.session, case .opened(let code) = try Self.hear(session.socket.raw).reply else {
                throw SystemError("recvmsg", code: EBADMSG)
            }
            return code
        } catch {
            lose(&state)
            throw error
        }
    }

    // MARK: - Connection

    private func send(
        _ request: ServiceRequest, _ descriptors: [Int32], _ state: borrowing State
    ) throws(SystemError) {
        guard let session = state.session else { throw SystemError("sendmsg", code: ENOTCONN) }
        try ServiceSocket.send(request.bytes, descriptors, to: session.socket.raw)
    }

    /// Where a lost process needs no answer of its own: `onLoss` follows.
    private func tell(_ request: ServiceRequest, _ state: inout State) {
        guard state.session != nil else { return }
        do throws(SystemError) { try send(request, [], state) } catch { lose(&state) }
    }

    private static func hear(
        _ raw: Int32
    ) throws(SystemError) -> (reply: ServiceReply, descriptors: [SharedDescriptor]) {
        guard let message = try ServiceSocket.receive(from: raw) else { throw SystemError("recvmsg", code: EPIPE) }
        do {
            return (try ServiceReply(message.bytes), message.descriptors)
        } catch {
            throw SystemError("recvmsg", code: EBADMSG)
        }
    }

    /// A process that does not answer is of no use: its end is noticed like any other.
    private func lose(_ state: inout State) {
        guard let session = state.session else { return }
        _ = gantry_pidfd_send_signal(session.process.raw, SIGKILL)
        forgetSession(&state)
    }

    private func forgetSession(_ state: inout State) {
        state.session = nil
        (state.zones, state.zonesOfScopes, state.served, state.moved) = ([:], [:], [], [:])
    }

    private func ended(_ number: Int) {
        let isNews = state.withLock { state in
            // Another may run by now, for one container: the others have to come back to it all the same.
            if state.number == number { forgetSession(&state) }
            return !state.isEnded
        }
        if isNews { onLoss() }
    }

    /// Connects to the process, started if need be.
    private func start(_ state: inout State) throws(SystemError) {
        guard state.session == nil else { return }
        guard !state.isEnded else { throw SystemError("connect", code: ESHUTDOWN) }
        let deadline = monotonicMilliseconds() + Self.startMilliseconds
        while true {
            do throws(SystemError) {
                return try connect(&state)
            } catch {
                guard [ENOENT, ECONNREFUSED, EPIPE, ECONNRESET].contains(error.code),
                    monotonicMilliseconds() < deadline
                else { throw error }
            }
            try launch()
            if FileSystem.exists(NetworkServicePlace.socketPath(execRoot: execRoot)) { continue }
            usleep(Self.pauseMicroseconds)
        }
    }

    private func launch() throws(SystemError) {
        let outcome = try HelperProgram.run(
            path: supervisorPath, arguments: [supervisorPath, "network", execRoot], environment: [], input: [],
            timeoutMilliseconds: Self.startMilliseconds)
        if let reason = outcome.failureReason {
            throw SystemError("execute", path: "\(supervisorPath) network: \(reason)", code: ECHILD)
        }
    }

    private func connect(_ state: inout State) throws(SystemError) {
        let path = NetworkServicePlace.socketPath(execRoot: execRoot)
        let socket = SharedDescriptor(try MessageSocket.connect(to: path))
        let raw = socket.raw
        try check("setsockopt") { gantry_socket_patience(raw, Self.patienceMilliseconds) }
        guard case .hello(let version, let build, let pid, let scopes) = try Self.hear(raw).reply else {
            throw SystemError("recvmsg", path: path, code: EBADMSG)
        }
        let process = SharedDescriptor(
            FileDescriptor(owning: try check("pidfd_open") { gantry_pidfd_open(pid, 0) }))
        guard version == ServiceRequest.version, build == (try NetworkServicePlace.build(of: supervisorPath)) else {
            return try replace(Session(socket: socket, process: process), version: version, &state)
        }
        state.number += 1
        let number = state.number
        try poller.watch(try process.duplicate(), once: true) { [weak self] in self?.ended(number) }
        state.session = Session(socket: socket, process: process)
        state.served = Set(scopes)
        try send(.claim, [], state)
        try reopenPorts(&state)
    }

    private func reopenPorts(_ state: inout State) throws(SystemError) {
        // A port that another program has taken meanwhile is its own.
        for port in state.ports { _ = try openNow(port, &state) }
    }

    /// Moves the containers' sockets from a process of another build into one of ours: what waits in them stays.
    private func replace(_ old: Session, version: Int, _ state: inout State) throws(SystemError) {
        let speaksOurs = version == ServiceRequest.version
        try ServiceSocket.send((speaksOurs ? ServiceRequest.handOver : .end).bytes, to: old.socket.raw)
        var moved: [String: [SharedDescriptor]] = [:]
        while speaksOurs {
            let (reply, descriptors) = try Self.hear(old.socket.raw)
            guard case .sockets(let scope) = reply else { break }
            if descriptors.count == 2 { moved[scope] = descriptors }
        }
        var polled = pollfd(fd: old.process.raw, events: Int16(POLLIN), revents: 0)
        if poll(&polled, 1, Self.patienceMilliseconds) <= 0 {
            _ = gantry_pidfd_send_signal(old.process.raw, SIGKILL)
        }
        try start(&state)
        state.moved = moved
        state.served.formUnion(moved.keys)
    }
}
