import CLinux
import Glibc
import InternetAddress
import LinuxSystem

/// Listeners on the host's IPv6 that stand in for containers: the kernel translates neither `::1` nor IPv6 to IPv4. A
/// connection goes on to the same port of an address of 127.0.0.0/8, where the firewall's table picks the container.
public protocol PortRelays: Sendable {
    /// - Throws: EADDRINUSE when another program has the port, EAFNOSUPPORT or EADDRNOTAVAIL without IPv6.
    func open(address: IPv6Address, port: UInt16, transport: Transport, target: IPv4Address) throws(SystemError)
    func close(address: IPv6Address, port: UInt16, transport: Transport, target: IPv4Address)
}

/// A port of the host's IPv6 that is relayed for as long as this lives.
public final class PortRelay: Sendable {
    private let relays: any PortRelays
    private let address: IPv6Address
    private let port: UInt16
    private let transport: Transport
    private let target: IPv4Address

    fileprivate init(
        _ relays: any PortRelays, _ address: IPv6Address, _ port: UInt16, _ transport: Transport, _ target: IPv4Address
    ) {
        (self.relays, self.address, self.port, self.transport) = (relays, address, port, transport)
        self.target = target
    }

    deinit { relays.close(address: address, port: port, transport: transport, target: target) }
}

extension NetworkManager {
    /// Where ports lead that are published on `::1` or `::` and not in IPv4: nobody else listens on this address of the
    /// loopback network, and nobody but the host gets to it.
    public static let relayedAddress = IPv4Address(value: 0x7fff_0006)

    /// Relays a port of `::1` or `::`; `nil` where nothing can be relayed: without IPv6, for SCTP, or when the host's
    /// ports are in another namespace.
    ///
    /// - Throws: `NetworkError.portInUse` when another program listens there.
    public func relayPort(
        address: IPv6Address, port: UInt16, transport: Transport, target: IPv4Address = .loopback
    ) throws(NetworkError) -> PortRelay? {
        guard let relays = portRelays, hostPorts == nil, hasIPv6, transport != .sctp else { return nil }
        do throws(SystemError) {
            try relays.open(address: address, port: port, transport: transport, target: target)
        } catch {
            switch error.code {
            case EADDRINUSE: throw .portInUse(hostIP: nil, port: port, transport: transport)
            case EAFNOSUPPORT, EADDRNOTAVAIL: return nil
            default: throw .system(error)
            }
        }
        return PortRelay(relays, address, port, transport, target)
    }
}
