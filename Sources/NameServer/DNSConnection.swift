import CLinux
import Glibc
import LinuxSystem

/// A container's TCP connection (RFC 7766): questions in, answers out in the order they are ready.
final class DNSConnection {
    let token: UInt64
    let listener: UInt64
    let socket: SharedDescriptor
    var incoming = DNSStreamBuffer()
    var outgoing = DNSStreamBuffer()
    var inFlightCount = 0
    /// Whether something came since the last look.
    var isActive = true
    var inputEnded = false
    var waitsForRoom = false

    init(token: UInt64, listener: UInt64, socket: SharedDescriptor) {
        self.token = token
        self.listener = listener
        self.socket = socket
    }

    var isDone: Bool { inputEnded && inFlightCount == 0 && outgoing.bytes.isEmpty }
}

extension NameServer {
    func accept(_ listener: DNSListener) {
        let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        for _ in 0..<DNSLimits.connectionsPerScopeCountMax {
            let raw = accept4(listener.tcp.raw, __SOCKADDR_ARG(__sockaddr__: nil), nil, flags)
            guard raw >= 0 else {
                if errno == EMFILE || errno == ENFILE { shed(listener) }
                return
            }
            let socket = SharedDescriptor(FileDescriptor(owning: raw))
            guard listener.connectionCount < DNSLimits.connectionsPerScopeCountMax else {
                continue
            }
            let connection = DNSConnection(token: makeToken(), listener: listener.udpToken, socket: socket)
            do {
                try watch(raw, token: connection.token)
            } catch {
                continue  // No room in the set: the connection is closed, the client asks again.
            }
            connections[connection.token] = connection
            listener.connectionCount += 1
            noteDeadline(connection)
        }
    }

    /// With no descriptor free, a connection that waits to be accepted would wake the thread for ever: the spare one
    /// takes it, to close it.
    private func shed(_ listener: DNSListener) {
        spare = nil
        let raw = accept4(listener.tcp.raw, __SOCKADDR_ARG(__sockaddr__: nil), nil, Int32(SOCK_CLOEXEC.rawValue))
        if raw >= 0 { Glibc.close(raw) }
        openSpare()
    }

    func openSpare() {
        do {
            spare = SharedDescriptor(try FileDescriptor.open("/dev/null", O_RDONLY))
        } catch {
            // Without one the thread is busier for as long as descriptors are short, and nothing worse.
            spare = nil
        }
    }

    func close(_ connection: DNSConnection) {
        guard connections.removeValue(forKey: connection.token) != nil else { return }
        unwatch(connection.socket.raw)
        listeners[connection.listener]?.connectionCount -= 1
        guard connection.inFlightCount > 0 else { return }
        dropWaiters { if case .connection(connection.token) = $0.client { true } else { false } }
    }

    func serve(_ connection: DNSConnection, failed: Bool) {
        if failed { return close(connection) }
        if connection.waitsForRoom { flush(connection) }
        guard connections[connection.token] != nil, !connection.inputEnded else { return }
        do {
            let bytes = try DNSSocket.receive(
                connection.socket.raw, byteCountMax: DNSLimits.questionByteCountMax)
            connection.isActive = true
            connection.inputEnded = bytes.isEmpty
            connection.incoming.append(bytes)
        } catch {
            if error.code != EAGAIN, error.code != EINTR { close(connection) }
            return
        }
        takeQuestions(connection)
        if connection.isDone { return close(connection) }
        // The end of the input would be reported for ever: it is watched for no more.
        if connection.inputEnded { updateInterest(connection) }
    }

    private func takeQuestions(_ connection: DNSConnection) {
        guard let listener = listeners[connection.listener] else { return close(connection) }
        while connections[connection.token] != nil {
            if let count = connection.incoming.nextMessageByteCount, count > DNSLimits.questionByteCountMax {
                return close(connection)
            }
            guard let packet = connection.incoming.nextMessage() else { return }
            take(packet, listener, connection)
        }
    }

    /// Sends what the client takes, and waits for room when it takes no more.
    func flush(_ connection: DNSConnection) {
        do {
            while !connection.outgoing.bytes.isEmpty {
                connection.outgoing.removeFirst(
                    try DNSSocket.send(connection.socket.raw, connection.outgoing.bytes[...]))
            }
        } catch {
            guard error.code == EAGAIN, connection.outgoing.bytes.count <= DNSLimits.unreadReplyByteCountMax else {
                return close(connection)
            }
        }
        if connection.isDone { return close(connection) }
        let waits = !connection.outgoing.bytes.isEmpty
        guard waits != connection.waitsForRoom else { return }
        connection.waitsForRoom = waits
        updateInterest(connection)
    }

    private func updateInterest(_ connection: DNSConnection) {
        do {
            try change(
                connection.socket.raw, token: connection.token, readable: !connection.inputEnded,
                writable: connection.waitsForRoom)
        } catch {
            close(connection)
        }
    }
}
