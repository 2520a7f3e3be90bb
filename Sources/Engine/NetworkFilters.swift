import EngineWire

/// `filters` of `GET /networks` and `POST /networks/prune`: every key must be met, by one of its values (`label` by
/// all).
public struct NetworkFilters: Sendable {
    public var values: [String: [String]]

    public init(_ values: [String: [String]] = [:]) { self.values = values }

    private static let known: Set<String> = [
        "name", "id", "driver", "label", "label!", "type", "dangling", "scope", "until",
    ]

    /// - Throws: `badRequest` for a key that there is not.
    func check() throws(EngineError) {
        for key in values.keys.sorted() where !Self.known.contains(key) {
            throw .badRequest("there is no network filter '\(key)'; use \(Self.known.sorted().joined(separator: ", "))")
        }
    }

    /// - Parameters:
    ///   - isBuiltIn: `host` and `none`.
    ///   - createdAt: Nanoseconds since 1970.
    func matches(_ network: NetworkInspect, isBuiltIn: Bool, isUsed: Bool, createdAt: Nanoseconds) -> Bool {
        values.allSatisfy { key, wanted in
            switch key {
            case "name": wanted.contains { network.Name.contains($0) }
            case "id": wanted.contains { network.Id.hasPrefix($0) }
            case "driver": wanted.contains(network.Driver)
            case "scope": wanted.contains(network.Scope)
            case "label": wanted.allSatisfy { Self.has($0, network.Labels) }
            case "label!": !wanted.contains { Self.has($0, network.Labels) }
            case "type": wanted.contains(isBuiltIn ? "builtin" : "custom")
            case "dangling":
                wanted.contains { ["1", "true", "t"].contains($0.lowercased()) == (!isBuiltIn && !isUsed) }
            case "until": wanted.contains { Self.moment($0).map { createdAt <= $0 } ?? false }
            default: false
            }
        }
    }

    /// `KEY` or `KEY=VALUE`.
    static func has(_ label: String, _ labels: [String: String]) -> Bool {
        guard let equals = label.firstIndex(of: "=") else { return labels[label] != nil }
        return labels[String(label[..<equals])] == String(label[label.index(after: equals)...])
    }

    /// Seconds since 1970, or an age such as `10m` or `24h`.
    static func moment(_ text: String) -> Nanoseconds? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
        if let seconds = Double(text), abs(seconds) < 1e10 { return Nanoseconds(seconds * 1e9) }
        guard let unit = text.last.flatMap({ units[$0] }), let count = Double(text.dropLast()), abs(count) < 1e8 else {
            return nil
        }
        return Clock.now() - Nanoseconds(count * unit * 1e9)
    }
}
