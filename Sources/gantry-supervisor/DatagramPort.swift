import CLinux
import Glibc
import LinuxSystem

/// A UDP port: a socket inside for every sender, through which answers find back to it.
final class DatagramPort: ForwardedPort {
    private final class Flow {
        let socket: FileDescriptor
        var usedAt: UInt64

        init(_ socket: consuming FileDescriptor) {
            self.socket = socket
            usedAt = Clock.monotonic()
        }
    }

    private struct Sender: Hashable {
        /// Network order.
        var address: UInt32
        var port: UInt16
    }

    private static let flowsMax = 1024
    private static let datagramsPerTurnMax = 64
    private static let datagramBytesMax = 64 << 10
    /// As docker-proxy.
    private static let silentNanosecondsMax: UInt64 = 90_000_000_000

    private let socket: FileDescriptor
    private let loop: EventLoop
    private let target: UInt32
    private let port: UInt16
    private var flows: [Sender: Flow] = [:]
    private var buffer = [UInt8](repeating: 0, count: datagramBytesMax)

    /// `target`: host order.
    init(_ socket: consuming FileDescriptor, loop: EventLoop, target: UInt32, port: UInt16) throws(SystemError) {
        let raw = socket.raw
        self.socket = socket
        (self.loop, self.target, self.port) = (loop, target, port)
        try loop.add(raw, EPOLLIN.rawValue) { [unowned self] _ in receive() }
    }

    func end() {
        loop.remove(socket.raw)
        for flow in flows.values { loop.remove(flow.socket.raw) }
        flows = [:]
    }

    func sweep() {
        let now = Clock.monotonic()
        for (sender, flow) in flows where now - flow.usedAt > Self.silentNanosecondsMax { forget(sender) }
    }

    private func forget(_ sender: Sender) {
        guard let flow = flows.removeValue(forKey: sender) else { return }
        loop.remove(flow.socket.raw)
    }

    private func receive() {
        for _ in 0..<Self.datagramsPerTurnMax {
            var sender = Sender(address: 0, port: 0)
            let count = gantry_receive_ipv4(socket.raw, &buffer, buffer.count, &sender.address, &sender.port)
            guard count >= 0 else { return }
            // A datagram may be lost anywhere on its way; here it is for want of descriptors.
            guard let flow = try? flow(of: sender) else { continue }
            flow.usedAt = Clock.monotonic()
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
            flow.usedAt = Clock.monotonic()
            _ = gantry_send_ipv4(socket.raw, buffer, count, sender.address, sender.port)
        }
    }
}
