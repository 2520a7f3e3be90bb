import EngineWire
import StackModel

/// `filters` of a list or of a prune, as far as they are alike for everything: which keys there are, labels and ages.
/// Every key must be met, by all of its values (Docker Engine API, `filters`).
struct ObjectFilters: Sendable {
    let values: [String: [String]]
    /// Of `until`, seen from when the filters were read.
    private let moments: [Nanoseconds]

    /// - Throws: `badRequest` for a key that is not `known`, a `dangling` or `all` that is no truth, an `until` that is
    ///   no time: a filter that were passed over would let things be removed that nobody meant.
    init(_ values: [String: [String]], known: Set<String>, now: Nanoseconds = Clock.now()) throws(EngineError) {
        self.values = values
        for key in values.keys.sorted() where !known.contains(key) {
            throw .badRequest("invalid filter '\(key)'; use \(known.sorted().joined(separator: ", "))")
        }
        for key in ["all", "dangling"] {
            for value in values[key] ?? [] where Self.truth(value) == nil {
                throw .badRequest("invalid filter '\(key)=\(value)': it is true or false")
            }
        }
        var moments: [Nanoseconds] = []
        for value in values["until"] ?? [] {
            guard let moment = Moment(argument: value, now: Moment(nanoseconds: now)) else {
                throw .badRequest(
                    "invalid filter 'until=\(value)': write an age such as 24h or 1h30m, a time such as "
                        + "2026-01-31T10:00:00Z, or seconds since 1970")
            }
            moments.append(moment.nanoseconds)
        }
        self.moments = moments
    }

    /// nil: it does not matter.
    func truth(_ key: String) -> Bool? { values[key]?.first.flatMap(Self.truth) }

    static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "1", "t", "true": true
        case "0", "f", "false": false
        default: nil
        }
    }

    /// Whether `label`, `label!` and `until` are met.
    func matches(created: Nanoseconds, labels: [String: String]) -> Bool {
        (values["label"] ?? []).allSatisfy { Self.has($0, labels) }
            && !(values["label!"] ?? []).contains { Self.has($0, labels) } && moments.allSatisfy { created <= $0 }
    }

    /// `KEY` or `KEY=VALUE`.
    private static func has(_ label: String, _ labels: [String: String]) -> Bool {
        guard let equals = label.firstIndex(of: "=") else { return labels[label] != nil }
        return labels[String(label[..<equals])] == String(label[label.index(after: equals)...])
    }
}
