import CLinux
import EngineClient
import Glibc
import LinuxSystem
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
