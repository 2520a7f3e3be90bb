import CLinux
import Glibc
import LinuxSystem

/// Sockets of the DNS server.
enum DNSSocket {
    private static let openFlags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)

    static func setNonBlocking(_ raw: Int32) throws(SystemError) {
        let flags = try check("fcntl") { gantry_fcntl(raw, F_GETFL, 0) }
        try check("fcntl") { gantry_fcntl(raw, F_SETFL, Int(flags | O_NONBLOCK)) }
    }

    /// A socket connected, or for TCP connecting, to `server`: the kernel picks a random port of its own, and passes on
    /// nothing that comes from elsewhere.
    static func connected(to server: ResolverAddress, isDatagram: Bool) throws(SystemError) -> FileDescriptor {
        let family = if case .v4 = server.ip { AF_INET } else { AF_INET6 }
        let type = Int32(isDatagram ? SOCK_DGRAM.rawValue : SOCK_STREAM.rawValue)
        let descriptor = FileDescriptor(owning: try check("socket") { socket(family, type | openFlags, 0) })
        let raw = descriptor.raw
        do {
            try check("connect") { withSocketAddress(server.ip, port: server.port) { connect(raw, $0, $1) } }
        } catch {
            guard error.code == EINPROGRESS else { throw error }
        }
        return descriptor
    }

    private static func withSocketAddress(
        _ ip: ResolverAddress.IP, port: UInt16, _ body: (__CONST_SOCKADDR_ARG, socklen_t) -> Int32
    ) -> Int32 {
        func call<Address>(_ address: Address) -> Int32 {
            withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body(__CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<Address>.size))
                }
            }
        }
        switch ip {
        case .v4(let value):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = value.bigEndian
            return call(address)
        case .v6(let bytes, let scope):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_scope_id = scope
            withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: bytes.prefix($0.count)) }
            return call(address)
        }
    }

    /// Sends an answer. One that the kernel does not take is lost, as UDP may: the client asks again.
    static func send(_ raw: Int32, _ packet: [UInt8], to receiver: sockaddr_in) {
        _ = withUnsafePointer(to: receiver) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    raw, packet, packet.count, Int32(MSG_NOSIGNAL), __CONST_SOCKADDR_ARG(__sockaddr__: $0),
                    socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Sends what the kernel takes; throws EAGAIN when it takes nothing.
    static func send(_ raw: Int32, _ bytes: ArraySlice<UInt8>) throws(SystemError) -> Int {
        try check("send") {
            bytes.withUnsafeBytes { Glibc.send(raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        }
    }

    /// Empty at the end of a stream; throws EAGAIN when there is nothing yet.
    static func receive(_ raw: Int32, byteCountMax: Int) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: byteCountMax) { buffer, count in
            let received = recv(raw, buffer.baseAddress, byteCountMax, 0)
            if received < 0 { failure = SystemError("recv", code: errno) }
            count = max(received, 0)
        }
        if let failure { throw failure }
        return bytes
    }
}

/// Messages on a TCP stream: each after its length in two bytes (RFC 1035 section 4.2.2).
struct DNSStreamBuffer {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ more: [UInt8]) { bytes += more }

    mutating func append(message: [UInt8]) {
        let length = UInt16(clamping: message.count)
        bytes += [UInt8(length >> 8), UInt8(length & 0xFF)]
        bytes += message.prefix(Int(length))
    }

    /// The length of the first message, when it is there.
    var nextMessageByteCount: Int? { bytes.count >= 2 ? Int(bytes[0]) << 8 | Int(bytes[1]) : nil }

    mutating func nextMessage() -> [UInt8]? {
        guard let count = nextMessageByteCount, bytes.count >= 2 + count else { return nil }
        let message = Array(bytes[2..<(2 + count)])
        bytes.removeFirst(2 + count)
        return message
    }

    mutating func removeFirst(_ count: Int) { bytes.removeFirst(min(count, bytes.count)) }
}
