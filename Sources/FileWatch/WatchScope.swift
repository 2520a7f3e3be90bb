import Dockerfile
import StackModel

/// Ignore patterns that count from a folder.
public struct PathFilter: Equatable, Sendable {
    /// Absolute, without a slash at the end but for `/` itself.
    let base: String
    let patterns: IgnorePatterns

    /// - Parameter base: an absolute, clean path.
    public init(base: String, patterns: IgnorePatterns) {
        self.base = base
        self.patterns = patterns
    }

    /// The `ignore` of a watch rule. An absolute pattern below `base` counts from there.
    public static func ignoring(_ texts: [String], base: String) throws(FileWatchError) -> PathFilter {
        PathFilter(base: base, patterns: try parsed(texts.map { relative($0, base) }).withoutCatchAll)
    }

    /// The `include` of a watch rule: all is ignored but what one of the patterns names, `!` taking it out again.
    public static func including(_ texts: [String], base: String) throws(FileWatchError) -> PathFilter {
        let exceptions = texts.map { text in
            let relative = relative(text, base)
            return relative.hasPrefix("!") ? String(relative.dropFirst()) : "!\(relative)"
        }
        return PathFilter(base: base, patterns: try parsed(["**"] + exceptions))
    }

    /// What no rule wants to hear of: the repository's own folder, and what editors keep while a file is open
    /// (JetBrains, Emacs, Vim), the list that Docker Compose has.
    public static let ofEditors: PathFilter = {
        let texts = [
            "**/.git", "**/*___jb_old___", "**/*___jb_tmp___", "**/.idea", "**/.#*", "**/4913", "**/*~",
            "**/.*.swp", "**/.*.swx", "**/.*.swo", "**/.*.swn",
        ]
        do throws(FileWatchError) {
            return PathFilter(base: "/", patterns: try parsed(texts))
        } catch {
            preconditionFailure("the list of editors' files: \(error)")
        }
    }()

    private static func parsed(_ texts: [String]) throws(FileWatchError) -> IgnorePatterns {
        do throws(DockerfileError) {
            return try IgnorePatterns(texts, name: "a watch rule")
        } catch {
            throw .pattern(error.diagnostics.first?.message ?? "a pattern of a watch rule means nothing")
        }
    }

    private static func relative(_ text: String, _ base: String) -> String {
        let isException = text.hasPrefix("!")
        let path = isException ? String(text.dropFirst()) : text
        guard let rest = pathBelow(base, path), !rest.isEmpty else { return text }
        return (isException ? "!" : "") + rest
    }
}

/// One watched file or folder, and what of it counts.
public struct WatchScope: Equatable, Sendable {
    /// Absolute and clean; a file, a folder, or nothing yet.
    public let root: String
    private let filters: [PathFilter]

    public init(root: String, filters: [PathFilter]) {
        self.root = root
        self.filters = filters
    }

    /// What is known of a folder, for what it contains: one walk for each filter.
    struct State: Equatable, Sendable {
        fileprivate var walks: [IgnorePatterns.Walk]
    }

    /// Whether a change of `path` counts.
    public func includes(_ path: String) -> Bool {
        guard isOrIsBelow(path, root) else { return false }
        return isWanted(state(of: path))
    }

    func state(of path: String) -> State {
        State(
            walks: filters.map { filter in
                guard let below = pathBelow(filter.base, path), !below.isEmpty else { return IgnorePatterns.Walk() }
                var walk = IgnorePatterns.Walk()
                for end in below.indices where below[end] == "/" {
                    walk = filter.patterns.follow(String(below[..<end]), walk)
                }
                return filter.patterns.follow(below, walk)
            })
    }

    /// What holds for `path`, whose folder is known as `parent`.
    func state(of path: String, in parent: State) -> State {
        var state = parent
        for (index, filter) in filters.enumerated() {
            guard let below = pathBelow(filter.base, path), !below.isEmpty else { continue }
            state.walks[index] = filter.patterns.follow(below, parent.walks[index])
        }
        return state
    }

    func isWanted(_ state: State) -> Bool { !state.walks.contains { $0.isIgnored } }

    /// Whether nothing in the folder `path` counts, so that it need not be watched.
    func canSkip(_ path: String, _ state: State) -> Bool {
        for (index, filter) in filters.enumerated() {
            guard let below = pathBelow(filter.base, path), !below.isEmpty else { continue }
            if filter.patterns.canSkip(below, state.walks[index]) { return true }
        }
        return false
    }
}

/// `path` counted from `base`, empty for `base` itself, nil when it is elsewhere. Both absolute and clean.
public func pathBelow(_ base: String, _ path: String) -> String? {
    if path == base { return "" }
    let folder = base.hasSuffix("/") ? base : base + "/"
    return path.utf8.starts(with: folder.utf8) ? String(path.utf8.dropFirst(folder.utf8.count)) : nil
}

func isOrIsBelow(_ path: String, _ base: String) -> Bool { pathBelow(base, path) != nil }

func joined(_ folder: String, _ name: String) -> String {
    folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
}

/// `paths` without those that are below another of them, each once, sorted. All are absolute and clean.
public func topmost(of paths: [String]) -> [String] {
    let all = Set(paths)
    return all.filter { path in !foldersAbove(path).contains { all.contains($0) } }.sorted()
}

/// From `/` down, without the path itself.
func foldersAbove(_ path: String) -> [String] {
    var result: [String] = []
    for index in path.indices where path[index] == "/" {
        result.append(index == path.startIndex ? "/" : String(path[..<index]))
    }
    return path == "/" ? [] : result
}
