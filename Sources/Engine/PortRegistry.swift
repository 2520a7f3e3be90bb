import ContainerNetwork
import InternetAddress
import LinuxSystem
import StackModel
import Synchronization

/// Host ports held for stacks. Each is bound (never listened on) by a socket of the engine, so that no other program
/// takes it and a conflict is found before anything is made.
final class PortRegistry: Sendable {
    struct Key: Hashable, Sendable {
        /// `nil`: every address of both families; 0.0.0.0 and `::`: every one of theirs.
        var hostIP: IPAddress?
        var port: UInt16
        var transport: Port.Transport

        /// - Throws: `NetworkError` when the address is none.
        init(hostIP: String?, port: UInt16, transport: Port.Transport) throws(NetworkError) {
            if let hostIP {
                guard let address = IPAddress(hostIP) else { throw .invalidName(hostIP) }
                self.hostIP = address
            }
            self.port = port
            self.transport = transport
        }

        /// Connections to one could be connections to the other.
        func overlaps(_ other: Key) -> Bool {
            guard port == other.port, transport == other.transport else { return false }
            guard let left = hostIP, let right = other.hostIP else { return true }
            return left.isV6 == right.isV6 && (left == right || left.isAny || right.isAny)
        }
    }

    private struct Place: Hashable {
        var port: UInt16
        var transport: Port.Transport
    }

    private struct Holding: Sendable {
        var key: Key
        var stack: String
        /// `nil` for one of a long range: no socket for each of its ports.
        var reservation: PortReservation?
        /// The engine chose it, for one container.
        var isChosen: Bool
    }

    private let holdings = Mutex<[Place: [Holding]]>([:])

    /// Holds the port for a stack; a port that the stack holds already is held on.
    ///
    /// - Parameter listeners: who listens on the host now. With it, and for a port of a long range, no socket is made.
    /// - Throws: `portTaken` when another stack or program has it, with who that is where it can be found out.
    func reserve(
        _ key: Key, stack: String, with network: NetworkManager, isChosen: Bool = false,
        listeners: HostListeners? = nil
    ) throws(NetworkError) {
        let place = Place(port: key.port, transport: key.transport)
        try holdings.withLock { holdings throws(NetworkError) in
            let present = holdings[place] ?? []
            if present.contains(where: { $0.key == key && $0.stack == stack }) { return }
            if let other = present.first(where: { $0.key.overlaps(key) }) {
                let owner = other.stack == stack ? "another service of the stack" : "stack '\(other.stack)'"
                throw Self.taken(key, by: owner)
            }
            var reservation: PortReservation?
            if let listeners {
                if let owner = listeners.owner(of: key) { throw Self.taken(key, by: owner) }
            } else {
                reservation = try Self.bind(key, with: network)
            }
            holdings[place, default: []].append(
                Holding(key: key, stack: stack, reservation: reservation, isChosen: isChosen))
        }
    }

    private static func taken(_ key: Key, by owner: String) -> NetworkError {
        .portTaken(hostIP: key.hostIP, port: key.port, transport: Transport(key.transport), by: owner)
    }

    private static func bind(_ key: Key, with network: NetworkManager) throws(NetworkError) -> PortReservation? {
        let transport = Transport(key.transport)
        do throws(NetworkError) {
            if case .v6(let address) = key.hostIP {
                return try network.reservePort6(hostIP: address, port: key.port, transport: transport)
            }
            return try network.reservePort(hostIP: key.hostIP?.v4, port: key.port, transport: transport)
        } catch {
            guard case .portInUse = error, let owner = HostListeners.now().owner(of: key) else { throw error }
            throw taken(key, by: owner)
        }
    }

    /// A free port of the kernel's choice.
    func reserveEphemeral(
        hostIP: String?, transport: Port.Transport, stack: String, with network: NetworkManager
    ) throws(NetworkError) -> UInt16 {
        var key = try Key(hostIP: hostIP, port: 0, transport: transport)
        let reservation =
            if case .v6(let address) = key.hostIP {
                try network.reservePort6(hostIP: address, port: 0, transport: Transport(transport))
            } else {
                try network.reservePort(hostIP: key.hostIP?.v4, port: 0, transport: Transport(transport))
            }
        key.port = reservation.port
        let place = Place(port: key.port, transport: transport)
        let holding = Holding(key: key, stack: stack, reservation: reservation, isChosen: true)
        holdings.withLock { $0[place, default: []].append(holding) }
        return key.port
    }

    /// The first free port of a range.
    /// - Throws: why the last one could not be had.
    func reserveFirst(
        of range: ClosedRange<UInt16>, hostIP: String?, transport: Port.Transport, stack: String,
        with network: NetworkManager
    ) throws(NetworkError) -> UInt16 {
        var last: NetworkError?
        for port in range {
            let key = try Key(hostIP: hostIP, port: port, transport: transport)
            // The stack's own replicas each have one of the range: what is held already is not free.
            guard !isHeld(key) else { continue }
            do throws(NetworkError) {
                try reserve(key, stack: stack, with: network, isChosen: true)
                return port
            } catch {
                last = error
            }
        }
        throw last
            ?? .portTaken(
                hostIP: nil, port: range.lowerBound, transport: Transport(transport),
                by: "other containers, as all up to \(range.upperBound) are")
    }

    private func isHeld(_ key: Key) -> Bool {
        let place = Place(port: key.port, transport: key.transport)
        return holdings.withLock { ($0[place] ?? []).contains { $0.key.overlaps(key) } }
    }

    /// Lets go of the stack's fixed ports that are not in `keys`; ephemeral ones are released by `release(_:)`.
    func keep(_ keys: Set<Key>, stack: String) {
        remove { $0.stack == stack && !keys.contains($0.key) && !$0.isChosen }
    }

    func release(_ key: Key) { remove { $0.key == key } }

    func release(stack: String) { remove { $0.stack == stack } }

    private func remove(_ isGone: (Holding) -> Bool) {
        holdings.withLock { holdings in
            holdings = holdings.compactMapValues { present in
                let left = present.filter { !isGone($0) }
                return left.isEmpty ? nil : left
            }
        }
    }
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
