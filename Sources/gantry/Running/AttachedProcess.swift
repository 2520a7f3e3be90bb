import CLinux
import EngineClient
import Glibc
import LinuxSystem

/// Connects a process in a container with this program's standard input, output and error until its output ends.
struct AttachedProcess {
    /// Standard input that the engine has not taken yet.
    private static let pendingByteCountMax = 64 << 10

    let output: OutputStream
    let tty: Bool
    /// `nil`: the process gets no input.
    let input: Int32?
    let standardOutput: Console
    let standardError: Console
    /// The terminal has a new size.
    let resize: (TerminalSize) throws -> Void
    /// A signal has arrived; `false` ends the connection.
    let signal: (Int32) throws -> Bool

    /// Why the connection ended.
    enum End: Equatable {
        case outputEnded
        case signalled(Int32)
    }

    func run(_ signals: SignalSource) throws -> End {
        var pending: [UInt8] = []
        var inputOpen = input != nil
        var hangUpPending = false
        while true {
            var waited = [
                Waited(output.descriptor, write: !pending.isEmpty || hangUpPending), Waited(signals.descriptor),
            ]
            if let input, inputOpen, pending.isEmpty { waited.append(Waited(input)) }
            try wait(for: &waited, milliseconds: nil)
            if waited[1].readable, let number = try signals.take(), try !handle(number) { return .signalled(number) }
            if waited.count > 2, waited[2].readable, let input {
                pending = try readInput(input)
                if pending.isEmpty {
                    inputOpen = false
                    hangUpPending = true
                }
            }
            if waited[0].writable {
                try deliver(&pending)
                if pending.isEmpty, hangUpPending {
                    hangUpPending = false
                    try output.stream.closeWrite()
                }
            }
            if waited[0].readable {
                guard let frames = try output.receive() else { return .outputEnded }
                try show(frames)
            }
        }
    }

    func show(_ frames: [StreamFrame]) throws(SystemError) {
        for frame in frames {
            let console = frame.channel == .output ? standardOutput : standardError
            try console.write(frame.bytes)
        }
    }

    private func handle(_ number: Int32) throws -> Bool {
        if number != SIGWINCH { return try signal(number) }
        if tty, let size = terminalSize(standardOutput.descriptor) { try resize(size) }
        return true
    }

    /// What the user typed; empty at the end.
    private func readInput(_ input: Int32) throws(SystemError) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: Self.pendingByteCountMax)
        do throws(SystemError) {
            let count = try check("read") { buffer.withUnsafeMutableBytes { read(input, $0.baseAddress, $0.count) } }
            return Array(buffer.prefix(count))
        } catch {
            // A terminal that hung up, or that is not ours to read (background): no more input.
            guard error.code == EIO || error.code == EBADF else { throw error }
            return []
        }
    }

    private func deliver(_ pending: inout [UInt8]) throws(EngineClientError) {
        guard !pending.isEmpty else { return }
        do throws(EngineClientError) {
            pending.removeFirst(try output.stream.sendWithoutBlocking(pending[...]))
        } catch .system(let error) where error.code == EPIPE || error.code == ECONNRESET {
            // The process has ended; its output is still to be read.
            pending = []
        }
    }
}
