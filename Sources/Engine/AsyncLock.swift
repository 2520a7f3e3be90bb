import StackModel
import Synchronization

/// First come, first served mutual exclusion across suspension points. Actors re-enter at every `await`; what must not
/// interleave (all changes of one stack) holds one of these.
final class AsyncLock: Sendable {
    /// A place in the queue, for who may leave it again.
    struct Ticket: Hashable, Sendable { fileprivate var number: Int }

    private struct State: Sendable {
        var held = false
        var waiting: [(ticket: Ticket, continuation: CheckedContinuation<Bool, Never>)] = []
        var lastNumber = 0
        /// Given up before they had begun to wait.
        var withdrawn: Set<Ticket> = []
    }

    private let state = Mutex(State())

    func acquire() async { _ = await acquire(ticket()) }

    func ticket() -> Ticket {
        state.withLock { state in
            state.lastNumber += 1
            return Ticket(number: state.lastNumber)
        }
    }

    /// `false`: the ticket was withdrawn, and the lock is not held.
    func acquire(_ ticket: Ticket) async -> Bool {
        await withCheckedContinuation { continuation in
            let answer = state.withLock { state -> Bool? in
                if state.withdrawn.remove(ticket) != nil { return false }
                guard state.held else {
                    state.held = true
                    return true
                }
                state.waiting.append((ticket, continuation))
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// For a ticket whose `acquire` has not returned yet. It may have the lock nevertheless, if that came first.
    func withdraw(_ ticket: Ticket) {
        let waiter = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard let index = state.waiting.firstIndex(where: { $0.ticket == ticket }) else {
                state.withdrawn.insert(ticket)
                return nil
            }
            return state.waiting.remove(at: index).continuation
        }
        waiter?.resume(returning: false)
    }

    /// After `acquire` has returned, nothing is to be known of the ticket any more.
    func forget(_ ticket: Ticket) { state.withLock { _ = $0.withdrawn.remove(ticket) } }

    func release() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiting.isEmpty else {
                state.held = false
                return nil
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume(returning: true)
    }
}

/// Carries a failure out of a progress callback.
final class FailureBox: Sendable {
    private let state = Mutex<[Diagnostic]?>(nil)

    var diagnostics: [Diagnostic]? { state.withLock { $0 } }

    func set(_ diagnostics: [Diagnostic]) { state.withLock { $0 = diagnostics } }
}
