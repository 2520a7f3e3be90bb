import CLinux
import Glibc
import LinuxSystem

/// A question of a container on its way to other servers.
final class DNSForward {
    enum Client {
        case datagram(SharedDescriptor, sockaddr_in)
        case connection(UInt64)

        var isDatagram: Bool { if case .datagram = self { true } else { false } }
    }

    let client: Client
    let listener: UInt64
    let query: DNSQuery
    let packet: [UInt8]
    let servers: [ResolverAddress]
    var attemptCount = 0
    /// A server's refusal, for the client when no other server knows better.
    var refusal: [UInt8]?
    var token: UInt64 = 0
    var id: UInt16 = 0
    var socket: SharedDescriptor?
    /// TCP: what is still to be sent, and what came.
    var outgoing = DNSStreamBuffer()
    var incoming = DNSStreamBuffer()

    init(client: Client, listener: UInt64, query: DNSQuery, packet: [UInt8], servers: [ResolverAddress]) {
        self.client = client
        self.listener = listener
        self.query = query
        self.packet = packet
        self.servers = servers
    }

    var attemptCountMax: Int { max(servers.count, DNSLimits.attemptCountMin) }

    /// The client's packet under an id of its own.
    var renumberedPacket: [UInt8] {
        var writer = DNSWriter(bytes: packet)
        writer.set(word: id, at: 0)
        return writer.bytes
    }

    enum Verdict: Equatable {
        /// For the client, under its own id.
        case answer([UInt8])
        /// This server cannot say; another may.
        case refused([UInt8])
        /// Not an answer to our question: somebody guesses.
        case foreign
    }

    /// Whether a message answers the question: a response with our id and the same question (RFC 5452 section 9.1).
    func judge(_ message: [UInt8]) -> Verdict {
        guard let header = DNSHeader(message), header.isResponse, header.id == id else { return .foreign }
        let failures = [DNSCode.serverFailure, .refused, .notImplemented, .formatError].map(\.rawValue)
        let isFailure = failures.contains(header.code)
        if header.questionCount == 1 {
            guard let (question, _) = DNSQuestion.read(message), question == query.question else { return .foreign }
        } else {
            // Servers may leave the question out of a failure, and out of nothing else.
            guard header.questionCount == 0, isFailure else { return .foreign }
        }
        var writer = DNSWriter(bytes: message)
        writer.set(word: query.id, at: 0)
        return isFailure ? .refused(writer.bytes) : .answer(writer.bytes)
    }
}

extension DNSLoop {
    func forward(
        _ query: DNSQuery, _ packet: [UInt8], client: DNSForward.Client, listener: UInt64, servers: [ResolverAddress]
    ) {
        guard !servers.isEmpty, forwards.count < DNSLimits.inFlightCountMax,
            inFlightCounts[listener, default: 0] < DNSLimits.inFlightPerScopeCountMax
        else { return deliver(failure(query, client), to: client) }
        inFlightCounts[listener, default: 0] += 1
        if case .connection(let token) = client { connections[token]?.inFlightCount += 1 }
        tryNextServer(
            DNSForward(client: client, listener: listener, query: query, packet: packet, servers: servers))
    }

    private func failure(_ query: DNSQuery, _ client: DNSForward.Client) -> [UInt8] {
        let byteCountMax = client.isDatagram ? query.datagramByteCountMax : DNSLimits.messageByteCountMax
        return DNSReply.answer(query, .serverFailure, byteCountMax: byteCountMax)
    }

    /// Asks the next server, on a new socket and under a new id; answers the client when there is none left.
    func tryNextServer(_ forward: DNSForward) {
        detach(forward)
        while forward.attemptCount < forward.attemptCountMax {
            let server = forward.servers[forward.attemptCount % forward.servers.count]
            forward.attemptCount += 1
            do {
                return try ask(server, forward)
            } catch {
                // Unreachable, or no descriptor to be had: the next attempt may fare better.
                detach(forward)
            }
        }
        let reply = forward.refusal ?? failure(forward.query, forward.client)
        end(forward)
        deliver(reply, to: forward.client)
    }

    private func ask(_ server: ResolverAddress, _ forward: DNSForward) throws(SystemError) {
        let isDatagram = forward.client.isDatagram
        let socket = SharedDescriptor(try DNSSocket.connected(to: server, isDatagram: isDatagram))
        forward.id = UInt16.random(in: 0...UInt16.max)
        forward.token = registry.makeToken()
        forward.socket = socket
        if isDatagram {
            _ = try DNSSocket.send(socket.raw, forward.renumberedPacket[...])
        } else {
            forward.incoming = DNSStreamBuffer()
            forward.outgoing = DNSStreamBuffer()
            forward.outgoing.append(message: forward.renumberedPacket)
        }
        try registry.watch(socket.raw, token: forward.token, writable: !isDatagram)
        forwards[forward.token] = forward
        forwardDeadlines.push(forward.token, monotonicMilliseconds())
    }

    /// Closes the forward's socket.
    private func detach(_ forward: DNSForward) {
        forwards[forward.token] = nil
        if let socket = forward.socket { registry.unwatch(socket.raw) }
        forward.socket = nil
    }

    /// Forgets a question, answered or not.
    func end(_ forward: DNSForward) {
        detach(forward)
        let count = inFlightCounts[forward.listener, default: 0] - 1
        inFlightCounts[forward.listener] = count > 0 ? count : nil
        if case .connection(let token) = forward.client { connections[token]?.inFlightCount -= 1 }
    }

    /// The server's socket has something to say.
    func advance(_ forward: DNSForward) {
        guard let socket = forward.socket else { return }
        do {
            if forward.client.isDatagram {
                judge(try DNSSocket.receive(socket.raw, byteCountMax: DNSLimits.messageByteCountMax), forward)
            } else {
                try advanceStream(forward, socket.raw)
            }
        } catch {
            // ECONNREFUSED and the like: nobody there.
            if error.code != EAGAIN, error.code != EINTR { tryNextServer(forward) }
        }
    }

    private func advanceStream(_ forward: DNSForward, _ raw: Int32) throws(SystemError) {
        if !forward.outgoing.bytes.isEmpty {
            forward.outgoing.removeFirst(try DNSSocket.send(raw, forward.outgoing.bytes[...]))
            if forward.outgoing.bytes.isEmpty {
                try registry.change(raw, token: forward.token, readable: true, writable: false)
            }
            return
        }
        let bytes = try DNSSocket.receive(raw, byteCountMax: DNSLimits.messageByteCountMax)
        guard !bytes.isEmpty else { return tryNextServer(forward) }
        forward.incoming.append(bytes)
        if let message = forward.incoming.nextMessage() { judge(message, forward) }
    }

    private func judge(_ message: [UInt8], _ forward: DNSForward) {
        switch forward.judge(message) {
        case .foreign:
            // Over TCP nobody else can have sent it: the server is of no use. Over UDP the right answer may still come.
            if !forward.client.isDatagram { tryNextServer(forward) }
        case .refused(let reply):
            forward.refusal = reply
            tryNextServer(forward)
        case .answer(let reply):
            end(forward)
            deliver(reply, to: forward.client)
        }
    }
}
