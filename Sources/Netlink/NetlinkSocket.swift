import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Which kernel subsystem a socket talks to.
public enum NetlinkProtocol: Sendable {
    case route
    case netfilter
    /// What sockets there are (sock_diag(7)).
    case socketDiagnostics

    var number: Int32 {
        switch self {
        case .route: NETLINK_ROUTE
        case .netfilter: NETLINK_NETFILTER
        case .socketDiagnostics: NETLINK_SOCK_DIAG
        }
    }
}

/// A netlink socket in the network namespace of the thread that made it. Thread-safe: exchanges are serialised.
public final class NetlinkSocket: Sendable {
    private let descriptor: FileDescriptor
    private let sequence: Mutex<UInt32>
    /// The kernel's name for this socket: events it causes carry it.
    public let portID: UInt32

    /// Bytes one receive takes; the kernel's dump and event datagrams are at most 32 KiB (`NLMSG_GOODSIZE`).
    static let receiveByteCountMax = 64 << 10
    /// Bytes one send may have: about 100,000 set elements.
    static let sendBufferByteCount: Int32 = 32 << 20
    public static let receiveBufferByteCount: Int32 = 4 << 20
    /// Seconds to wait for an answer that the kernel always gives at once.
    static let answerTimeoutSeconds = 30
    static let dumpAttemptsMax = 8

    /// `receiveBufferByteCount`: how much may wait to be read; for sockets of events, what a burst may be before events
    /// are lost. Without CAP_NET_ADMIN net.core.rmem_max bounds it.
    public init(
        _ subsystem: NetlinkProtocol, receiveBufferByteCount: Int32 = NetlinkSocket.receiveBufferByteCount
    ) throws(NetlinkError) {
        do {
            let descriptor = FileDescriptor(
                owning: try check("socket") {
                    socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | O_CLOEXEC, subsystem.number)
                })
            let raw = descriptor.raw
            for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
                try setOption(raw, SOL_NETLINK, option, 1)
            }
            try setBuffer(raw, force: SO_SNDBUFFORCE, plain: SO_SNDBUF, Self.sendBufferByteCount)
            try setBuffer(raw, force: SO_RCVBUFFORCE, plain: SO_RCVBUF, receiveBufferByteCount)
            var timeout = timeval(tv_sec: Self.answerTimeoutSeconds, tv_usec: 0)
            try check("setsockopt") {
                setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
            }
            var address = sockaddr_nl()
            address.nl_family = sa_family_t(AF_NETLINK)
            try check("bind") { gantry_bind_netlink(raw, &address) }
            try check("getsockname") { gantry_getsockname_netlink(raw, &address) }
            portID = address.nl_pid
            self.descriptor = descriptor
            sequence = Mutex(1)
        } catch {
            throw .system(error)
        }
    }

    /// For poll(2).
    public var rawDescriptor: Int32 { descriptor.raw }

    /// Sends the datagram and waits until the kernel has acknowledged it; throws the first refusal.
    public func transact(_ request: MessageBuilder, operation: String) throws(NetlinkError) {
        _ = try exchange(request, operation: operation)
    }

    /// Sends the datagram; answers what the kernel sent back before its acknowledgement.
    @discardableResult
    public func exchange(_ request: MessageBuilder, operation: String) throws(NetlinkError) -> [NetlinkMessage] {
        guard !request.isOversized else { throw .oversized(operation: operation) }
        guard !request.isEmpty else { return [] }
        return try sequence.withLock { next throws(NetlinkError) in
            let first = next
            next = next &+ UInt32(truncatingIfNeeded: request.messageCount)
            let (bytes, acknowledged) = request.datagram(firstSequence: first)
            try send(bytes)
            var answers: [NetlinkMessage] = []
            while true {
                for message in try receive() where isAnswer(message, first, count: request.messageCount) {
                    if message.type == NLMSG_ERROR {
                        let index = Int(message.sequence &- first)
                        try Acknowledgement(message).check(operation, request: request.message(at: index))
                        if message.sequence == acknowledged { return answers }
                    } else {
                        answers.append(message)
                    }
                }
            }
        }
    }

    /// Sends the datagram and waits for the answer to each of its messages: what was refused, or `nil`, in their order
    /// (batch marks left out). The kernel goes on after a refusal, except in a batch, of which then nothing takes
    /// effect.
    public func transactEach(_ request: MessageBuilder, operation: String) throws(NetlinkError) -> [NetlinkError?] {
        guard !request.isOversized else { throw .oversized(operation: operation) }
        let work = request.workIndices
        guard !work.isEmpty else { return [] }
        return try sequence.withLock { next throws(NetlinkError) in
            let first = next
            next = next &+ UInt32(truncatingIfNeeded: request.messageCount)
            try send(request.datagram(firstSequence: first, acknowledgeAll: true).bytes)
            var outcomes: [Int: NetlinkError?] = [:]
            while outcomes.count < work.count {
                for message in try receive() where isAnswer(message, first, count: request.messageCount) {
                    guard message.type == NLMSG_ERROR else { continue }
                    let index = Int(message.sequence &- first)
                    do throws(NetlinkError) {
                        try Acknowledgement(message).check(operation, request: request.message(at: index))
                        outcomes.updateValue(nil, forKey: index)
                    } catch {
                        guard case .refused = error, work.contains(index) else { throw error }
                        outcomes.updateValue(error, forKey: index)
                    }
                }
            }
            return work.map { outcomes[$0] ?? nil }
        }
    }

    /// The kernel's answer to one of `count` messages from the number `first` on, to this socket.
    private func isAnswer(_ message: NetlinkMessage, _ first: UInt32, count: Int) -> Bool {
        message.portID == portID && message.sequence &- first < UInt32(truncatingIfNeeded: count)
    }

    /// Sends one request that is answered by one message.
    public func query(
        type: UInt16, operation: String, _ body: (inout MessageBuilder) -> Void
    ) throws(NetlinkError) -> NetlinkMessage {
        var request = MessageBuilder()
        request.message(type: type, body)
        return try sequence.withLock { next throws(NetlinkError) in
            let mine = next
            next = next &+ 1
            try send(request.unacknowledgedDatagram(sequence: mine))
            while true {
                for message in try receive() where isAnswer(message, mine, count: 1) {
                    if message.type == NLMSG_ERROR {
                        try Acknowledgement(message).check(operation, request: request.bytes[...])
                    }
                    return message
                }
            }
        }
    }

    /// Sends one dump request; answers every entry, asked for again when the kernel says that they changed meanwhile.
    public func dump(
        type: UInt16, operation: String, _ body: (inout MessageBuilder) -> Void
    ) throws(NetlinkError) -> [NetlinkMessage] {
        var request = MessageBuilder()
        request.message(type: type, flags: NLM_F_DUMP, body)
        for _ in 0..<Self.dumpAttemptsMax {
            if let entries = try dumpOnce(request, operation: operation) { return entries }
        }
        throw .dumpInterrupted(operation: operation)
    }

    private func dumpOnce(_ request: MessageBuilder, operation: String) throws(NetlinkError) -> [NetlinkMessage]? {
        try sequence.withLock { next throws(NetlinkError) in
            let mine = next
            next = next &+ 1
            try send(request.unacknowledgedDatagram(sequence: mine))
            var entries: [NetlinkMessage] = []
            var interrupted = false
            while true {
                for message in try receive() where isAnswer(message, mine, count: 1) {
                    interrupted = interrupted || message.has(NLM_F_DUMP_INTR)
                    if message.type == NLMSG_ERROR {
                        try Acknowledgement(message).check(operation, request: request.bytes[...])
                    } else if message.type == NLMSG_DONE {
                        try Acknowledgement(done: message).check(operation, request: request.bytes[...])
                        return interrupted ? nil : entries
                    } else {
                        entries.append(message)
                    }
                }
            }
        }
    }

    // MARK: events

    /// Joins a multicast group (`RTNLGRP_*`, `NFNLGRP_*`).
    public func subscribe(_ group: UInt32) throws(NetlinkError) {
        do {
            try setOption(descriptor.raw, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, Int32(bitPattern: group))
        } catch {
            throw .system(error)
        }
    }

    /// The next datagram of events. Blocks; `.overrun` means that events were lost and everything must be looked at.
    public func receiveEvents() throws(NetlinkError) -> [NetlinkMessage] { try receive() }

    /// The next events, or word that some were lost, waited for at most so long (-1: for ever); `nil` when none came.
    /// After a loss, what else was waiting is thrown away: a dump made now is newer than all of it. Use a socket of its
    /// own for events, so that none is taken for an answer.
    public func nextEvents(timeoutMilliseconds: Int32 = -1) throws(NetlinkError) -> NetlinkEvents? {
        var entry = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
        do {
            let count = try check("poll") { poll(&entry, 1, timeoutMilliseconds) }
            guard count > 0 else { return nil }
        } catch {
            if error.code == EINTR { return nil }
            throw .system(error)
        }
        do throws(NetlinkError) {
            return .messages(try receive(flags: Int32(MSG_DONTWAIT)))
        } catch .overrun {
            try drain()
            return .lost
        } catch {
            // Read by another thread meanwhile.
            if error.code == EAGAIN { return nil }
            throw error
        }
    }

    private func drain() throws(NetlinkError) {
        for _ in 0..<Self.drainedDatagramsMax {
            do throws(NetlinkError) {
                _ = try receive(flags: Int32(MSG_DONTWAIT))
            } catch {
                switch error {
                case .overrun, .malformed: continue
                default: break
                }
                if error.code == EAGAIN { return }
                throw error
            }
        }
    }

    /// More than the largest buffer holds.
    private static let drainedDatagramsMax = 100_000

    // MARK: bytes

    private func send(_ bytes: [UInt8]) throws(NetlinkError) {
        let raw = descriptor.raw
        do {
            try check("sendto") { bytes.withUnsafeBytes { gantry_sendto_kernel(raw, $0.baseAddress, $0.count) } }
        } catch {
            throw .system(error)
        }
    }

    /// One datagram, only from the kernel: another process may send to this port id too.
    private func receive(flags: Int32 = 0) throws(NetlinkError) -> [NetlinkMessage] {
        let raw = descriptor.raw
        while true {
            var sender: UInt32 = 0
            var received = -1
            var failure: Int32 = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.receiveByteCountMax) { buffer, count in
                repeat {
                    received = gantry_recvfrom_netlink(raw, buffer.baseAddress, buffer.count, flags, &sender)
                    failure = received < 0 ? errno : 0
                } while failure == EINTR
                count = max(0, min(received, buffer.count))
            }
            if failure == ENOBUFS { throw .overrun }
            if failure != 0 { throw .system(SystemError("recvfrom", path: nil, code: failure)) }
            guard received <= bytes.count else { throw .malformed("datagram of \(received) bytes is too long") }
            if sender == 0 { return try NetlinkMessage.parse(bytes) }
        }
    }
}

/// What a subscribed socket says.
public enum NetlinkEvents: Equatable, Sendable {
    case messages([NetlinkMessage])
    /// The receive buffer was full: events are missing. Whatever is known from them must be read anew.
    case lost
}

private func setOption(_ raw: Int32, _ level: Int32, _ name: Int32, _ value: Int32) throws(SystemError) {
    var value = value
    try check("setsockopt") { setsockopt(raw, level, name, &value, socklen_t(MemoryLayout<Int32>.size)) }
}

/// Buffer sizes above the system's limit need CAP_NET_ADMIN in the first user namespace; less is taken without it.
private func setBuffer(_ raw: Int32, force: Int32, plain: Int32, _ byteCount: Int32) throws(SystemError) {
    do {
        try setOption(raw, SOL_SOCKET, force, byteCount)
    } catch {
        guard error.code == EPERM else { throw error }
        try setOption(raw, SOL_SOCKET, plain, byteCount)
    }
}

extension MessageBuilder {
    /// For requests whose answer says that they were heard: a message, or the end of a dump.
    func unacknowledgedDatagram(sequence: UInt32) -> [UInt8] {
        var bytes = bytes
        withUnsafeBytes(of: sequence) { raw in
            for (index, byte) in raw.enumerated() where 8 + index < bytes.count { bytes[8 + index] = byte }
        }
        return bytes
    }
}
