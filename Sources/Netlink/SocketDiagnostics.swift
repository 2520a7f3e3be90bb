import CLinux
import Glibc

/// A socket of this network namespace, bound or connected (`struct inet_diag_msg`, sock_diag(7)).
public struct SocketEntry: Hashable, Sendable {
    /// `AF_INET` or `AF_INET6`.
    public var family: UInt8
    /// IANA number.
    public var transport: UInt8
    public var state: State
    /// Four or sixteen bytes; all zero when it is bound to every address.
    public var localAddress: AddressBytes
    public var localPort: UInt16
    public var remoteAddress: AddressBytes
    public var remotePort: UInt16
    /// Index of the interface it is bound to.
    public var interfaceIndex: Int32?
    /// Of the process that made it, in the reader's user namespace.
    public var userID: UInt32
    /// As `/proc/PID/fd/N` shows it; 0 when no process has it open any more.
    public var inode: UInt32
    /// Bytes; for a listener, the connections that wait to be accepted.
    public var receiveQueue: UInt32
    /// Bytes; for a listener, how many may wait.
    public var sendQueue: UInt32
    /// An IPv6 socket that takes no IPv4 (`IPV6_V6ONLY`); `nil` when it was not reported.
    public var isV6Only: Bool?

    /// `TCP_*`; also of other protocols: unconnected UDP sockets are `closed`, connected ones `established`.
    public enum State: UInt8, Sendable, CaseIterable {
        case established = 1
        case synSent, synReceived, finWait1, finWait2, timeWait, closed, closeWait, lastACK, listen, closing
        case newSynReceived
        case bound

        /// In a mask of states.
        public var bit: UInt32 { 1 << UInt32(rawValue) }
    }

    /// Reads an answer to `SOCK_DIAG_BY_FAMILY`.
    init(_ message: NetlinkMessage, transport: UInt8) throws(NetlinkError) {
        self.transport = transport
        var cursor = ByteCursor(message.payload)
        family = try cursor.native()
        let stateNumber: UInt8 = try cursor.native()
        guard let state = State(rawValue: stateNumber) else { throw .malformed("socket state \(stateNumber)") }
        self.state = state
        try cursor.skip(2)
        localPort = UInt16(bigEndian: try cursor.native())
        remotePort = UInt16(bigEndian: try cursor.native())
        let addressByteCount = Int32(family) == AF_INET6 ? 16 : 4
        localAddress = Array(try cursor.bytes(16).prefix(addressByteCount))
        remoteAddress = Array(try cursor.bytes(16).prefix(addressByteCount))
        let index: Int32 = try cursor.native()
        interfaceIndex = index == 0 ? nil : index
        // The cookie and the timer's end.
        try cursor.skip(12)
        receiveQueue = try cursor.native()
        sendQueue = try cursor.native()
        userID = try cursor.native()
        inode = try cursor.native()
        isV6Only = try Attribute.parse(cursor.rest)[of: INET_DIAG_SKV6ONLY].map { attribute throws(NetlinkError) in
            try attribute.native(UInt8.self) != 0
        }
    }
}

extension MessageBuilder {
    /// `struct inet_diag_req_v2`.
    mutating func socketRequest(family: Int32, transport: UInt8, states: UInt32) {
        appendNative(UInt8(truncatingIfNeeded: family))
        appendNative(transport)
        appendNative(UInt8(0))
        appendNative(UInt8(0))
        appendNative(states)
        // Ports, addresses and interface: any; no cookie.
        append([UInt8](repeating: 0, count: 40))
        appendNative(UInt64.max)
    }
}

extension NetlinkSocket {
    /// Sockets of one family and transport protocol in one of the states; on a socket of `.socketDiagnostics`. Fails
    /// with ENOENT when the kernel cannot list this protocol (its `*_diag` module is missing).
    public func sockets(
        family: Int32, transport: Int32, states: Set<SocketEntry.State> = Set(SocketEntry.State.allCases)
    ) throws(NetlinkError) -> [SocketEntry] {
        let number = UInt8(truncatingIfNeeded: transport)
        let messages = try dump(type: SOCK_DIAG_BY_FAMILY.type16, operation: "list sockets") {
            $0.socketRequest(family: family, transport: number, states: states.reduce(0) { $0 | $1.bit })
        }
        var sockets: [SocketEntry] = []
        for message in messages where message.type == SOCK_DIAG_BY_FAMILY.type16 {
            sockets.append(try SocketEntry(message, transport: number))
        }
        return sockets
    }
}
