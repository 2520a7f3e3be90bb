import CLinux
import Glibc
import LinuxSystem

/// Unpacks the layers of an archive while it still arrives. Which members are layers is known only at its end, when the
/// manifest may come: what looks like a layer is unpacked at once, what turns out not to be one is thrown away.
final class LayerWorkers: Sendable {
    private struct Job {
        var number: Int
        var file: GrowingFile
    }

    private struct State {
        var waiting: [Job] = []
        var running = 0
        var results: [Int: Result<MadeLayer, ImageError>] = [:]
        var isStopped = false
    }

    /// Each waiting job holds a descriptor.
    private static let waitingCountMax = 64
    private let folder: String
    private let options: ImageStoreOptions
    private let state = Monitor(State())
    private let threads: Monitor<[WorkerThread]>

    /// `folder` must exist; call `stop` in the end.
    init(folder: String, options: ImageStoreOptions) throws(ImageError) {
        self.folder = folder
        self.options = options
        threads = Monitor([])
        for number in 1...max(1, options.unpackThreadCount) {
            do throws(ImageError) {
                let thread = try UnpackThread.start { self.run(hasOwnUmask: $0) }
                threads.change { $0.append(thread) }
            } catch {
                // Fewer threads do, none does not.
                if number == 1 { throw error }
            }
        }
    }

    /// False when too many wait already; it must then be offered again, later.
    func submit(_ number: Int, _ file: GrowingFile) -> Bool {
        state.change { state in
            guard state.waiting.count < Self.waitingCountMax else { return false }
            state.waiting.append(Job(number: number, file: file))
            return true
        }
    }

    /// As `submit`, and waits for room. Every job before must be able to end: its file complete.
    func submitWaiting(_ number: Int, _ file: GrowingFile) {
        state.wait { state -> Void? in
            guard state.waiting.count < Self.waitingCountMax else { return nil }
            state.waiting.append(Job(number: number, file: file))
            return ()
        }
        // `wait` wakes nobody.
        state.change { _ in }
    }

    /// Waits for the layer; it must have been submitted.
    func result(_ number: Int) throws(ImageError) -> MadeLayer {
        try state.wait { $0.results[number] }.get()
    }

    /// Ends what is running and waits for the threads. Files not read to the end must have been abandoned.
    func stop() {
        state.change { state in
            state.isStopped = true
            for job in state.waiting { job.file.end(.abandoned) }
            state.waiting = []
        }
        let ending = threads.change { threads in
            defer { threads = [] }
            return threads
        }
        for thread in ending { thread.join() }
    }

    private func run(hasOwnUmask: Bool) {
        let making = LayerMaking(options: options, hasOwnUmask: hasOwnUmask)
        while let job = next() {
            let result: Result<MadeLayer, ImageError>
            do throws(ImageError) {
                result = .success(
                    try making.make(FollowingSource(job.file), folder: "\(folder)/layer-\(job.number)") {
                        self.state.read { $0.isStopped }
                    })
            } catch {
                result = .failure(error)
            }
            state.change { $0.results[job.number] = result }
        }
    }

    /// nil when there will be no more.
    private func next() -> Job? {
        // A list of one or none: an optional in an optional would be promoted unseen.
        let job = state.wait { state -> [Job]? in
            if state.isStopped { return [] }
            if state.waiting.isEmpty { return nil }
            return [state.waiting.removeFirst()]
        }
        // There is room now for who waits to submit.
        state.change { _ in }
        return job.first
    }
}
