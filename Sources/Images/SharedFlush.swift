/// Flushes that many ask for and one makes: layers of an image end at the same time, and each flush waits for what all
/// of them have written. Who asks while one is under way needs the next, for that one may have passed its files
/// already; all who ask meanwhile share it.
final class SharedFlush: Sendable {
    private struct State {
        var startedCount = 0
        /// Number of the last one that succeeded.
        var finished = 0
        var isRunning = false
    }

    private let state = Monitor(State())

    /// Returns when a flush that began after this call has ended. A failure is that of the one who made it: everyone
    /// else tries again.
    func flush(_ body: () throws(ImageError) -> Void) throws(ImageError) {
        let wanted = state.read { $0.startedCount + 1 }
        let own = state.wait { state -> Turn? in
            if state.finished >= wanted { return .done }
            if state.isRunning { return nil }
            state.isRunning = true
            state.startedCount += 1
            return .own(state.startedCount)
        }
        guard case .own(let number) = own else { return }
        do throws(ImageError) {
            try body()
        } catch {
            state.change { $0.isRunning = false }
            throw error
        }
        state.change { state in
            state.isRunning = false
            state.finished = number
        }
    }

    private enum Turn { case done, own(Int) }
}
