import ContainerRuntime
import Images
import LinuxSystem
import Logging
import Reconciler
import StackModel

/// What was changed inside of containers: files of their own layer, and processes that their first one did not start.
extension Engine {
    /// More of one kind are counted only.
    private static let namedMax = 20

    /// By container id, one phrase each.
    func lookInsideContainers(_ stack: String, _ services: [String]) async -> [String: [String]] {
        var found: [String: [String]] = [:]
        for container in containers.values where container.stored.stackName == stack && !container.stored.oneOff {
            let stored = container.stored
            guard services.isEmpty || services.contains(stored.service) else { continue }
            var details: [String] = []
            do throws(EngineError) {
                let changes = Self.foreign(try await changes(stored.id), stored)
                details += Self.named(changes.map { "\($0.kind.word) \($0.path)" }, "files")
                if let process = container.process {
                    details += Self.named(try await foreignProcesses(stored, first: process.pid), "processes")
                }
            } catch {
                log.debug("container not looked into", metadata: ["container": "\(stored.name)", "error": "\(error)"])
            }
            if !details.isEmpty { found[stored.id] = details }
        }
        return found
    }

    private static func named(_ all: [String], _ noun: String) -> [String] {
        Array(all.prefix(namedMax)) + (all.count > namedMax ? ["and \(all.count - namedMax) more \(noun)"] : [])
    }

    /// Folders that only hold what was changed, and places where something is mounted, are none of it.
    private static func foreign(_ changes: [ContainerChange], _ stored: StoredContainer) -> [ContainerChange] {
        let service = stored.definition.service
        let declared =
            service.mounts.map(\.target) + Array(stored.volumes.keys) + service.configs.map(\.target)
            + service.secrets.map(\.target)
        let parents = Set(changes.map { $0.path.prefix(upTo: $0.path.lastIndex(of: "/") ?? $0.path.startIndex) })
        return changes.filter { change in
            if change.kind == .changed, parents.contains(change.path[...]) { return false }
            return !declared.contains { target in
                change.path == target || change.path.hasPrefix(target + "/") || target.hasPrefix(change.path + "/")
            }
        }
    }

    /// Such as those of `exec`, and of a health probe that is under way.
    private func foreignProcesses(_ stored: StoredContainer, first: Int32) async throws(EngineError) -> [String] {
        let folder = options.containerRun(stored.id)
        return try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
            let processes = try runtime.processes(directory: folder)
            let parents = Dictionary(
                processes.compactMap { id in Self.status(of: id).map { (id, $0) } },
                uniquingKeysWith: { one, _ in one })
            return processes.sorted().compactMap { id in
                guard let status = parents[id], !Self.descends(id, from: first, parents.mapValues(\.parent)) else {
                    return nil
                }
                return "process \(id) (\(status.name)) was not started by the container"
            }
        }
    }

    private static func descends(_ id: Int32, from first: Int32, _ parents: [Int32: Int32]) -> Bool {
        var current = id
        for _ in 0...parents.count {
            if current == first { return true }
            guard let parent = parents[current] else { return false }
            current = parent
        }
        return false
    }

    /// proc_pid_stat(5): the name is in parentheses and may hold any byte; the parent is the second field after it.
    private static func status(of id: Int32) -> (name: String, parent: Int32)? {
        // One that has ended meanwhile.
        guard let bytes = try? FileSystem.readFile("/proc/\(id)/stat", byteCountMax: 4096) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close else { return nil }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 1, let parent = Int32(fields[1]) else { return nil }
        return (String(text[text.index(after: open)..<close]), parent)
    }
}

extension ContainerChange.Kind {
    fileprivate var word: String {
        switch self {
        case .added: "added"
        case .changed: "changed"
        case .deleted: "deleted"
        }
    }
}
