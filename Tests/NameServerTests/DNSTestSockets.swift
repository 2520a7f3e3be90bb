import CLinux
import Glibc
import LinuxSystem

@testable import NameServer

/// Sockets as the supervisor makes them in a container's namespace.
extension DNSSocket {
    /// A UDP socket bound to `address` (host order) in the calling thread's network namespace.
    static func udpListener(address: UInt32, port: UInt16) throws(SystemError) -> FileDescriptor {
        let socket = FileDescriptor(owning: try check("socket") { gantry_ipv4_socket(0) })
        let raw = socket.raw
        try check("bind") { gantry_bind_ipv4(raw, address.bigEndian, port) }
        return socket
    }

    /// A TCP socket listening on `address` (host order) in the calling thread's network namespace.
    static func tcpListener(address: UInt32, port: UInt16) throws(SystemError) -> FileDescriptor {
        let socket = FileDescriptor(owning: try check("socket") { gantry_ipv4_socket(1) })
        let raw = socket.raw
        try check("bind") { gantry_bind_ipv4(raw, address.bigEndian, port) }
        try check("listen") { listen(raw, 64) }
        return socket
    }

    /// One datagram and its sender into `buffer`; throws EAGAIN when there is none.
    static func receive(
        _ raw: Int32, into buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> (packet: [UInt8], sender: sockaddr_in) {
        var sender = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = try check("recvfrom") {
            withUnsafeMutablePointer(to: &sender) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(raw, buffer.baseAddress, buffer.count, 0, __SOCKADDR_ARG(__sockaddr__: $0), &length)
                }
            }
        }
        return (Array(buffer[..<min(count, buffer.count)]), sender)
    }
}
