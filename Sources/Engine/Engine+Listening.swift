import InternetAddress
import LinuxSystem
import Reconciler
import StackModel

/// A process needs a moment from its start until it listens. A replica without a healthcheck that joined the others at
/// once would refuse its share of the connections meanwhile; so it is left out of a published port until it listens.
extension Engine {
    /// A server that has not begun to listen by then is offered all the same: it may listen in a way that we do not
    /// see.
    private static let listeningPatience: Nanoseconds = 5_000_000_000
    private static let firstDelay: Nanoseconds = 2_000_000
    private static let delayMax: Nanoseconds = 100_000_000

    /// Called when the container has started, and has a generation of its own.
    func awaitListening(_ id: String) { watch(sharedPorts(id), of: id) }

    /// One that the engine before this one started a moment ago: looked at before it is offered.
    func resumeListening(_ id: String) async {
        guard let process = containers[id]?.process, Clock.now() - process.startedAt < Self.listeningPatience else {
            return
        }
        let ports = sharedPorts(id)
        guard !ports.isEmpty else { return }
        let listening = await pool.run { listeningPorts(process: process.pid) }
        watch(ports.subtracting(listening), of: id)
    }

    private func watch(_ ports: Set<UInt16>, of id: String) {
        guard !ports.isEmpty, let container = containers[id], let process = container.process else { return }
        containers[id]?.silentPorts = ports
        background.start { [self] in
            await watchListening(id, generation: container.generation, pid: process.pid)
        }
    }

    /// Published TCP ports of one that has no healthcheck, and others that serve them too.
    private func sharedPorts(_ id: String) -> Set<UInt16> {
        guard let container = containers[id], container.process != nil, container.health == nil,
            container.stored.networkMode == nil, hasSiblings(container.stored)
        else { return [] }
        return Set(container.stored.definition.service.ports.filter { $0.transport == .tcp }.map(\.target))
    }

    private func hasSiblings(_ stored: StoredContainer) -> Bool {
        !stored.oneOff
            && containers.values.contains {
                $0.stored.stackName == stored.stackName && $0.stored.service == stored.service && !$0.stored.oneOff
                    && $0.stored.id != stored.id
            }
    }

    private func watchListening(_ id: String, generation: Int, pid: Int32) async {
        let deadline = Clock.monotonic() + Self.listeningPatience
        var delay = Self.firstDelay
        while let silent = silentPorts(id, generation), !silent.isEmpty {
            // Cancelled at the engine's end; the next engine takes a running container as one that listens.
            do { try await Task.sleep(for: .nanoseconds(delay)) } catch { return }
            delay = min(2 * delay, Self.delayMax)
            let isLate = Clock.monotonic() >= deadline
            let listening = await pool.run { listeningPorts(process: pid) }
            guard let silent = silentPorts(id, generation) else { return }
            let left = isLate ? [] : silent.subtracting(listening)
            guard left != silent else { continue }
            containers[id]?.silentPorts = left
            await refreshEndpoints()
            if left.isEmpty, let stack = containers[id]?.stored.stackName { noteChange(in: stack) }
        }
    }

    /// `nil` when that run of the container is over.
    private func silentPorts(_ id: String, _ generation: Int) -> Set<UInt16>? {
        guard let container = containers[id], container.generation == generation, container.process != nil else {
            return nil
        }
        return container.silentPorts
    }
}

/// TCP ports that sockets listen on in the network namespace of a process, on any address but loopback's. proc_net(5).
/// Empty when the process is gone.
func listeningPorts(process pid: Int32) -> Set<UInt16> {
    var ports = Set<UInt16>()
    for table in ["tcp", "tcp6"] {
        // Without IPv6 there is no such file.
        guard let bytes = try? FileSystem.readFile("/proc/\(pid)/net/\(table)") else { continue }
        ports.formUnion(listeningPorts(table: String(decoding: bytes, as: UTF8.self)))
    }
    return ports
}

func listeningPorts(table: String) -> Set<UInt16> {
    Set(HostListeners.parse(table, .tcp).filter { !$0.address.isLoopback }.map(\.port))
}
