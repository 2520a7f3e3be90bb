import EngineWire
import Glibc
import Images

/// `filters` of `GET /images/json` and `POST /images/prune`: every key must be met, by one of its values (`label` and
/// `until` by all).
struct ImageFilters: Sendable {
    static let listKeys: Set<String> = ["dangling", "label", "label!", "before", "since", "reference", "until"]
    /// Those that `pruneImages` looks at: any other would be one that it passes over.
    static let pruneKeys: Set<String> = ["dangling", "label", "label!", "until"]

    private let filters: ObjectFilters
    /// Of `before` and `since`: creation of the images named there, seconds since 1970.
    var before: Int64?
    var since: Int64?

    /// - Throws: as `ObjectFilters`.
    init(_ values: [String: [String]], known: Set<String>) throws(EngineError) {
        filters = try ObjectFilters(values, known: known)
    }

    /// nil: it does not matter.
    var dangling: Bool? { filters.truth("dangling") }

    /// Without `reference` and `dangling`, which are about names.
    func matches(createdSeconds: Int64, labels: [String: String]) -> Bool {
        if let before, createdSeconds >= before { return false }
        if let since, createdSeconds <= since { return false }
        // What an image says of its own age may be any time at all.
        let (created, overflow) = createdSeconds.multipliedReportingOverflow(by: 1_000_000_000)
        return filters.matches(created: overflow ? (createdSeconds < 0 ? .min : .max) : created, labels: labels)
    }

    /// The names that a list shows; nil when the image is not in it.
    func names(_ tags: [String]) -> [String]? {
        if let dangling, dangling != tags.isEmpty { return nil }
        guard let patterns = filters.values["reference"] else { return tags }
        let matching = tags.filter { tag in patterns.contains { Self.matches(tag, pattern: $0) } }
        return matching.isEmpty ? nil : matching
    }

    /// The names with a digest that go with them.
    func digestNames(_ names: [String]) -> [String] {
        guard let patterns = filters.values["reference"] else { return names }
        return names.filter { name in
            let bare = String(name.prefix { $0 != "@" })
            return patterns.contains { pattern in
                // The pattern may be about tags, too: of that nothing is known here.
                Self.matches(bare, pattern: pattern) || fnmatch(pattern, name, FNM_PATHNAME) == 0
                    || Self.matches(bare, pattern: Self.withoutTag(pattern))
            }
        }
    }

    private static func withoutTag(_ pattern: String) -> String {
        let start = pattern.lastIndex(of: "/") ?? pattern.startIndex
        return pattern[start...].firstIndex(of: ":").map { String(pattern[..<$0]) } ?? pattern
    }

    /// A shell's pattern (fnmatch(3), `*` ends at a slash) against the name, with and without its tag.
    static func matches(_ tag: String, pattern: String) -> Bool {
        let start = tag.lastIndex(of: "/") ?? tag.startIndex
        let name = tag[start...].lastIndex(of: ":").map { String(tag[..<$0]) } ?? tag
        return fnmatch(pattern, tag, FNM_PATHNAME) == 0 || fnmatch(pattern, name, FNM_PATHNAME) == 0
    }
}
