import EngineWire
import Glibc
import Images

/// `filters` of `GET /images/json` and `POST /images/prune`: every key must be met, by one of its values (`label` by
/// all).
struct ImageFilters: Sendable {
    private static let known: Set<String> = [
        "dangling", "label", "label!", "before", "since", "reference", "until",
    ]

    var values: [String: [String]]
    /// Of `before` and `since`: creation of the images named there, seconds since 1970.
    var before: Int64?
    var since: Int64?

    /// - Throws: `badRequest` for a key that there is not, or a value that is no truth or no time.
    init(_ values: [String: [String]]) throws(EngineError) {
        self.values = values
        for key in values.keys.sorted() where !Self.known.contains(key) {
            throw .badRequest("invalid filter '\(key)'; use \(Self.known.sorted().joined(separator: ", "))")
        }
        for value in values["dangling"] ?? [] where Self.truth(value) == nil {
            throw .badRequest("invalid filter 'dangling=\(value)': it is true or false")
        }
        for value in values["until"] ?? [] where NetworkFilters.moment(value) == nil {
            throw .badRequest("invalid filter 'until=\(value)': write an age such as 24h, or seconds since 1970")
        }
    }

    /// nil: it does not matter.
    var dangling: Bool? { values["dangling"]?.first.flatMap(Self.truth) }

    private static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "1", "t", "true": true
        case "0", "f", "false": false
        default: nil
        }
    }

    /// Without `reference` and `dangling`, which are about names.
    func matches(createdSeconds: Int64, labels: [String: String]) -> Bool {
        if let before, createdSeconds >= before { return false }
        if let since, createdSeconds <= since { return false }
        return values.allSatisfy { key, wanted in
            switch key {
            case "label": wanted.allSatisfy { NetworkFilters.has($0, labels) }
            case "label!": !wanted.contains { NetworkFilters.has($0, labels) }
            case "until":
                wanted.allSatisfy { NetworkFilters.moment($0).map { createdSeconds <= $0 / 1_000_000_000 } ?? false }
            default: true
            }
        }
    }

    /// The names that a list shows; nil when the image is not in it.
    func names(_ tags: [String]) -> [String]? {
        if let dangling, dangling != tags.isEmpty { return nil }
        guard let patterns = values["reference"] else { return tags }
        let matching = tags.filter { tag in patterns.contains { Self.matches(tag, pattern: $0) } }
        return matching.isEmpty ? nil : matching
    }

    /// A shell's pattern (fnmatch(3), `*` ends at a slash) against the name, with and without its tag.
    static func matches(_ tag: String, pattern: String) -> Bool {
        let start = tag.lastIndex(of: "/") ?? tag.startIndex
        let name = tag[start...].lastIndex(of: ":").map { String(tag[..<$0]) } ?? tag
        return fnmatch(pattern, tag, FNM_PATHNAME) == 0 || fnmatch(pattern, name, FNM_PATHNAME) == 0
    }
}
