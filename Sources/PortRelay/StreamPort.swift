import CLinux
import Glibc
import LinuxSystem

/// A port whose traffic goes on to another address.
public protocol ForwardedPort: AnyObject {
    func end()
    /// Forgets what has been silent for long.
    func sweep()
}

/// A TCP port: every connection to it is one more to the same port of another address, where the firewall's table picks
/// the container.
public final class StreamPort: ForwardedPort {
    private static let acceptsPerTurnMax = 64

    private let listener: FileDescriptor
    private let loop: EventLoop
    private let target: UInt32
    private let port: UInt16

    /// `target`: an IPv4 address in host order.
    public init(
        _ listener: consuming FileDescriptor, loop: EventLoop, target: UInt32, port: UInt16
    ) throws(SystemError) {
        let raw = listener.raw
        self.listener = listener
        (self.loop, self.target, self.port) = (loop, target, port)
        try loop.add(raw, EPOLLIN.rawValue) { [unowned self] _ in accept() }
    }

    /// Connections that are open stay open.
    public func end() { loop.remove(listener.raw) }

    public func sweep() {}

    private func accept() {
        for _ in 0..<Self.acceptsPerTurnMax {
            let accepted = gantry_accept_nonblocking(listener.raw)
            guard accepted >= 0 else { return }
            let client = FileDescriptor(owning: accepted)
            do {
                try StreamRelay.start(client, loop: loop, target: target, port: port)
            } catch {
                // Out of descriptors, or nothing answers inside: the client sees its connection end.
                continue
            }
        }
    }
}

/// One forwarded connection: two pipes that the kernel moves data through, none of it copied. splice(2).
final class StreamRelay {
    private struct Lane {
        let from: Int32
        let to: Int32
        let pipe: (read: Int32, write: Int32)
        var pending = 0
        var hasEnded = false
        var isShut = false
    }

    private enum Failure: Error { case broken }

    /// Bytes: a pipe's capacity unless changed. pipe(7).
    private static let chunkBytes = 64 << 10
    private static let roundsPerTurnMax = 16

    private let loop: EventLoop
    private let client: Int32
    private let server: Int32
    private var lanes: [Lane] = []
    private var isConnected = false
    private var isOver = false

    static func start(
        _ client: consuming FileDescriptor, loop: EventLoop, target: UInt32, port: UInt16
    ) throws(SystemError) {
        let server = FileDescriptor(owning: try check("socket") { gantry_ipv4_socket(1) })
        let (clientRaw, serverRaw) = (client.raw, server.raw)
        for socket in [clientRaw, serverRaw] {
            var one: Int32 = 1
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        }
        if gantry_connect_ipv4(serverRaw, target.bigEndian, port) != 0, errno != EINPROGRESS {
            _ = gantry_reset_on_close(clientRaw)
            throw SystemError("connect", code: errno)
        }
        let up = try pipe()
        let down: (read: Int32, write: Int32)
        do {
            down = try pipe()
        } catch {
            close(up.read)
            close(up.write)
            throw error
        }
        try StreamRelay(client.take(), server.take(), up, down, loop).register()
    }

    private static func pipe() throws(SystemError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        try check("pipe2") { pipe2(&ends, O_CLOEXEC | O_NONBLOCK) }
        return (ends[0], ends[1])
    }

    private init(
        _ client: Int32, _ server: Int32, _ up: (read: Int32, write: Int32), _ down: (read: Int32, write: Int32),
        _ loop: EventLoop
    ) {
        (self.client, self.server, self.loop) = (client, server, loop)
        lanes = [Lane(from: client, to: server, pipe: up), Lane(from: server, to: client, pipe: down)]
    }

    /// The loop's handlers keep the relay alive.
    private func register() throws(SystemError) {
        let events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        do throws(SystemError) {
            try loop.add(server, events) { self.serverReady($0) }
            try loop.add(client, events) { _ in self.pump() }
        } catch {
            end(reset: true)
            throw error
        }
    }

    private func serverReady(_ events: UInt32) {
        if !isConnected {
            guard events & (EPOLLOUT.rawValue | EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 else { return }
            var code: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(server, SOL_SOCKET, SO_ERROR, &code, &length)
            guard code == 0, events & EPOLLOUT.rawValue != 0 else { return end(reset: true) }
            isConnected = true
        }
        pump()
    }

    private func pump() {
        guard isConnected, !isOver else { return }
        do throws(Failure) {
            var isUnfinished = false
            for index in lanes.indices where try move(&lanes[index]) { isUnfinished = true }
            if lanes.allSatisfy(\.isShut) { return end(reset: false) }
            // Descriptors speak up once only: what was cut off for others' sake is taken up again unasked.
            if isUnfinished { loop.later { self.pump() } }
        } catch {
            end(reset: true)
        }
    }

    /// `true` when there was more to do than one turn's share.
    private func move(_ lane: inout Lane) throws(Failure) -> Bool {
        let flags = UInt32(SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
        for _ in 0..<Self.roundsPerTurnMax {
            var hasMoved = false
            if !lane.hasEnded, lane.pending < Self.chunkBytes {
                let count = splice(lane.from, nil, lane.pipe.write, nil, Self.chunkBytes - lane.pending, flags)
                if count > 0 {
                    lane.pending += count
                    hasMoved = true
                } else if count == 0 {
                    lane.hasEnded = true
                } else if errno != EAGAIN, errno != EINTR {
                    throw .broken
                }
            }
            if lane.pending > 0 {
                let count = splice(lane.pipe.read, nil, lane.to, nil, lane.pending, flags)
                if count > 0 {
                    lane.pending -= count
                    hasMoved = true
                } else if count < 0, errno != EAGAIN, errno != EINTR {
                    throw .broken
                }
            }
            if lane.hasEnded, lane.pending == 0, !lane.isShut {
                shutdown(lane.to, Int32(SHUT_WR))
                lane.isShut = true
            }
            if !hasMoved { return false }
        }
        return true
    }

    private func end(reset: Bool) {
        guard !isOver else { return }
        isOver = true
        for socket in [client, server] {
            loop.remove(socket)
            if reset { _ = gantry_reset_on_close(socket) }
            close(socket)
        }
        for lane in lanes {
            close(lane.pipe.read)
            close(lane.pipe.write)
        }
    }
}
