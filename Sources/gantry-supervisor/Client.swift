import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// A framed socket: its input cut into frames, its output buffered up to a limit.
final class Client {
    /// Beyond this the container's output waits, see `Streams.stallNanosecondsMax`.
    static let outputByteCountMax = 256 << 10
    private static let readByteCount = 16 << 10

    let descriptor: Int32
    private(set) var inputEnded = false
    private(set) var hasFailed = false
    /// Since when the output has been over its limit.
    var stalledSince: UInt64?
    private var parser = FrameParser()
    private var output: [UInt8] = []
    private var outputOffset = 0

    init(_ descriptor: Int32) throws(SystemError) {
        self.descriptor = descriptor
        try Descriptors.setNonBlocking(descriptor)
    }

    deinit { close(descriptor) }

    var bufferedByteCount: Int { output.count - outputOffset }
    var isFull: Bool { bufferedByteCount >= Self.outputByteCountMax }

    func send(_ kind: FrameKind, _ payload: UnsafeRawBufferPointer) {
        guard !hasFailed, !payload.isEmpty else { return }
        output.append(contentsOf: Frame.header(kind, payloadByteCount: payload.count))
        output.append(contentsOf: payload)
        flush()
    }

    func drop() { hasFailed = true }

    func sendExit(code: Int32) {
        output.append(contentsOf: Frame.exit(code: code))
        flush()
    }

    func flush() {
        while outputOffset < output.count, !hasFailed {
            let count = output.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress.map { $0 + outputOffset }, $0.count - outputOffset,
                    Int32(MSG_NOSIGNAL))
            }
            if count >= 0 {
                outputOffset += count
            } else if errno == EAGAIN {
                break
            } else if errno != EINTR {
                hasFailed = true
            }
        }
        if outputOffset == output.count {
            output.removeAll(keepingCapacity: output.capacity <= Self.readByteCount)
            outputOffset = 0
        } else if outputOffset > Self.outputByteCountMax / 2 {
            output.removeFirst(outputOffset)
            outputOffset = 0
        }
    }

    /// Reads what is there and calls `onFrame` for each whole frame.
    func receive(_ onFrame: (FrameKind, [UInt8]) -> Void) {
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.readByteCount) { buffer, count in
            count = max(recv(descriptor, buffer.baseAddress, Self.readByteCount, 0), -1)
            if count < 0 {
                if errno != EAGAIN, errno != EINTR { hasFailed = true }
                count = 0
            } else if count == 0 {
                inputEnded = true
            }
        }
        parser.append(bytes)
        do throws(FrameParser.Failure) {
            while let frame = try parser.next() { onFrame(frame.kind, frame.payload) }
        } catch {
            hasFailed = true  // A client that does not speak the protocol is dropped.
        }
    }
}
