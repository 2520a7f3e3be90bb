import StackModel

/// Who depends on whom. A service that shares another's namespace (`network_mode`, `pid`, `ipc`: `service:X`) depends
/// on it without saying so, and ends with it.
struct DependencyGraph: Sendable {
    /// Service to what it depends on.
    private(set) var edges: [String: [String: Dependency]]
    /// Service to those in whose namespaces it lives.
    private(set) var parents: [String: Set<String>] = [:]
    /// Services that the stack file calls jobs.
    private(set) var jobs: Set<String> = []

    init(services: [String: Service]) {
        edges = [:]
        edges.reserveCapacity(services.count)
        for (name, service) in services {
            let parents = Self.namespaceParents(of: service)
            edges[name] = Self.dependencies(of: service, parents)
            if !parents.isEmpty { self.parents[name] = parents }
            if service.isJob { jobs.insert(name) }
        }
    }

    /// From what containers were made of, for when there is no stack file.
    init(containers: [ObservedContainer]) {
        edges = [:]
        for container in containers {
            edges[container.service, default: [:]]
                .merge(
                    Self.dependencies(
                        of: container.definition.service, Self.namespaceParents(of: container.definition.service))
                ) { first, _ in first }
        }
    }

    private static func dependencies(of service: Service, _ parents: Set<String>) -> [String: Dependency] {
        var result = service.dependsOn
        for parent in parents where result[parent] == nil {
            result[parent] = Dependency(condition: .started, restart: true)
        }
        return result
    }

    /// Services whose namespaces `service` lives in.
    static func namespaceParents(of service: Service) -> Set<String> {
        var result: Set<String> = []
        let prefix = "service:"
        for mode in [service.networkMode, service.pidMode, service.ipcMode] {
            guard let mode, mode.hasPrefix(prefix) else { continue }
            result.insert(String(mode.dropFirst(prefix.count)))
        }
        return result
    }

    /// What `service` depends on, by name; only what the graph knows.
    func dependencies(of service: String) -> [(name: String, dependency: Dependency)] {
        guard let own = edges[service], !own.isEmpty else { return [] }
        return own.filter { edges[$0.key] != nil }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// `names` and everything they depend on.
    func closure(of names: [String]) -> Set<String> {
        var found: Set<String> = []
        var left = names.filter { edges[$0] != nil }
        while let name = left.popLast() {
            guard found.insert(name).inserted else { continue }
            left += dependencies(of: name).map(\.name)
        }
        return found
    }

    /// Services of `names` in the order to start them in: level by level, by name within a level. What is in or behind
    /// a cycle cannot be ordered; it comes back in `cyclic`, by name.
    func order(of names: Set<String>) -> (order: [String], cyclic: [String]) {
        var missing: [String: Int] = [:]
        var dependents: [String: [String]] = [:]
        for name in names {
            let own = dependencies(of: name).map(\.name).filter(names.contains)
            missing[name] = own.count
            for dependency in own { dependents[dependency, default: []].append(name) }
        }
        var order: [String] = []
        var level = names.filter { missing[$0] == 0 }.sorted()
        while !level.isEmpty {
            order += level
            var next: [String] = []
            for dependent in level.flatMap({ dependents[$0] ?? [] }) {
                let left = (missing[dependent] ?? 0) - 1
                missing[dependent] = left
                if left == 0 { next.append(dependent) }
            }
            level = next.sorted()
        }
        return (order, names.subtracting(order).sorted())
    }

    /// The services of `names` that depend on `service` directly.
    func dependents(of service: String, among names: Set<String>) -> [String] {
        names.filter { edges[$0]?[service] != nil }.sorted()
    }
}
