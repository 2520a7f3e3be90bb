import ContainerRuntime
import LinuxSystem
import Logging
import Reconciler
import StackModel

/// News of processes that the kernel killed at a container's memory limit, while the container goes on: Docker's event
/// `oom`. That a container ended so is in its exit record besides.
extension Engine {
    /// Only containers with a limit of their own are watched: each costs a descriptor.
    func watchMemory(_ id: String, generation: Int, known: UInt64 = 0) {
        guard let container = containers[id], container.generation == generation, container.process != nil,
            container.stored.definition.service.resources.memory != nil
        else { return }
        do {
            let notifier = try runtime.oomNotifier(directory: options.containerRun(id))
            try poller.watch(try notifier.descriptor.duplicate(), once: true) { [self] in
                background.start { await self.memoryRanOut(id, generation: generation, known: known) }
            }
        } catch {
            // Ended meanwhile, or no memory controller, of which the start has warned.
            log.debug("memory not watched", metadata: ["id": "\(id)", "reason": "\(error)"])
        }
    }

    private func memoryRanOut(_ id: String, generation: Int, known: UInt64) async {
        guard let container = containers[id], container.generation == generation, container.process != nil else {
            return
        }
        let folder = options.containerRun(id)
        do throws(EngineError) {
            let kills = try await onRuntime(of: container.stored.name) { runtime throws(RuntimeError) in
                try runtime.outOfMemoryKills(directory: folder)
            }
            if kills > known { announce(container.stored, "oom") }
            // The kernel tells of each event; several within this pause are one.
            do { try await Task.sleep(for: Self.memoryNewsPause) } catch { return }
            watchMemory(id, generation: generation, known: max(kills, known))
        } catch {
            log.debug("memory not watched any more", metadata: ["id": "\(id)", "reason": "\(error)"])
        }
    }

    private static let memoryNewsPause = Duration.milliseconds(100)
}
