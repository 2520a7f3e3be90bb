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
    static let receiveBufferByteCount: Int32 = 4 << 20
    /// Seconds to wait for an answer that the kernel always gives at once.
    static let answerTimeoutSeconds = 30
    static let dumpAttemptsMax = 8

    public init(_ subsystem: NetlinkProtocol) throws(NetlinkError) {
        do {
            let descriptor = FileDescriptor(
                owning: try check("socket") {
                    socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | O_CLOEXEC, subsystem.number)
                })
            let raw = descriptor.raw
            for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK] {
                try setOption(raw, SOL_NETLINK, option, 1)
            }
            try setBuffer(raw, force: SO_SNDBUFFORCE, plain: SO_SNDBUF, Self.sendBufferByteCount)
            try setBuffer(raw, force: SO_RCVBUFFORCE, plain: SO_RCVBUF, Self.receiveBufferByteCount)
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
                for message in try receive() where message.sequence &- first < UInt32(request.messageCount) {
                    if message.type == NLMSG_ERROR {
                        try Acknowledgement(message).check(operation)
                        if message.sequence == acknowledged { return answers }
                    } else {
                        answers.append(message)
                    }
                }
            }
        }
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
                for message in try receive() where message.sequence == mine {
                    if message.type == NLMSG_ERROR { try Acknowledgement(message).check(operation) }
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
                for message in try receive() where message.sequence == mine {
                    interrupted = interrupted || message.has(NLM_F_DUMP_INTR)
                    if message.type == NLMSG_ERROR {
                        try Acknowledgement(message).check(operation)
                    } else if message.type == NLMSG_DONE {
                        try Acknowledgement(done: message).check(operation)
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
    private func receive() throws(NetlinkError) -> [NetlinkMessage] {
        let raw = descriptor.raw
        while true {
            var sender: UInt32 = 0
            var received = -1
            var failure: Int32 = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.receiveByteCountMax) { buffer, count in
                repeat {
                    received = gantry_recvfrom_netlink(raw, buffer.baseAddress, buffer.count, 0, &sender)
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

/// `NLMSG_ERROR` or `NLMSG_DONE`: an errno (zero or negative) and the kernel's words. `struct nlmsgerr`.
struct Acknowledgement: Equatable {
    /// Positive errno, 0 for success.
    var code: Int32
    var reason: String?

    init(_ message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        code = 0 &- (try cursor.native(Int32.self))
        guard message.has(NLM_F_ACK_TLVS) else { return }
        let length = Int(try cursor.native(UInt32.self))
        try cursor.skip(MessageBuilder.headerByteCount - 4)
        if !message.has(NLM_F_CAPPED) { try cursor.skip((length + 3) & ~3 - MessageBuilder.headerByteCount) }
        reason = try Attribute.parse(cursor.rest)[of: NLMSGERR_ATTR_MSG]?.string
    }

    init(done message: NetlinkMessage) throws(NetlinkError) {
        var cursor = ByteCursor(message.payload)
        // nfnetlink's batches end without the number; a dump's end has it.
        code = message.payload.count < 4 ? 0 : 0 &- (try cursor.native(Int32.self))
        if message.has(NLM_F_ACK_TLVS) { reason = try Attribute.parse(cursor.rest)[of: NLMSGERR_ATTR_MSG]?.string }
    }

    func check(_ operation: String) throws(NetlinkError) {
        if code != 0 { throw .refused(operation: operation, code: code, reason: reason) }
    }
}
