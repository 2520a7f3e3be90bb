import CLinux
import Glibc
import LinuxSystem

/// Where an answer goes.
enum DNSClient {
    /// A datagram's sender, through the listener of this token.
    case datagram(UInt64, sockaddr_in)
    case connection(UInt64)

    var isDatagram: Bool { if case .datagram = self { true } else { false } }

    func byteCountMax(_ query: DNSQuery) -> Int {
        isDatagram ? query.datagramByteCountMax : DNSLimits.messageByteCountMax
    }
}

/// A question on its way to other servers, and everybody who waits for the answer.
final class DNSLookup {
    struct Waiter {
        let client: DNSClient
        let listener: UInt64
        let query: DNSQuery
    }

    let key: DNSLookupKey
    var waiters: [Waiter] = []
    let timeoutMilliseconds: UInt64
    /// Servers that are still to be asked, last first.
    var remaining: [ResolverAddress]
    var server: ResolverAddress?
    /// A server's refusal, for the clients when no other server knows better.
    var refusal: [UInt8]?
    /// What a server said over UDP before it was asked over TCP.
    var truncated: [UInt8]?
    var token: UInt64 = 0
    var id: UInt16 = 0
    var socket: SharedDescriptor?
    var isStream = false
    /// TCP: what is still to be sent, and what came.
    var outgoing = DNSStreamBuffer()
    var incoming = DNSStreamBuffer()

    /// - Parameter order: the servers of the key, the one to be asked first first.
    init(_ key: DNSLookupKey, order: [ResolverAddress], attemptCount: Int, timeoutMilliseconds: UInt64) {
        self.key = key
        self.timeoutMilliseconds = timeoutMilliseconds
        remaining = Array(repeatElement(order, count: attemptCount).joined().reversed())
    }

    /// Our own question: nothing of what a client added to its own travels on.
    var packet: [UInt8] {
        var writer = DNSWriter()
        for word in [id, key.flags, 1, 0, 0, key.hasEDNS ? 1 : 0] { writer.word(word) }
        writer.bytes += key.question.name
        writer.word(key.question.type)
        writer.word(key.question.class)
        guard key.hasEDNS else { return writer.bytes }
        writer.bytes.append(0)
        writer.word(DNSType.opt)
        writer.word(UInt16(DNSLimits.upstreamDatagramByteCountMax))
        writer.word(0)
        writer.word(key.wantsSignatures ? DNSFlags.wantsSignatures : 0)
        writer.word(0)
        return writer.bytes
    }

    enum Verdict: Equatable {
        case answer
        /// The whole answer is to be had over TCP.
        case truncated
        /// This server cannot say; another may.
        case refused
        /// Not an answer to our question: somebody guesses.
        case foreign
    }

    /// Whether a message answers the question: a response with our id and the same question (RFC 5452 section 9.1).
    func judge(_ message: [UInt8]) -> Verdict {
        guard let header = DNSHeader(message), header.isResponse, header.id == id else { return .foreign }
        let failures = [DNSCode.serverFailure, .refused, .notImplemented, .formatError].map(\.rawValue)
        let isFailure = failures.contains(header.code)
        if header.questionCount == 1 {
            guard let (question, _) = DNSQuestion.read(message), question == key.question else { return .foreign }
        } else {
            // Servers may leave the question out of a failure, and out of nothing else.
            guard header.questionCount == 0, isFailure else { return .foreign }
        }
        if isFailure { return .refused }
        return header.flags & DNSFlags.truncated != 0 && !isStream ? .truncated : .answer
    }
}

/// Servers that did not answer: for a while they are asked last.
struct DNSServerHealth {
    private var deadUntil: [ResolverAddress: UInt64] = [:]

    mutating func noteDead(_ server: ResolverAddress, _ now: UInt64) {
        if deadUntil.count >= DNSLimits.deadServerCountMax { deadUntil = deadUntil.filter { $0.value > now } }
        guard deadUntil.count < DNSLimits.deadServerCountMax else { return }
        deadUntil[server] = now + DNSLimits.deadServerMillisecondsMax
    }

    mutating func noteAlive(_ server: ResolverAddress) { if !deadUntil.isEmpty { deadUntil[server] = nil } }

    /// The servers in the order in which they are asked; `turn`: of `rotate`.
    func order(_ servers: [ResolverAddress], turn: Int, _ now: UInt64) -> [ResolverAddress] {
        let start = servers.isEmpty ? 0 : turn % servers.count
        let turned = servers[start...] + servers[..<start]
        guard !deadUntil.isEmpty else { return Array(turned) }
        let isDead: (ResolverAddress) -> Bool = { (deadUntil[$0] ?? 0) > now }
        return turned.filter { !isDead($0) } + turned.filter(isDead)
    }
}
