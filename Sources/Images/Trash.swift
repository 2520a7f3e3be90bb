import CLinux
import Glibc
import LinuxSystem

/// Removes trees on a thread of its own: sixty thousand files take a disk a minute to unlink, and nobody waits for
/// them. What is discarded lies in a folder of the store that is emptied when the store is opened, so nothing is lost
/// by a crash, nor by the process's end.
final class Trash: Sendable {
    private struct State {
        var waiting: [String] = []
        var isRunning = false
        var failures = 0
    }

    private let state = Monitor(State())

    /// From now on this object's: a folder or file of the store, under a name that nothing looks for.
    func discard(_ path: String) {
        let starts = state.change { state in
            state.waiting.append(path)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard starts else { return }
        if let thread = WorkerThread(name: "gantry-trash", { [self] in empty() }) {
            thread.detach()
        } else {
            empty()
        }
    }

    /// Waits until everything discarded so far is gone; false when something could not be removed.
    @discardableResult
    func wait() -> Bool { state.wait { $0.isRunning ? nil : $0.failures == 0 } }

    private func empty() {
        // Below whoever waits for the disk.
        setpriority(PRIO_PROCESS, 0, 10)
        while let path = next() {
            do throws(SystemError) {
                try TreeRemoval.remove(path)
            } catch {
                // It stays until the store is opened next; who discarded it has long gone on.
                state.change { $0.failures += 1 }
            }
        }
    }

    private func next() -> String? {
        state.change { state in
            if state.waiting.isEmpty {
                state.isRunning = false
                return nil
            }
            return state.waiting.removeFirst()
        }
    }
}
