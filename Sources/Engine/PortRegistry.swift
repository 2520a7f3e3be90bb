import ContainerNetwork
import InternetAddress
import LinuxSystem
import StackModel
import Synchronization

/// Host ports held for stacks. Each is bound (never listened on) by a socket of the engine, so that no other program
/// takes it and a conflict is found before anything is made.
final class PortRegistry: Sendable {
    struct Key: Hashable, Sendable {
        var hostIP: IPv4Address?
        var port: UInt16
        var transport: Port.Transport

        /// - Throws: `NetworkError` when the address is none.
        init(hostIP: String?, port: UInt16, transport: Port.Transport) throws(NetworkError) {
            if let hostIP {
                guard let address = IPv4Address(hostIP) else { throw .invalidName(hostIP) }
                self.hostIP = address == .any ? nil : address
            }
            self.port = port
            self.transport = transport
        }
    }

    private struct Holding: Sendable {
        var stack: String
        var reservation: PortReservation
        /// The engine chose it, for one container.
        var isChosen: Bool
    }

    private let holdings = Mutex<[Key: Holding]>([:])

    /// Holds the port for a stack; a port that the stack holds already is held on.
    func reserve(
        _ key: Key, stack: String, with network: NetworkManager, isChosen: Bool = false
    ) throws(NetworkError) {
        try holdings.withLock { holdings throws(NetworkError) in
            if let holding = holdings[key] {
                guard holding.stack == stack else {
                    throw .portInUse(hostIP: key.hostIP, port: key.port, transport: Transport(key.transport))
                }
                return
            }
            let reservation = try network.reservePort(
                hostIP: key.hostIP, port: key.port, transport: Transport(key.transport))
            holdings[key] = Holding(stack: stack, reservation: reservation, isChosen: isChosen)
        }
    }

    /// A free port of the kernel's choice.
    func reserveEphemeral(
        hostIP: String?, transport: Port.Transport, stack: String, with network: NetworkManager
    ) throws(NetworkError) -> UInt16 {
        var key = try Key(hostIP: hostIP, port: 0, transport: transport)
        let reservation = try network.reservePort(hostIP: key.hostIP, port: 0, transport: Transport(transport))
        key.port = reservation.port
        holdings.withLock { $0[key] = Holding(stack: stack, reservation: reservation, isChosen: true) }
        return reservation.port
    }

    /// Lets go of the stack's fixed ports that are not in `keys`; ephemeral ones are released by `release(_:)`.
    func keep(_ keys: Set<Key>, stack: String) {
        holdings.withLock { holdings in
            holdings = holdings.filter { $0.value.stack != stack || keys.contains($0.key) || $0.value.isChosen }
        }
    }

    func release(_ key: Key) { holdings.withLock { $0[key] = nil } }

    func release(stack: String) { holdings.withLock { $0 = $0.filter { $0.value.stack != stack } } }
}

extension Transport {
    init(_ transport: Port.Transport) {
        switch transport {
        case .tcp: self = .tcp
        case .udp: self = .udp
        case .sctp: self = .sctp
        }
    }
}
