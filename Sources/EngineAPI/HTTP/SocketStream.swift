import NIOCore
import Synchronization

/// One connection's bytes, between the event loop and a task: reads happen on demand only (the kernel's socket buffer
/// is the read-ahead), a write returns when the kernel has taken the bytes.
final class SocketStream: Sendable {
    private struct State {
        var buffer = ByteBuffer()
        var ended = false
        /// Before that, a channel forgets that it was asked to read.
        var isActive = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        /// Counts waits that have a deadline, and says which of them was late.
        var wait = 0
        var lateWait = 0
    }

    let channel: any Channel
    private let state = Mutex(State())

    init(_ channel: any Channel) { self.channel = channel }

    /// Works on the bytes that were read and not yet taken.
    func withBuffer<Result, Failure: Error>(
        _ body: (inout ByteBuffer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try state.withLock { state throws(Failure) in
            defer { if state.buffer.readableBytes == 0 { state.buffer = ByteBuffer() } }
            return try body(&state.buffer)
        }
    }

    /// Waits until more than `byteCount` bytes are in the buffer; `false` when the client sends no more. Throws
    /// `HTTPConnectionError.late` when there are none at `deadline`.
    func fill(beyond byteCount: Int, until deadline: NIODeadline? = nil) async throws -> Bool {
        if state.withLock({ $0.buffer.readableBytes > byteCount }), !Task.isCancelled { return true }
        let number = state.withLock { state in
            state.wait += 1
            return state.wait
        }
        let timer = deadline.map { deadline in
            channel.eventLoop.scheduleTask(deadline: deadline) { self.wake { $0.lateWait = number } }
        }
        defer { timer?.cancel() }
        while true {
            if Task.isCancelled { throw CancellationError() }
            let (available, ended, isLate) = state.withLock {
                ($0.buffer.readableBytes > byteCount, $0.ended, $0.lateWait == number)
            }
            if available { return true }
            if ended { return false }
            if isLate { throw HTTPConnectionError.late }
            await waitForBytes(beyond: byteCount, number)
        }
    }

    private func waitForBytes(beyond byteCount: Int, _ number: Int) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (waits, reads) = state.withLock { state in
                    if state.buffer.readableBytes > byteCount || state.ended || state.lateWait == number
                        || Task.isCancelled
                    {
                        return (false, false)
                    }
                    state.waiters.append(continuation)
                    return (true, state.isActive)
                }
                if reads { channel.read() }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            wake { _ in }
        }
    }

    /// From the event loop: it can be read from now on.
    func becameActive() {
        let reads = state.withLock { state in
            state.isActive = true
            return !state.waiters.isEmpty
        }
        if reads { channel.read() }
    }

    /// From the event loop: bytes that came.
    func received(_ bytes: ByteBuffer) {
        wake { state in
            var bytes = bytes
            if state.buffer.readableBytes == 0 { state.buffer = bytes } else { state.buffer.writeBuffer(&bytes) }
        }
    }

    /// From the event loop: nothing more will come.
    func endReached() { wake { $0.ended = true } }

    private func wake(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when the kernel has all bytes; that is the back-pressure.
    func write(_ bytes: ByteBuffer) async throws(HTTPConnectionError) {
        do {
            try await channel.writeAndFlush(bytes).get()
        } catch {
            throw .clientGone
        }
    }

    /// `shutdown(SHUT_WR)`: the client reads the end, and can still send.
    func closeOutput() async throws(HTTPConnectionError) {
        do {
            try await channel.close(mode: .output).get()
        } catch {
            throw .clientGone
        }
    }

    /// Ends the output, reads over what the client still sends until it closes too, for a limited time, and closes.
    func closeGracefully() async {
        let timer = channel.eventLoop.scheduleTask(in: .milliseconds(HTTPLimits.lingerMillisecondsMax)) {
            self.channel.close(promise: nil)
        }
        defer { timer.cancel() }
        do {
            try await closeOutput()
            while try await fill(beyond: 0) { withBuffer { $0.clear() } }
        } catch {
            // The client is gone or the server is stopping: either way there is nothing left to wait for.
        }
        await close()
    }

    func close() async {
        // The only failure is that it is closed already.
        try? await channel.close().get()
    }
}
