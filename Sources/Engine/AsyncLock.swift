import StackModel
import Synchronization

/// First come, first served mutual exclusion across suspension points. Actors re-enter at every `await`; what must not
/// interleave (all changes of one stack) holds one of these.
final class AsyncLock: Sendable {
    private struct State: Sendable {
        var held = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func acquire() async {
        await withCheckedContinuation { continuation in
            let mine = state.withLock { state in
                guard state.held else {
                    state.held = true
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if mine { continuation.resume() }
        }
    }

    func release() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.waiting.isEmpty else {
                state.held = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}

/// Carries a failure out of a progress callback.
final class FailureBox: Sendable {
    private let state = Mutex<[Diagnostic]?>(nil)

    var diagnostics: [Diagnostic]? { state.withLock { $0 } }

    func set(_ diagnostics: [Diagnostic]) { state.withLock { $0 = diagnostics } }
}
