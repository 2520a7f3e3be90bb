import CLinux
import Glibc
import InternetAddress
import LinuxSystem

/// Listeners on the host's IPv6 that stand in for containers: the kernel translates neither `::1` nor IPv6 to IPv4. A
/// connection goes on to the same port of 127.0.0.1, where the firewall's table picks the container.
public protocol PortRelays: Sendable {
    /// - Throws: EADDRINUSE when another program has the port, EAFNOSUPPORT or EADDRNOTAVAIL without IPv6.
    func open(address: IPv6Address, port: UInt16, transport: Transport) throws(SystemError)
    func close(address: IPv6Address, port: UInt16, transport: Transport)
}

/// A port of the host's IPv6 that is relayed for as long as this lives.
public final class PortRelay: Sendable {
    private let relays: any PortRelays
    private let address: IPv6Address
    private let port: UInt16
    private let transport: Transport

    fileprivate init(_ relays: any PortRelays, _ address: IPv6Address, _ port: UInt16, _ transport: Transport) {
        (self.relays, self.address, self.port, self.transport) = (relays, address, port, transport)
    }

    deinit { relays.close(address: address, port: port, transport: transport) }
}

extension NetworkManager {
    /// Relays a port of `::1` or `::`; `nil` where nothing can be relayed: without IPv6, for SCTP, or when the host's
    /// ports are in another namespace.
    ///
    /// - Throws: `NetworkError.portInUse` when another program listens there.
    public func relayPort(
        address: IPv6Address, port: UInt16, transport: Transport
    ) throws(NetworkError) -> PortRelay? {
        guard let relays = portRelays, hostPorts == nil, hasIPv6, transport != .sctp else { return nil }
        do throws(SystemError) {
            try relays.open(address: address, port: port, transport: transport)
        } catch {
            switch error.code {
            case EADDRINUSE: throw .portInUse(hostIP: nil, port: port, transport: transport)
            case EAFNOSUPPORT, EADDRNOTAVAIL: return nil
            default: throw .system(error)
            }
        }
        return PortRelay(relays, address, port, transport)
    }
}
