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

    init(hostIP: IPv4Address?, port: UInt16, transport: Transport, descriptor: consuming FileDescriptor) {
        self.hostIP = hostIP
        self.port = port
        self.transport = transport
        self.descriptor = SharedDescriptor(descriptor)
        client = nil
    }

    /// A port that another process holds, and forwards, for us.
    init(hostIP: IPv4Address?, port: UInt16, transport: Transport, client: HostPortClient) {
        self.hostIP = hostIP
        self.port = port
        self.transport = transport
        self.client = client
        descriptor = nil
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
        let stream = Int32(SOCK_STREAM.rawValue)
        let type = transport == .udp ? Int32(SOCK_DGRAM.rawValue) : stream
        do {
            let descriptor = try boundSocket(
                domain: AF_INET, type: type, address: hostIP ?? .any, port: port, mayReuse: false,
                protocolNumber: Int32(transport.number))
            let actual = port == 0 ? try localPort(descriptor) : port
            return PortReservation(hostIP: hostIP, port: actual, transport: transport, descriptor: descriptor)
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
    }

    private func localPort(_ descriptor: borrowing FileDescriptor) throws(SystemError) -> UInt16 {
        let raw = descriptor.raw
        return UInt16(truncatingIfNeeded: try check("getsockname") { gantry_local_port_ipv4(raw) })
    }
}
