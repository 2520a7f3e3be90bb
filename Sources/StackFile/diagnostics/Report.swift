import StackModel

/// Collects what one load has to say, with the source lines that the messages point at.
final class Report {
    /// More errors than this say nothing new.
    static let errorsMax = 20
    static let warningsMax = 200
    /// Characters of a message or a hint.
    static let messageMax = 1000
    /// Files that bring each other in.
    static let chainMax = 100

    /// The stack is to be brought up, not only to be shown.
    let isForUse: Bool
    /// Notes what becomes of the values, when somebody asks for it.
    var provenance: Provenance?
    /// Some file says `!reset` or `!override`.
    var hasMergeTags = false
    private var foundErrors: [Diagnostic] = []
    private var foundWarnings: [Diagnostic] = []
    /// The files' bytes; few of them are asked for lines.
    private var bytes: [String: [UInt8]] = [:]
    private var lines: [String: [Substring]] = [:]
    /// The documents of stack files as written.
    private var trees: [String: [Node]] = [:]
    /// Files in the order of reading.
    private var ranks: [String: Int] = [:]
    private var origins: [String: Diagnostic.Origin] = [:]
    private var warnedOnce: Set<String> = []
    /// Variables that were substituted and whose names say that they are secret.
    private(set) var secretVariables: [String: String] = [:]
    private var damaged: Set<SourceMark> = []
    private var budget = LoadBudget()
    private var ignored: Set<Place> = []

    init(isForUse: Bool = true) { self.isForUse = isForUse }

    /// Further errors are not taken.
    var isFull: Bool { foundErrors.count >= Self.errorsMax }
    var errorCount: Int { foundErrors.count }
    var errorMarks: Set<SourceMark> { Set(foundErrors.compactMap(\.source)).union(damaged) }
    /// By place.
    var errors: [Diagnostic] { withPaths(sorted(foundErrors)) }
    /// By place.
    var warnings: [Diagnostic] { withPaths(sorted(foundWarnings)) }

    func noteSecret(_ name: String, _ value: String) { secretVariables[name] = value }

    /// Keeps the text of a file for the source lines of messages, and what brought the file in first.
    func remember(_ bytes: [UInt8], file: String, from origin: Diagnostic.Origin? = nil) {
        if ranks[file] == nil {
            ranks[file] = ranks.count
            if let origin, origin.mark.file != file { origins[file] = origin }
        }
        self.bytes[file] = bytes
        lines[file] = nil
    }

    /// Keeps the tree of a file for the stack paths of messages.
    func remember(_ documents: [Node], file: String) { trees[file] = documents }

    func error(
        _ code: String, _ message: String, at mark: SourceMark?, hint: String? = nil, notes: [Diagnostic.Note] = []
    ) {
        add(Diagnostic(.error, code: code, message, source: mark, hint: hint, notes: notes))
    }

    /// The value at `mark` suffers from an error that was reported elsewhere.
    func markDamaged(_ mark: SourceMark) { damaged.insert(mark) }

    func warning(_ code: String, _ message: String, at mark: SourceMark?, hint: String? = nil) {
        add(Diagnostic(.warning, code: code, message, source: mark, hint: hint))
    }

    /// What Docker Compose shows and would fail with when it is brought up: an error then, a warning before.
    func unusable(
        _ code: String, _ message: String, at mark: SourceMark?, hint: String? = nil, notes: [Diagnostic.Note] = []
    ) {
        add(Diagnostic(isForUse ? .error : .warning, code: code, message, source: mark, hint: hint, notes: notes))
    }

    /// Whether nothing has been said about an ignored key at this place: an anchor may bring it to many services.
    func isFirst(at place: Place) -> Bool { ignored.insert(place).inserted }

    /// A warning that is given once for each `key`, however often the occasion arises.
    /// Where and what to do are found out only for a warning that is given.
    func warnOnce(
        _ key: String, _ code: String, _ message: String, at mark: @autoclosure () -> SourceMark?,
        hint: @autoclosure () -> String? = nil
    ) {
        guard foundWarnings.count < Self.warningsMax else { return }
        guard warnedOnce.insert(code + "\u{0}" + key).inserted else { return }
        warning(code, message, at: mark(), hint: hint())
    }

    /// Counts against a limit of the whole load; false, after an error, when it is passed.
    func take(_ amount: Int, of kind: LoadBudget.Kind, at mark: SourceMark?) -> Bool {
        let wasExhausted = budget.isExhausted(kind)
        if budget.take(amount, of: kind) { return true }
        if !wasExhausted { error("stack.limit", kind.message, at: mark) }
        return false
    }

    func isExhausted(_ kind: LoadBudget.Kind) -> Bool { budget.isExhausted(kind) }

    func add(_ diagnostic: Diagnostic) {
        if diagnostic.severity == .error ? isFull : foundWarnings.count >= Self.warningsMax { return }
        var diagnostic = diagnostic
        diagnostic.message = Self.cut(diagnostic.message)
        diagnostic.hint = diagnostic.hint.map(Self.cut)
        if let mark = diagnostic.source {
            if diagnostic.sourceLine == nil { diagnostic.sourceLine = line(at: mark) }
            if diagnostic.severity == .error, let hint = curlyQuoteHint(at: mark) { diagnostic.hint = hint }
            if diagnostic.chain.isEmpty { diagnostic.chain = chain(of: mark.file) }
        }
        for index in diagnostic.notes.indices where diagnostic.notes[index].sourceLine == nil {
            diagnostic.notes[index].sourceLine = line(at: diagnostic.notes[index].mark)
        }
        switch diagnostic.severity {
        case .error:
            guard !foundErrors.contains(diagnostic) else { return }
            foundErrors.append(diagnostic)
        case .warning:
            guard !foundWarnings.contains(diagnostic) else { return }
            foundWarnings.append(diagnostic)
        }
    }

    /// Values and names of stack files go into messages, and these may be of any length.
    private static func cut(_ text: String) -> String {
        guard text.utf8.count > messageMax else { return text }
        let shown = text.prefix(messageMax)
        return shown.endIndex == text.endIndex ? text : shown + "…"
    }

    func hasError(_ code: String, at mark: SourceMark) -> Bool {
        foundErrors.contains { $0.source == mark && $0.code == code }
    }

    func hasError(at mark: SourceMark) -> Bool { foundErrors.contains { $0.source == mark } }

    /// Throws when there are errors; they come sorted by place, together with the warnings about variables that are not
    /// set, which are often why.
    func check() throws(StackFileError) {
        guard errorCount > 0 else { return }
        let unset = foundWarnings.filter { $0.code == "stack.unset-variable" }
        let shown = foundErrors + unset.prefix(Self.errorsMax - foundErrors.count)
        throw StackFileError(diagnostics: withPaths(sorted(shown)))
    }

    /// The text of the mark's line when its file is known.
    func line(at mark: SourceMark) -> String? {
        guard let lines = lines(of: mark.file), mark.line >= 1, mark.line <= lines.count else { return nil }
        return String(lines[mark.line - 1])
    }

    /// What brought a file in, and what brought that file in, to a file that the user named.
    private func chain(of file: String) -> [Diagnostic.Origin] {
        var chain: [Diagnostic.Origin] = []
        var seen: Set<String> = [file]
        var next = origins[file]
        while let origin = next, chain.count < Self.chainMax {
            chain.append(origin)
            next = seen.insert(origin.mark.file).inserted ? origins[origin.mark.file] : nil
        }
        return chain
    }

    /// By place; what has no place comes first.
    private func sorted(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        func key(_ index: Int) -> [Int] {
            guard let mark = diagnostics[index].source else { return [-1, 0, 0, index] }
            return [ranks[mark.file] ?? ranks.count, mark.line, mark.column, index]
        }
        return diagnostics.indices.sorted { key($0).lexicographicallyPrecedes(key($1)) }.map { diagnostics[$0] }
    }

    private func withPaths(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        let wanted = Dictionary(grouping: diagnostics.compactMap { $0.path == nil ? $0.source : nil }, by: \.file)
        var paths: [SourceMark: String] = [:]
        for (file, marks) in wanted {
            paths.merge(stackPaths(of: Set(marks), in: trees[file] ?? [])) { first, _ in first }
        }
        return diagnostics.map { diagnostic in
            guard diagnostic.path == nil, let mark = diagnostic.source, let path = paths[mark] else {
                return diagnostic
            }
            var result = diagnostic
            result.path = path
            return result
        }
    }

    private func lines(of file: String) -> [Substring]? {
        if let known = lines[file] { return known }
        guard let bytes = bytes[file] else { return nil }
        let split = sourceLines(bytes)
        lines[file] = split
        return split
    }

}

/// The lines of a text file. Lines end as in YAML 1.1 (which libyaml counts by): LF, CR LF, CR, NEL, LS, PS. A
/// byte-order mark is no part of the first line.
func sourceLines(_ bytes: [UInt8]) -> [Substring] {
    var lines: [Substring] = []
    var start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    var position = start
    while position < bytes.count {
        let width = lineBreakWidth(bytes, at: position)
        if width > 0 {
            lines.append(Substring(decoding: bytes[start..<position], as: UTF8.self))
            start = position + width
        }
        position += max(width, 1)
    }
    lines.append(Substring(decoding: bytes[start...], as: UTF8.self))
    return lines
}

/// Bytes of the line break at a position, 0 when there is none (YAML 1.1, section 5.4, which libyaml counts by).
private func lineBreakWidth(_ bytes: [UInt8], at position: Int) -> Int {
    func byte(_ offset: Int) -> UInt8? { position + offset < bytes.count ? bytes[position + offset] : nil }
    switch bytes[position] {
    case 0x0A: return 1
    case 0x0D: return byte(1) == 0x0A ? 2 : 1
    case 0xC2: return byte(1) == 0x85 ? 2 : 0
    case 0xE2: return byte(1) == 0x80 && (byte(2) == 0xA8 || byte(2) == 0xA9) ? 3 : 0
    default: return 0
    }
}
