import Synchronization

/// A value that tasks change, and wait for changes of.
final class WatchedState<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(_ value: Value) { state = Mutex(State(value: value)) }

    func read<Result>(_ body: (Value) -> Result) -> Result { state.withLock { body($0.value) } }

    @discardableResult
    func change<Result>(_ body: (inout Value) -> Result) -> Result {
        let (result, waiters) = state.withLock { state in
            let result = body(&state.value)
            defer { state.waiters = [] }
            return (result, state.waiters)
        }
        for waiter in waiters { waiter.resume() }
        return result
    }

    /// Returns when it is so, or when the task is cancelled.
    func wait(until isSo: @escaping @Sendable (Value) -> Bool) async {
        while !Task.isCancelled, !read(isSo) {
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let waits = state.withLock { state in
                        if isSo(state.value) || Task.isCancelled { return false }
                        state.waiters.append(continuation)
                        return true
                    }
                    if !waits { continuation.resume() }
                }
            } onCancel: {
                change { _ in }
            }
        }
    }
}
