import CLinux
import Glibc
import InternetAddress
import LinuxSystem

/// Milliseconds that a resolver gets for its answer.
private let answerTimeoutMilliseconds: Int32 = 1000

/// Asks for the name servers of the root, which every resolver knows. RFC 1035 section 4.1.
func answersQueries(_ resolver: IPAddress) -> Bool {
    // Whatever fails here (no route, no such family) is no answer.
    do throws(SystemError) { return try ask(resolver) } catch { return false }
}

private func ask(_ resolver: IPAddress) throws(SystemError) -> Bool {
    let family = resolver.isV6 ? AF_INET6 : AF_INET
    let socket = FileDescriptor(
        owning: try check("socket") {
            Glibc.socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        })
    let raw = socket.raw
    try check("connect") { connectTo(raw, resolver) }
    let identity = UInt16.random(in: .min ... .max)
    // Recursion desired, one question: the root, NS, IN.
    let query: [UInt8] =
        [UInt8(identity >> 8), UInt8(identity & 0xff), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + [0, 0, 2, 0, 1]
    try check("send") { query.withUnsafeBytes { send(raw, $0.baseAddress, $0.count, 0) } }
    var entry = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
    guard try check("poll", { poll(&entry, 1, answerTimeoutMilliseconds) }) > 0 else { return false }
    var answer = [UInt8](repeating: 0, count: 512)
    let count = try check("recv") { answer.withUnsafeMutableBytes { recv(raw, $0.baseAddress, $0.count, 0) } }
    return count >= 12 && answer[0] == query[0] && answer[1] == query[1] && answer[2] & 0x80 != 0
}

private func connectTo(_ raw: Int32, _ resolver: IPAddress) -> Int32 {
    let port = UInt16(53).bigEndian
    let bytes = resolver.bytes
    guard resolver.isV6 else {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port
        withUnsafeMutableBytes(of: &address.sin_addr) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                gantry_connect(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port
    withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: bytes) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            gantry_connect(raw, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
        }
    }
}
