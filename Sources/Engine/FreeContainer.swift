import ContainerRuntime
import DockerTranslation
import StackModel

/// What the record of a container has besides when no stack made it but a client, by `POST /containers/create`.
struct FreeContainer: Codable, Equatable, Sendable {
    /// As it was asked for, with what was updated since.
    var request: ContainerRequest
    /// Networks that it is to have when it is started: they, or an address on them, could not be had before.
    var missingNetworks: [String: NetworkAttachment]?

    init(_ request: ContainerRequest) { self.request = request }

    /// What of the request a service has no words for.
    func adjust(_ spec: inout RuntimeSpec) throws(EngineError) {
        do throws(TranslationError) {
            let host = request.hostFields
            for (target, options) in try host.map("Tmpfs") { adjustTmpfs(target, options, in: &spec) }
            // An empty list shows everything; none leaves what is usual.
            if let paths = try host.list("MaskedPaths") { spec.linux.maskedPaths = paths }
            if let paths = try host.list("ReadonlyPaths") { spec.linux.readonlyPaths = paths }
            if let nodes = try host.text("CpusetMems") {
                var cpu = spec.linux.resources.cpu ?? RuntimeSpec.Resources.CPU()
                cpu.mems = nodes
                spec.linux.resources.cpu = cpu
            }
            if let size = try host.list("ConsoleSize"), size.count == 2, let height = UInt16(size[0]),
                let width = UInt16(size[1]), height > 0, width > 0, spec.process.terminal
            {
                spec.process.consoleSize = RuntimeSpec.ConsoleSize(height: height, width: width)
            }
        } catch {
            throw .badRequest(error.description)
        }
    }

    private func adjustTmpfs(_ target: String, _ options: String, in spec: inout RuntimeSpec) {
        guard let index = spec.mounts.firstIndex(where: { $0.type == "tmpfs" && $0.destination == target }) else {
            return
        }
        for option in furtherTmpfsOptions(options) {
            let name = option.prefix { $0 != "=" }
            // `exec` takes `noexec` away, and the other way round.
            let opposite = name.hasPrefix("no") ? String(name.dropFirst(2)) : "no\(name)"
            spec.mounts[index].options?.removeAll { $0 == opposite || $0.prefix { $0 != "=" } == name }
            spec.mounts[index].options?.append(option)
        }
    }
}

/// What this process knows of containers that belong to no stack, and of clients that wait for the end of any.
struct FreeState {
    /// By container: when its policy starts it again.
    var restarts: [String: Nanoseconds] = [:]
    /// By container.
    var waiters: [String: [EndWaiter]] = [:]
    var lastWaiter = 0
    /// Held while the network `bridge` is made.
    let bridgeLock = AsyncLock()
    /// Being removed.
    var removing: Set<String> = []
    /// On its way from a client's request to a process, with who waits for it to get there or not.
    var starting: [String: [CheckedContinuation<Void, Never>]] = [:]
}

/// A client that waits for a container.
struct EndWaiter {
    var number: Int
    var condition: WaitCondition
    var news: AsyncStream<Int>.Continuation
}

/// `condition` of `POST /containers/{id}/wait`.
public enum WaitCondition: String, Sendable {
    case notRunning = "not-running"
    case nextExit = "next-exit"
    case removed
}

/// A wait that is under way: whatever happens from here on is heard.
public struct EndWait: Sendable {
    let codes: AsyncStream<Int>

    /// The exit code; `nil` when the engine ends before the container does.
    public func code() async -> Int? {
        for await code in codes { return code }
        return nil
    }
}
