import CLinux
import Glibc
import InternetAddress
import LinuxSystem

extension NetworkManager {
    /// Reserves a port on one IPv6 address of the host, as `reservePort` does in IPv4. Port 0 takes a free one.
    /// - Throws: `portInUse` when another program has it.
    public func reservePort6(
        hostIP: IPv6Address, port: UInt16, transport: Transport
    ) throws(NetworkError) -> PortReservation {
        guard hostPorts == nil else { throw .noSuchHostAddress6(hostIP) }
        if hostIP == .loopback || hostIP == .any, port != 0 {
            // Both include the host's own `::1`, which the kernel cannot translate.
            let relay = try relayPort(address: hostIP, port: port, transport: transport, target: Self.relayedAddress)
            if let relay { return PortReservation(port: port, transport: transport, relay: relay) }
        }
        let type = transport == .udp ? Int32(SOCK_DGRAM.rawValue) : Int32(SOCK_STREAM.rawValue)
        do {
            let descriptor = FileDescriptor(
                owning: try check("socket") { socket(AF_INET6, type | O_CLOEXEC, Int32(transport.number)) })
            let actual = try bindIPv6(descriptor.raw, hostIP, port)
            return PortReservation(hostIP: nil, port: actual, transport: transport, descriptor: descriptor)
        } catch {
            switch error.code {
            case EADDRINUSE: throw .portInUse(hostIP: nil, port: port, transport: transport)
            case EADDRNOTAVAIL, EAFNOSUPPORT: throw .noSuchHostAddress6(hostIP)
            default: throw .system(error)
            }
        }
    }
}

/// ipv6(7); answers the port.
private func bindIPv6(_ raw: Int32, _ address: IPv6Address, _ port: UInt16) throws(SystemError) -> UInt16 {
    var one: Int32 = 1
    try check("setsockopt") {
        setsockopt(raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &one, socklen_t(MemoryLayout<Int32>.size))
    }
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_port = port.bigEndian
    withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    try check("bind", path: "[\(address)]:\(port)") {
        withUnsafePointer(to: name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), length)
            }
        }
    }
    try check("getsockname") {
        withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(raw, __SOCKADDR_ARG(__sockaddr__: $0), &length)
            }
        }
    }
    return UInt16(bigEndian: name.sin6_port)
}
