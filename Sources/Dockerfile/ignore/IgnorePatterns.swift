import StackModel

/// Patterns of `.dockerignore`, and of COPY and ADD --exclude, as Docker's patternmatcher reads them: Go's
/// filepath.Match and `**`, `!` for exceptions; the last pattern that matches counts. Case counts.
public struct IgnorePatterns: Equatable, Sendable {
    struct Entry: Equatable, Sendable {
        var isException: Bool
        var pattern: PathPattern
    }

    private(set) var entries: [Entry] = []

    /// The most patterns of one file.
    public static let countMax = 100_000

    /// The content of a `.dockerignore`; `name` is for messages.
    public init(parsing bytes: [UInt8], name: String = ".dockerignore") throws(DockerfileError) {
        guard bytes.count <= Dockerfile.bytesMax else {
            let message = "the file has \(bytes.count) bytes, more than \(Dockerfile.bytesMax)"
            throw SourceFile(name: name, lines: []).error([Fault(.limit, message, at: .start)])
        }
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = bytes.starts(with: mark) ? bytes[3...] : bytes[...]
        let lines = text.split(separator: 0x0A, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        let file = SourceFile(name: name, lines: lines)
        var faults: [Fault] = []
        for (index, line) in lines.enumerated() where !line.hasScalarPrefix("#") && faults.count < Dockerfile.errorsMax
        {
            let start = SourcePosition(line: index + 1, column: 1)
            let end = SourcePosition(line: index + 1, column: line.unicodeScalars.count + 1)
            do throws(Fault) {
                try add(line.trimmed, SourceRange(start: start, end: end))
            } catch {
                faults.append(error)
            }
        }
        guard faults.isEmpty else { throw file.error(faults) }
    }

    /// Patterns that stand somewhere else, such as `--exclude`.
    public init(_ patterns: [Word]) throws(DockerfileError) {
        for word in patterns {
            do throws(Fault) {
                try add(word.text.trimmed, word.range)
            } catch {
                throw SourceFile(name: "--exclude", lines: []).error([error])
            }
        }
    }

    /// Patterns without a file, such as a watch rule's `ignore`; `name` is for messages.
    public init(_ patterns: [String], name: String) throws(DockerfileError) {
        let start = SourcePosition(line: 1, column: 1)
        for pattern in patterns {
            do throws(Fault) {
                try add(pattern.trimmed, SourceRange(start: start, end: start))
            } catch {
                throw SourceFile(name: name, lines: []).error([error])
            }
        }
    }

    /// Without all that is no exception when one pattern is `*`: how Docker Compose reads ignore files where it watches
    /// folders, because such a file lists what a build needs, not what a developer edits.
    public var withoutCatchAll: IgnorePatterns {
        guard entries.contains(where: { !$0.isException && $0.pattern == PathPattern("*") }) else { return self }
        var result = self
        result.entries.removeAll { !$0.isException }
        return result
    }

    private mutating func add(_ line: String, _ range: SourceRange) throws(Fault) {
        guard !line.isEmpty else { return }
        guard entries.count < Self.countMax else {
            throw Fault(.limit, "more than \(Self.countMax) patterns", at: range)
        }
        let isException = line.hasScalarPrefix("!")
        let text = isException ? String(scalars: line.unicodeScalars.dropFirst()).trimmed : line
        guard !text.isEmpty else {
            throw Fault(.value, "illegal exclusion pattern: \"!\"", at: range, hint: "write a pattern behind '!'")
        }
        guard let pattern = PathPattern(Self.cleaned(text)) else {
            throw Fault(
                .value, "syntax error in pattern \(GoValue.quoted(text))", at: range,
                hint: "a '[' needs its ']', and a '\\' a character behind it")
        }
        entries.append(Entry(isException: isException, pattern: pattern))
    }

    /// filepath.Clean, without a slash at the start: `./a//b/../c/` is `a/c`.
    static func cleaned(_ path: String) -> String {
        let isAbsolute = path.hasScalarPrefix("/")
        var parts: [String] = []
        for part in String(scalars: path.unicodeScalars).split(separator: "/").map(String.init) where part != "." {
            if part != ".." {
                parts.append(part)
            } else if let last = parts.last, last != ".." {
                parts.removeLast()
            } else if !isAbsolute {
                parts.append(part)
            }
        }
        return parts.isEmpty ? (isAbsolute ? "/" : ".") : parts.joined(separator: "/")
    }

    public var isEmpty: Bool { entries.isEmpty }

    /// Whether there are `!` patterns.
    public var hasExceptions: Bool { entries.contains { $0.isException } }

    /// Whether `path`, relative to the context and separated by `/`, is ignored, by itself or by a folder above it. The
    /// context itself never is.
    public func ignores(_ path: String) -> Bool {
        let path = Self.cleaned(path)
        if path == "." || path == "/" { return false }
        let components = path.split(separator: "/")
        var walk = Walk()
        for count in 1...components.count {
            walk = follow(components.prefix(count).joined(separator: "/"), walk)
        }
        return walk.isIgnored
    }

    /// What is known of a folder, for what it contains.
    public struct Walk: Equatable, Sendable {
        public fileprivate(set) var isIgnored = false
        /// Which patterns the folder or one above it matches.
        fileprivate var matched: [Bool] = []

        public init() {}
    }

    /// What holds for `path`, whose folder is known as `parent`. A walk through a tree asks this once for each entry.
    public func follow(_ path: String, _ parent: Walk) -> Walk {
        let scalars = Array(path.unicodeScalars)
        var result = Walk()
        result.matched = parent.matched.isEmpty ? [Bool](repeating: false, count: entries.count) : parent.matched
        for (index, entry) in entries.enumerated() {
            if !result.matched[index] { result.matched[index] = entry.pattern.matches(scalars) }
            if result.matched[index] { result.isIgnored = !entry.isException }
        }
        return result
    }

    /// Whether nothing beneath the ignored folder `path` can be an exception, so that it need not be opened.
    public func canSkip(_ path: String, _ walk: Walk) -> Bool {
        guard walk.isIgnored else { return false }
        let folder = Array((path + "/").unicodeScalars)
        return !entries.contains { $0.isException && $0.pattern.mayMatch(beneath: folder) }
    }
}
