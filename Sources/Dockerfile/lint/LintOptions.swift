/// `# check=skip=RULE,…;error=true;experimental=RULE,…`, as a directive or above an instruction.
public struct LintOptions: Equatable, Sendable {
    public var skipsAll = false
    public var skipped: Set<String> = []
    public var allowsAllExperimental = false
    public var experimental: Set<String> = []
    /// A warning fails the build.
    public var warningsAreErrors = false

    public init() {}

    init(parsing directive: Word?) throws(Fault) {
        guard let directive else { return }
        for part in directive.text.split(separator: ";") {
            guard let (name, value) = String(part).cut("=") else {
                throw Fault(
                    .check, "invalid check option \(GoValue.quoted(String(part).trimmed))", at: directive.range,
                    hint: "write '# check=skip=RULE,RULE;error=true'")
            }
            try set(name.trimmed, value.trimmed, directive)
        }
    }

    private mutating func set(_ name: String, _ value: String, _ directive: Word) throws(Fault) {
        let list = Set(value.split(separator: ",").map { String($0).trimmed })
        switch name {
        case "skip": if value == "all" { skipsAll = true } else { skipped = list }
        case "experimental": if value == "all" { allowsAllExperimental = true } else { experimental = list }
        case "error":
            guard let flag = GoValue.bool(value) else {
                throw Fault(
                    .check, "failed to parse check option \"error=\(value)\"", at: directive.range,
                    hint: "use true or false")
            }
            warningsAreErrors = flag
        default:
            throw Fault(
                .check, "invalid check option \(GoValue.quoted(name))", at: directive.range,
                hint: didYouMean(name, ["skip", "error", "experimental"]) ?? "use skip, error and experimental")
        }
    }

    public func permits(_ rule: LintRule) -> Bool {
        if skipsAll || skipped.contains(rule.rawValue) { return false }
        return !rule.isExperimental || allowsAllExperimental || experimental.contains(rule.rawValue)
    }

    /// With what comments above one instruction add; a comment that cannot be read as options is a comment.
    func merged(with comments: [String]) -> LintOptions {
        var result = self
        for comment in comments {
            guard let (name, value) = comment.cut("="), name.trimmed.lowercased() == "check" else { continue }
            do throws(Fault) {
                let more = try LintOptions(parsing: Word(value.trimmed, at: .start))
                result.skipsAll = result.skipsAll || more.skipsAll
                result.skipped.formUnion(more.skipped)
                result.experimental.formUnion(more.experimental)
            } catch {
                continue
            }
        }
        return result
    }
}

/// The warnings that the options let through.
struct LintReport: Equatable, Sendable {
    private(set) var warnings: [LintWarning] = []
    private var seen: Set<LintWarning> = []
    let options: LintOptions

    init(_ options: LintOptions) { self.options = options }

    mutating func add(_ rule: LintRule, _ message: String, at range: SourceRange, comments: [String] = []) {
        guard !isFull, options.merged(with: comments).permits(rule) else { return }
        add([LintWarning(rule: rule, message: message, range: range)])
    }

    static let warningsMax = 1000

    /// More would not be read.
    var isFull: Bool { warnings.count >= Self.warningsMax }

    /// Says of all but the first `count` that it is at `range`.
    mutating func move(to range: SourceRange, behind count: Int) {
        for index in warnings.indices.dropFirst(count) { warnings[index].range = range }
    }

    mutating func add(_ more: [LintWarning]) {
        for warning in more where !isFull && seen.insert(warning).inserted { warnings.append(warning) }
    }
}
