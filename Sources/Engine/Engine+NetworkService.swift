import ContainerNetwork
import InternetAddress
import LinuxSystem
import Logging
import NameServer
import NetworkService
import StackModel
import Synchronization

/// Tells the engine that the process that serves its networks has ended; the process may end before anybody listens.
final class ServiceLosses: Sendable {
    private struct State {
        var isPending = false
        var handler: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    func note() {
        let handler = state.withLock { state in
            if state.handler == nil { state.isPending = true }
            return state.handler
        }
        handler?()
    }

    func listen(_ handler: @escaping @Sendable () -> Void) {
        let isPending = state.withLock { state in
            defer { state = State(handler: handler) }
            return state.isPending
        }
        if isPending { handler() }
    }
}

/// The process that answers containers' names, which goes on while the engine does not; see docs/dns.md.
extension Engine {
    private static let lossPauseMax = Duration.seconds(5)

    func adoptNetworkService() {
        serviceLosses.listen { [self] in background.start { await self.restoreNetworkService() } }
        do throws(SystemError) { try dns.adopt() } catch {
            log.error("network process not taken over", metadata: ["error": "\(error)"])
        }
    }

    /// As long as containers run they may ask.
    func endNetworkService() {
        if containers.values.contains(where: { $0.process != nil }) { dns.leave() } else { dns.end() }
    }

    /// The process was killed: what it served is handed to a new one.
    private func restoreNetworkService() async {
        var pause = Duration.milliseconds(50)
        while !isShuttingDown {
            do throws(EngineError) {
                try await serveAll()
                log.warning("network process restored")
                return
            } catch {
                log.error("network process not restored", metadata: ["error": "\(error)"])
            }
            // Cancelled at the engine's end: the next one takes up from there.
            do { try await Task.sleep(for: pause) } catch { return }
            pause = min(pause * 2, Self.lossPauseMax)
        }
    }

    private func serveAll() async throws(EngineError) {
        for container in containers.values where container.process != nil {
            let stored = container.stored
            guard usesOwnNamespace(stored), !stored.attachments.isEmpty, !dns.serves(scope: stored.id) else { continue }
            let stack = stacks[stored.stackName]?.record.stack
            guard stack?.driftPolicy(.dns, service: stored.service) ?? .repair == .repair else { continue }
            let (key, zone) = knownZone(for: stored)
            let (network, dns, id) = (network, dns, stored.id)
            do throws(EngineError) {
                try await onThread { () throws(EngineError) in
                    let sockets: ResolverSockets
                    do throws(NetworkError) { sockets = try network.openResolver(id: id) } catch {
                        throw .network(error)
                    }
                    try dns.serve(id, key, zone, sockets)
                }
            } catch {
                // One that has ended meanwhile must not keep the others waiting.
                if containers[id]?.process != nil { throw error }
            }
        }
        await refreshEndpoints()
    }
}

extension NetworkServiceClient {
    func serve(_ id: String, _ key: ZoneKey, _ zone: DNSZone, _ sockets: ResolverSockets) throws(EngineError) {
        do throws(SystemError) {
            try serve(scope: id, zone: key.text, zone, udp: sockets.udp, tcp: sockets.tcp)
        } catch {
            throw .system(error)
        }
    }
}

/// Published ports on the host's IPv6, where the kernel cannot send packets on to IPv4.
extension NetworkServiceClient: PortRelays {
    public func open(
        address: IPv6Address, port: UInt16, transport: ContainerNetwork.Transport, target: IPv4Address
    ) throws(SystemError) {
        guard let port = RelayedPort(address, port, transport, target) else { return }
        try open(port)
    }

    public func close(
        address: IPv6Address, port: UInt16, transport: ContainerNetwork.Transport, target: IPv4Address
    ) {
        if let port = RelayedPort(address, port, transport, target) { close(port) }
    }
}

extension RelayedPort {
    fileprivate init?(
        _ address: IPv6Address, _ port: UInt16, _ transport: ContainerNetwork.Transport, _ target: IPv4Address
    ) {
        switch transport {
        case .tcp: self.init(transport: .tcp, address: address, port: port, target: target)
        case .udp: self.init(transport: .udp, address: address, port: port, target: target)
        case .sctp: return nil
        }
    }
}
