import CLinux
import Glibc
import LinuxSystem

/// A resolver that a resolv.conf names, as questions of containers are passed on to it.
public struct HostResolver: Sendable, CustomStringConvertible {
    /// Milliseconds that it gets for its answer.
    private static let answerMillisecondsMax: Int32 = 1000

    private let address: ResolverAddress

    /// The resolvers that are asked, in the file's order; no more than are asked (resolv.conf(5): three).
    public static func list(_ resolvConf: [UInt8]) -> [HostResolver] {
        ResolvConf(resolvConf).servers.map { HostResolver(address: $0) }
    }

    /// As the file has it.
    public var description: String { address.description }

    /// Asks for the name servers of the root, which every resolver knows (RFC 1035 section 4.1). Takes up to a second.
    public func answers() -> Bool {
        // Whatever fails here (no route, no such family) is no answer.
        do throws(SystemError) { return try ask() } catch { return false }
    }

    private func ask() throws(SystemError) -> Bool {
        let socket = try DNSSocket.connected(to: address, isDatagram: true)
        let raw = socket.raw
        let identity = UInt16.random(in: .min ... .max)
        // Recursion desired, one question: the root, NS, IN.
        let query: [UInt8] =
            [UInt8(identity >> 8), UInt8(identity & 0xff), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + [0, 0, 2, 0, 1]
        _ = try DNSSocket.send(raw, query[...])
        var entry = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
        guard try check("poll", { poll(&entry, 1, Self.answerMillisecondsMax) }) > 0 else { return false }
        let answer = try DNSSocket.receive(raw, byteCountMax: 512)
        return answer.count >= 12 && answer[0] == query[0] && answer[1] == query[1] && answer[2] & 0x80 != 0
    }
}
