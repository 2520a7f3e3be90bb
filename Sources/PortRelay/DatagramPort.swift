import CLinux
import Glibc
import LinuxSystem

/// A UDP port of either family: a socket towards the target for every sender, through which answers find back to it.
public final class DatagramPort: ForwardedPort {
    private final class Flow {
        let socket: FileDescriptor
        /// Milliseconds.
        var usedAt: UInt64

        init(_ socket: consuming FileDescriptor) {
            self.socket = socket
            usedAt = monotonicMilliseconds()
        }
    }

    /// A socket address of either family.
    private struct Sender: Hashable {
        var address: sockaddr_in6
        var length: socklen_t

        private var bytes: [UInt8] { withUnsafeBytes(of: address) { Array($0.prefix(Int(length))) } }

        static func == (one: Sender, other: Sender) -> Bool { one.bytes == other.bytes }

        func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
    }

    private static let flowsMax = 1024
    private static let datagramsPerTurnMax = 64
    private static let datagramBytesMax = 64 << 10
    /// As docker-proxy.
    private static let silentMillisecondsMax: UInt64 = 90_000

    private let socket: FileDescriptor
    private let loop: EventLoop
    private let target: UInt32
    private let port: UInt16
    private var flows: [Sender: Flow] = [:]
    private var buffer = [UInt8](repeating: 0, count: datagramBytesMax)

    /// `target`: an IPv4 address in host order.
    public init(_ socket: consuming FileDescriptor, loop: EventLoop, target: UInt32, port: UInt16) throws(SystemError) {
        let raw = socket.raw
        self.socket = socket
        (self.loop, self.target, self.port) = (loop, target, port)
        try loop.add(raw, EPOLLIN.rawValue) { [unowned self] _ in receive() }
    }

    public func end() {
        loop.remove(socket.raw)
        for flow in flows.values { loop.remove(flow.socket.raw) }
        flows = [:]
    }

    public func sweep() {
        let now = monotonicMilliseconds()
        for (sender, flow) in flows where now - flow.usedAt > Self.silentMillisecondsMax { forget(sender) }
    }

    private func forget(_ sender: Sender) {
        guard let flow = flows.removeValue(forKey: sender) else { return }
        loop.remove(flow.socket.raw)
    }

    private func receive() {
        for _ in 0..<Self.datagramsPerTurnMax {
            var sender = Sender(address: sockaddr_in6(), length: 0)
            let count = gantry_receive_from(socket.raw, &buffer, buffer.count, &sender.address, &sender.length)
            guard count >= 0 else { return }
            // A datagram may be lost anywhere on its way; here it is for want of descriptors.
            guard let flow = try? flow(of: sender) else { continue }
            flow.usedAt = monotonicMilliseconds()
            _ = send(flow.socket.raw, buffer, count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
    }

    private func flow(of sender: Sender) throws(SystemError) -> Flow {
        if let known = flows[sender] { return known }
        if flows.count >= Self.flowsMax, let oldest = flows.min(by: { $0.value.usedAt < $1.value.usedAt }) {
            forget(oldest.key)
        }
        let made = FileDescriptor(owning: try check("socket") { gantry_ipv4_socket(0) })
        let raw = made.raw
        try check("connect") { gantry_connect_ipv4(raw, target.bigEndian, port) }
        let flow = Flow(made)
        try loop.add(raw, EPOLLIN.rawValue) { [unowned self] _ in answer(sender) }
        flows[sender] = flow
        return flow
    }

    private func answer(_ sender: Sender) {
        guard let flow = flows[sender] else { return }
        for _ in 0..<Self.datagramsPerTurnMax {
            let count = recv(flow.socket.raw, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count >= 0 else {
                // ECONNREFUSED: nobody listens in the container; the next datagram may find somebody.
                return
            }
            flow.usedAt = monotonicMilliseconds()
            var receiver = sender.address
            _ = gantry_send_to(socket.raw, buffer, count, &receiver, sender.length)
        }
    }
}
