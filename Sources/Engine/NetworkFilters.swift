import EngineWire

/// `filters` of `GET /networks` and `POST /networks/prune`: every key must be met, by one of its values (`label` and
/// `until` by all).
struct NetworkFilters: Sendable {
    private static let known: Set<String> = [
        "name", "id", "driver", "label", "label!", "type", "dangling", "scope", "until",
    ]

    private let filters: ObjectFilters

    /// - Throws: as `ObjectFilters`.
    init(_ values: [String: [String]]) throws(EngineError) {
        filters = try ObjectFilters(values, known: Self.known)
    }

    /// - Parameters:
    ///   - isBuiltIn: `host` and `none`.
    ///   - createdAt: Nanoseconds since 1970.
    func matches(_ network: NetworkInspect, isBuiltIn: Bool, isUsed: Bool, createdAt: Nanoseconds) -> Bool {
        guard filters.matches(created: createdAt, labels: network.Labels) else { return false }
        return filters.values.allSatisfy { key, wanted in
            switch key {
            case "name": wanted.contains { network.Name.contains($0) }
            case "id": wanted.contains { network.Id.hasPrefix($0) }
            case "driver": wanted.contains(network.Driver)
            case "scope": wanted.contains(network.Scope)
            case "type": wanted.contains(isBuiltIn ? "builtin" : "custom")
            case "dangling": wanted.contains { ObjectFilters.truth($0) == (!isBuiltIn && !isUsed) }
            default: true
            }
        }
    }
}
