import DockerTranslation
import EngineWire
import Reconciler
import StackModel

/// `filters` of `GET /containers/json`: every key must be met, by one of its values (`label` by all).
struct ContainerFilters {
    static let known: Set<String> = [
        "ancestor", "before", "since", "exited", "expose", "publish", "health", "id", "is-task", "isolation", "label",
        "name", "network", "status", "volume",
    ]

    let filters: ObjectFilters
    /// Of `before` and `since`, when those were made.
    var before: Nanoseconds?
    var since: Nanoseconds?
    /// Ids of the images that `ancestor` names.
    var ancestors: Set<String> = []
    /// Names of the networks that `network` names.
    var networks: Set<String> = []
    private let exited: Set<Int>
    private let ports: [(key: String, span: PortSpan)]

    init(_ values: [String: [String]]) throws(EngineError) {
        filters = try ObjectFilters(values, known: Self.known)
        for status in values["status"] ?? [] where ShownState.Status(rawValue: status) == nil {
            throw .badRequest("invalid filter 'status=\(status)'")
        }
        for health in values["health"] ?? [] where !["starting", "healthy", "unhealthy", "none"].contains(health) {
            throw .badRequest("invalid filter 'health=\(health)'")
        }
        var codes: Set<Int> = []
        for text in values["exited"] ?? [] {
            guard let code = Int(text) else { throw .badRequest("invalid filter 'exited=\(text)'") }
            codes.insert(code)
        }
        exited = codes
        var ports: [(key: String, span: PortSpan)] = []
        for key in ["expose", "publish"] {
            for text in values[key] ?? [] {
                guard let span = PortSpan(text) else { throw .badRequest("invalid filter '\(key)=\(text)'") }
                ports.append((key, span))
            }
        }
        self.ports = ports
    }

    /// Only running containers are listed unless the filters speak of others.
    var wantsAll: Bool {
        filters.values["status"] != nil || filters.values["exited"] != nil || before != nil || since != nil
    }

    func matches(_ stored: StoredContainer, _ state: ShownState, networks mine: [String]) -> Bool {
        guard filters.matches(created: 0, labels: stored.labels) else { return false }
        if let before, stored.createdAt >= before { return false }
        if let since, stored.createdAt <= since { return false }
        return filters.values.allSatisfy { key, wanted in
            switch key {
            case "id": return wanted.contains { stored.id.hasPrefix($0) }
            case "name": return wanted.contains { Self.matches($0, stored.name) }
            case "status": return wanted.contains(state.status.rawValue)
            case "health": return wanted.contains(state.health ?? "none")
            case "exited":
                return state.status == .exited && exited.contains(state.exitCode)
            case "ancestor": return ancestors.contains(stored.definition.imageID)
            case "network": return mine.contains(where: networks.contains)
            case "volume": return wanted.contains { has(volume: $0, stored) }
            case "expose", "publish": return matchesPorts(key, stored)
            case "is-task": return wanted.contains { ObjectFilters.truth($0) == false }
            default: return true
            }
        }
    }

    /// A regular expression, met with or without the leading slash.
    private static func matches(_ pattern: String, _ name: String) -> Bool {
        let expression = SearchExpression(pattern)
        return expression.matches(name) || expression.matches("/\(name)")
    }

    private func has(volume: String, _ stored: StoredContainer) -> Bool {
        stored.volumes.contains { $0.key == volume || $0.value == volume }
            || stored.definition.service.mounts.contains { $0.target == volume || $0.source == volume }
    }

    private func matchesPorts(_ key: String, _ stored: StoredContainer) -> Bool {
        let service = stored.definition.service
        var mine = service.ports
        if key == "expose" { mine += service.expose.compactMap { PortSpan($0) }.flatMap(\.ports) }
        return ports.contains { entry in
            entry.key == key
                && mine.contains {
                    $0.transport == entry.span.transport && (entry.span.first...entry.span.last).contains($0.target)
                }
        }
    }
}
