import CLinux
import Glibc
import LinuxSystem

/// Signals as something to read (signalfd(2)), instead of handlers. Blocked for this process while the value lives;
/// programs that are started get a clean mask of their own.
final class SignalSource {
    private let source: FileDescriptor
    private var previousMask: sigset_t

    init(_ signals: [Int32]) throws(SystemError) {
        var mask = sigset_t()
        sigemptyset(&mask)
        for signal in signals { sigaddset(&mask, signal) }
        var previous = sigset_t()
        try check("sigprocmask") { sigprocmask(SIG_BLOCK, &mask, &previous) }
        source = FileDescriptor(
            owning: try check("signalfd") { signalfd(-1, &mask, Int32(SFD_CLOEXEC | SFD_NONBLOCK)) })
        previousMask = previous
    }

    deinit { sigprocmask(SIG_SETMASK, &previousMask, nil) }

    /// For `wait(for:)`.
    var descriptor: Int32 { source.raw }

    /// The next signal that has arrived; `nil`: none.
    func take() throws(SystemError) -> Int32? {
        let recordByteCount = 128
        let bytes: [UInt8]
        do {
            bytes = try source.read(upTo: recordByteCount)
        } catch {
            if error.code == EAGAIN { return nil }
            throw error
        }
        guard bytes.count == recordByteCount else { return nil }
        // `ssi_signo` is the first member of signalfd_siginfo, in the machine's byte order.
        return bytes.withUnsafeBytes { Int32(bitPattern: $0.loadUnaligned(as: UInt32.self)) }
    }
}

/// What a terminal, a shell and an init system send to end a program.
let endingSignals: [Int32] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

/// Name as the engine's API takes it.
func signalName(_ signal: Int32) -> String {
    switch signal {
    case SIGINT: "SIGINT"
    case SIGTERM: "SIGTERM"
    case SIGHUP: "SIGHUP"
    case SIGQUIT: "SIGQUIT"
    default: String(signal)
    }
}
