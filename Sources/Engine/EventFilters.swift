/// `filters` of `GET /events`: every key must be met, by one of its values (`label` by all).
public struct EventFilters: Sendable {
    /// Docker's; those of swarm objects and plugins match nothing here.
    private static let known: Set<String> = [
        "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
        "service", "type", "volume",
    ]
    /// Actions that say more behind a colon, and are asked for without it.
    private static let openEnded: Set<String> = ["health_status", "exec_create", "exec_start"]

    private let filters: ObjectFilters

    /// - Throws: as `ObjectFilters`.
    public init(_ values: [String: [String]]) throws(EngineError) {
        filters = try ObjectFilters(values, known: Self.known)
    }

    public func matches(_ event: EngineEvent) -> Bool {
        guard filters.matches(created: event.time, labels: event.attributes) else { return false }
        return filters.values.allSatisfy { key, wanted in
            switch key {
            case "label": true
            case "type": wanted.contains(event.type)
            case "scope": wanted.contains("local")
            case "event": matchesAction(event.action, wanted)
            case "image": matchesImage(event, wanted)
            // By the beginning of an id or name.
            default: event.type == key && wanted.contains { begins(event, with: $0) }
            }
        }
    }

    private func matchesAction(_ action: String, _ wanted: [String]) -> Bool {
        if wanted.contains(action) { return true }
        guard let colon = action.firstIndex(of: ":") else { return false }
        let name = String(action[..<colon])
        return Self.openEnded.contains(name) && wanted.contains(name)
    }

    private func begins(_ event: EngineEvent, with text: String) -> Bool {
        event.id.hasPrefix(text) || event.attributes["name"]?.hasPrefix(text) == true
    }

    /// An image's own events, and those of the containers made from it; with or without the tag.
    private func matchesImage(_ event: EngineEvent, _ wanted: [String]) -> Bool {
        guard let name = event.attributes[event.type == "image" ? "name" : "image"] else { return false }
        let slash = name.lastIndex(of: "/") ?? name.startIndex
        let bare = name[slash...].lastIndex(of: ":").map { String(name[..<$0]) } ?? name
        return wanted.contains { $0 == event.id || $0 == name || $0 == bare }
    }
}
