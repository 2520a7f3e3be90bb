import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The client's end of a framed socket.
final class StreamClient {
    let socket: FileDescriptor
    private var parser = FrameParser()
    private(set) var stdout: [UInt8] = []
    private(set) var stderr: [UInt8] = []
    private(set) var exitCode: Int32?
    /// The other side has closed.
    private(set) var hasEnded = false

    init(_ socket: consuming FileDescriptor) { self.socket = socket }

    /// A pair: the client, and the descriptor for the supervisor.
    static func pair() throws -> (ours: Int32, theirs: Int32) {
        var ends: [Int32] = [-1, -1]
        try check("socketpair") {
            socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends)
        }
        return (ends[0], ends[1])
    }

    var output: String { String(decoding: stdout, as: UTF8.self) }

    func send(_ kind: FrameKind, _ text: String = "") throws {
        try socket.writeAll(Frame.encode(kind, Array(text.utf8)))
    }

    /// Reads until `isDone` or the end, a minute at most.
    func read(until isDone: (StreamClient) -> Bool = { _ in false }) throws {
        let deadline = time(nil) + 60
        while !isDone(self), !hasEnded, time(nil) < deadline {
            let raw = socket.raw
            var polled = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
            guard try check("poll", { poll(&polled, 1, 1000) }) > 0 else { continue }
            let chunk = try socket.read(upTo: 64 << 10)
            if chunk.isEmpty { hasEnded = true }
            parser.append(chunk)
            while let frame = try parser.next() {
                switch frame.kind {
                case .stdout: stdout += frame.payload
                case .stderr: stderr += frame.payload
                case .exit: exitCode = frame.payload.reduce(0) { $0 << 8 | Int32($1) }
                default: throw SystemError("frame", code: EPROTO)
                }
            }
        }
    }
}
