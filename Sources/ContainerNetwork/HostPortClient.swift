import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Synchronization

/// Ports of the host for an engine in a network namespace of its own: held and forwarded by the process that holds the
/// namespaces, which outlives the engine. Thread-safe; a call takes tens of microseconds.
public final class HostPortClient: Sendable {
    private let connection: Mutex<SharedDescriptor>

    /// Connects to the socket at `path`. Ports that an engine before this one opened stay until `sweep`.
    public init(path: String) throws(SystemError) {
        let socket = try MessageSocket.connect(to: path)
        let raw = socket.raw
        guard try MessageSocket.receive(from: raw) != nil else { throw SystemError("recv", path: path, code: EPIPE) }
        connection = Mutex(SharedDescriptor(socket))
        _ = try ask(.claim)
    }

    /// Lets go of the ports of the engine before this one that have not been opened again.
    public func sweep() throws(SystemError) { _ = try ask(.sweep) }

    func open(hostIP: IPv4Address?, port: UInt16, transport: Transport) throws(NetworkError) -> UInt16 {
        let target = Self.inside(hostIP) ?? .loopback
        let wanted = try hostPort(hostIP, port, transport)
        switch try system({ () throws(SystemError) in try ask(.open(wanted, target: target.value)) }) {
        case .done(let port): return port
        case .failed(EADDRINUSE): throw .portInUse(hostIP: hostIP, port: port, transport: transport)
        case .failed(EADDRNOTAVAIL): throw .noSuchHostAddress(hostIP ?? .any)
        case .failed(EACCES), .failed(EPERM): throw .portNotPermitted(port: port, transport: transport)
        case .failed(let code): throw .system(SystemError("bind", path: "\(hostIP ?? .any):\(port)", code: code))
        }
    }

    /// Without a holder its ports are gone anyway.
    func close(hostIP: IPv4Address?, port: UInt16, transport: Transport) {
        // What could not be opened need not be closed.
        guard let port = try? hostPort(hostIP, port, transport) else { return }
        _ = try? ask(.close(port))  // As above.
    }

    private func hostPort(
        _ hostIP: IPv4Address?, _ port: UInt16, _ transport: Transport
    ) throws(NetworkError) -> HostPort {
        guard let kind = HostPort.Transport(rawValue: transport.rawValue) else {
            throw .transportNotForwarded(transport)
        }
        return HostPort(transport: kind, address: hostIP?.value ?? 0, port: port)
    }

    private func ask(_ request: HostPortRequest) throws(SystemError) -> HostPortReply {
        try connection.withLock { (connection) throws(SystemError) in
            try MessageSocket.send(request.text, to: connection.raw)
            guard let text = try MessageSocket.receive(from: connection.raw) else {
                throw SystemError("recv", path: "the holder of the namespaces", code: EPIPE)
            }
            guard let reply = HostPortReply(text: text) else { throw SystemError("recv", code: EPROTO) }
            return reply
        }
    }

    /// The address inside that stands for one of the host's: forwarded connections go to it. The host's own addresses
    /// are not there; 127.128.0.0/9 is, and nobody uses it.
    static func inside(_ hostIP: IPv4Address?) -> IPv4Address? {
        guard let hostIP, !hostIP.isLoopback else { return hostIP }
        var hash: UInt32 = 0x811c_9dc5  // 32-bit FNV-1a
        for byte in hostIP.bytes { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        return IPv4Address(value: 0x7f80_0000 | hash >> 9)
    }
}

extension NetworkManager {
    /// Where the firewall's table finds a port that is published on this address of the host.
    public func publishedAddress(_ hostIP: IPAddress?) -> IPAddress? {
        guard hostPorts != nil, let address = hostIP?.v4 else { return hostIP }
        return HostPortClient.inside(address).map { .v4($0) }
    }

    /// After the ports of running stacks were reserved again: those of others are let go of.
    public func sweepHostPorts() throws(NetworkError) {
        guard let hostPorts else { return }
        try system { () throws(SystemError) in try hostPorts.sweep() }
    }
}
