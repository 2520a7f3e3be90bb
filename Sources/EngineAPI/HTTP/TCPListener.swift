import CLinux
import Glibc
import LinuxSystem

/// A numeric address and a port to listen on: `127.0.0.1:9323`, `[::1]:9323`.
public struct TCPAddress: Equatable, Sendable, CustomStringConvertible {
    public var host: String
    /// 0 takes a free one.
    public var port: UInt16
    public var isV6: Bool

    /// `nil` when it is no such address. Names are none: what they stand for may change.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        isV6 = host.hasPrefix("[") && host.hasSuffix("]")
        if isV6 { host = host.dropFirst().dropLast() }
        self.host = String(host)
        self.port = port
        var four = in_addr()
        var six = in6_addr()
        guard (isV6 ? inet_pton(AF_INET6, self.host, &six) : inet_pton(AF_INET, self.host, &four)) == 1 else {
            return nil
        }
    }

    public static func loopback(port: UInt16) -> TCPAddress {
        TCPAddress(host: "127.0.0.1", port: port, isV6: false)
    }

    private init(host: String, port: UInt16, isV6: Bool) { (self.host, self.port, self.isV6) = (host, port, isV6) }

    public var description: String { isV6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Makes a listening TCP socket.
enum TCPListener {
    static func make(_ address: TCPAddress) throws(SystemError) -> FileDescriptor {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let family = address.isV6 ? AF_INET6 : AF_INET
        let socket = FileDescriptor(owning: try check("socket") { Glibc.socket(family, type, 0) })
        let raw = socket.raw
        var on: Int32 = 1
        try check("setsockopt") {
            setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        if address.isV6 {
            var six = sockaddr_in6()
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = address.port.bigEndian
            inet_pton(AF_INET6, address.host, &six.sin6_addr)  // Checked when the address was read.
            try bind(raw, six, address)
        } else {
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = address.port.bigEndian
            inet_pton(AF_INET, address.host, &four.sin_addr)  // As above.
            try bind(raw, four, address)
        }
        try check("listen", path: "\(address)") { listen(raw, HTTPLimits.listenBacklog) }
        return socket
    }

    /// The port that the kernel chose.
    static func port(of raw: Int32) throws(SystemError) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        try check("getsockname") {
            withUnsafeMutablePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    getsockname(raw, __SOCKADDR_ARG(__sockaddr__: $0), &length)
                }
            }
        }
        // Family and port are the first members of both kinds.
        return withUnsafeBytes(of: &storage) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
    }

    private static func bind<Address>(_ raw: Int32, _ address: Address, _ place: TCPAddress) throws(SystemError) {
        try check("bind", path: "\(place)") {
            withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<Address>.size))
                }
            }
        }
    }
}
