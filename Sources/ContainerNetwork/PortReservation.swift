import CLinux
import Glibc
import InternetAddress
import LinuxSystem

/// Holds a port of the host, so that no other program takes it while it is published: a bound socket that does not
/// listen. The port is free again when the last reference goes.
public final class PortReservation: Sendable {
    public let hostIP: IPv4Address?
    public let port: UInt16
    public let transport: Transport
    private let descriptor: SharedDescriptor?
    private let client: HostPortClient?
    /// The same port of the host's IPv6.
    private let relay: PortRelay?

    init(
        hostIP: IPv4Address?, port: UInt16, transport: Transport, descriptor: consuming FileDescriptor,
        relay: PortRelay? = nil
    ) {
        self.hostIP = hostIP
        self.port = port
        self.transport = transport
        self.descriptor = SharedDescriptor(descriptor)
        client = nil
        self.relay = relay
    }

    /// A port of the host's IPv6 alone.
    init(port: UInt16, transport: Transport, relay: PortRelay) {
        hostIP = nil
        self.port = port
        self.transport = transport
        self.relay = relay
        descriptor = nil
        client = nil
    }

    /// A port that another process holds, and forwards, for us.
    init(hostIP: IPv4Address?, port: UInt16, transport: Transport, client: HostPortClient) {
        self.hostIP = hostIP
        self.port = port
        self.transport = transport
        self.client = client
        descriptor = nil
        relay = nil
    }

    deinit { client?.close(hostIP: hostIP, port: port, transport: transport) }
}

extension NetworkManager {
    /// Reserves a port of the host. Port 0 takes a free one of the kernel's choice: see `PortReservation.port`.
    ///
    /// Packets never reach the socket: they are sent on to a container before. A kernel without SCTP cannot have
    /// anybody else on an SCTP port either; the reservation then holds nothing.
    public func reservePort(
        hostIP: IPv4Address? = nil, port: UInt16, transport: Transport
    ) throws(NetworkError) -> PortReservation {
        let hostIP = hostIP == .any ? nil : hostIP
        if let hostPorts {
            let actual = try hostPorts.open(hostIP: hostIP, port: port, transport: transport)
            return PortReservation(hostIP: hostIP, port: actual, transport: transport, client: hostPorts)
        }
        let socket: FileDescriptor
        let stream = Int32(SOCK_STREAM.rawValue)
        let type = transport == .udp ? Int32(SOCK_DGRAM.rawValue) : stream
        do {
            socket = try boundSocket(
                domain: AF_INET, type: type, address: hostIP ?? .any, port: port, mayReuse: false,
                protocolNumber: Int32(transport.number))
        } catch {
            switch error.code {
            case EADDRINUSE: throw .portInUse(hostIP: hostIP, port: port, transport: transport)
            case EADDRNOTAVAIL: throw .noSuchHostAddress(hostIP ?? .any)
            case EPROTONOSUPPORT where transport == .sctp:
                return PortReservation(
                    hostIP: hostIP, port: port, transport: transport,
                    descriptor: try system { () throws(SystemError) in try FileDescriptor.open("/dev/null", O_RDONLY) })
            default: throw .system(error)
            }
        }
        let raw = socket.raw
        let actual = port == 0 ? try system { () throws(SystemError) in try localPort(raw) } : port
        return PortReservation(
            hostIP: hostIP, port: actual, transport: transport, descriptor: socket,
            relay: hostIP == nil ? try relayed(actual, transport) : nil)
    }

    /// A port that is published on all addresses is on those of IPv6, too.
    private func relayed(_ port: UInt16, _ transport: Transport) throws(NetworkError) -> PortRelay? {
        try relayPort(address: .any, port: port, transport: transport)
    }

    private func localPort(_ raw: Int32) throws(SystemError) -> UInt16 {
        UInt16(truncatingIfNeeded: try check("getsockname") { gantry_local_port_ipv4(raw) })
    }
}
