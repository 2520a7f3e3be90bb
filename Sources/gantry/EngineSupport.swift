import CLinux
import Engine
import EngineClient
import Glibc
import LinuxSystem
import Logging
import StackModel
import Synchronization

/// Waits for SIGTERM, SIGINT or a client's request to stop.
final class StopSignal: Sendable {
    private struct State: Sendable {
        var isRaised = false
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    init() throws {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        // Before any other thread exists: all of them inherit the mask, and only this one waits for the signals.
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let awaited = signals
        try NamedThread.start("gantry-signals") { [self] in
            var awaited = awaited
            var number: Int32 = 0
            while true {
                if sigwait(&awaited, &number) == 0 { raise() }
            }
        }
    }

    func raise() {
        let waiting = state.withLock { state in
            state.isRaised = true
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isRaised = state.withLock { state in
                if !state.isRaised { state.waiting = continuation }
                return state.isRaised
            }
            if isRaised { continuation.resume() }
        }
    }
}

/// Carries the outcome of the root task to the thread that waits for it.
final class ExitBox: Sendable {
    private let state = Mutex<[Diagnostic]?>(nil)

    var diagnostics: [Diagnostic]? { state.withLock { $0 } }

    func set(_ diagnostics: [Diagnostic]?) { state.withLock { $0 = diagnostics } }
}

/// Writes the engine's log: to standard error, and to `engine.log` under the data root.
struct EngineLogHandler: LogHandler {
    private static let fileBytesMax: off_t = 10 << 20

    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level
    private let file: SharedDescriptor?

    /// The log of before is kept as `engine.log.1` once it is long. Without a writable data root there is no file.
    init(path: String, level: Logger.Level) {
        logLevel = level
        var status = stat()
        if stat(path, &status) == 0, status.st_size > Self.fileBytesMax { rename(path, path + ".1") }
        do throws(SystemError) {
            try FileSystem.makeDirectories(FileSystem.parent(of: path), mode: 0o711)
            file = SharedDescriptor(try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600))
        } catch {
            file = nil
        }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let fields = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        let line = Array("\(currentTime()) \(event.level) \(event.message)\(fields)\n".utf8)
        for descriptor in [STDERR_FILENO] + (file.map { [$0.raw] } ?? []) {
            // A log that cannot be written must not stop the engine, and there is nowhere to say so.
            _ = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        }
    }

    private func currentTime() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return rfc3339(Nanoseconds(time.tv_sec) * 1_000_000_000 + Nanoseconds(time.tv_nsec))
    }
}

/// Asks a running engine to stop and waits until it has; none running is no error.
func stopEngine(_ options: GlobalOptions) throws {
    let session = Session(options)
    guard let client = try session.runningEngine() else { return }
    try client.stopEngine()
    let deadline = monotonicNow() + 20_000_000_000
    while monotonicNow() < deadline {
        guard try client.isAnswering() else { return }
        pause(milliseconds: 5)
    }
    throw CommandFailure(code: "engine.no-stop", "the engine still answers on \(client.host.name)")
}
