import StackModel

/// Collects what one load has to say, with the source lines that the messages point at.
final class Report {
    /// More errors than this say nothing new.
    static let errorsMax = 20
    static let warningsMax = 200

    /// The stack is to be brought up, not only to be shown.
    let isForUse: Bool
    private var foundErrors: [Diagnostic] = []
    private var foundWarnings: [Diagnostic] = []
    private var texts: [String: [Substring]] = [:]
    /// Files in the order of reading.
    private var ranks: [String: Int] = [:]
    private var warnedOnce: Set<String> = []

    init(isForUse: Bool = true) { self.isForUse = isForUse }

    var errorCount: Int { foundErrors.count }
    var errorMarks: Set<SourceMark> { Set(foundErrors.compactMap(\.source)) }
    var errors: [Diagnostic] { sorted(foundErrors) }
    var warnings: [Diagnostic] { sorted(foundWarnings) }

    /// Keeps the text of a file for the source lines of messages.
    func remember(_ bytes: [UInt8], file: String) {
        if ranks[file] == nil { ranks[file] = ranks.count }
        texts[file] = String(decoding: bytes, as: UTF8.self)
            .split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    }

    func error(_ code: String, _ message: String, at mark: SourceMark?, hint: String? = nil) {
        add(Diagnostic(.error, code: code, message, source: mark, hint: hint))
    }

    func warning(_ code: String, _ message: String, at mark: SourceMark?, hint: String? = nil) {
        add(Diagnostic(.warning, code: code, message, source: mark, hint: hint))
    }

    /// What Docker Compose shows and would fail with when it is brought up: an error then, a warning before.
    func unusable(_ code: String, _ message: String, at mark: SourceMark?, hint: String? = nil) {
        add(Diagnostic(isForUse ? .error : .warning, code: code, message, source: mark, hint: hint))
    }

    /// A warning that is given once for each `key`, however often the occasion arises.
    func warnOnce(_ key: String, _ code: String, _ message: String, at mark: SourceMark?, hint: String? = nil) {
        guard warnedOnce.insert(code + "\u{0}" + key).inserted else { return }
        warning(code, message, at: mark, hint: hint)
    }

    func add(_ diagnostic: Diagnostic) {
        var diagnostic = diagnostic
        if let mark = diagnostic.source, diagnostic.sourceLine == nil { diagnostic.sourceLine = line(at: mark) }
        switch diagnostic.severity {
        case .error:
            guard foundErrors.count < Self.errorsMax, !foundErrors.contains(diagnostic) else { return }
            foundErrors.append(diagnostic)
        case .warning:
            guard foundWarnings.count < Self.warningsMax, !foundWarnings.contains(diagnostic) else { return }
            foundWarnings.append(diagnostic)
        }
    }

    /// The mark of `needle` when it stands in the mark's line at or after the mark, else the mark itself.
    func locate(_ needle: String, from mark: SourceMark) -> SourceMark {
        guard let line = line(at: mark), mark.column >= 1 else { return mark }
        let tail = line.unicodeScalars.dropFirst(mark.column - 1)
        let wanted = Array(needle.unicodeScalars)
        guard !wanted.isEmpty, tail.count >= wanted.count else { return mark }
        let characters = Array(tail)
        for offset in 0...(characters.count - wanted.count)
        where characters[offset..<(offset + wanted.count)].elementsEqual(wanted) {
            return SourceMark(file: mark.file, line: mark.line, column: mark.column + offset)
        }
        return mark
    }

    func hasError(at mark: SourceMark) -> Bool { foundErrors.contains { $0.source == mark } }

    /// Throws when there are errors; they come sorted by place.
    func check() throws(StackFileError) {
        if errorCount > 0 { throw StackFileError(diagnostics: errors) }
    }

    /// By place; what has no place comes first.
    private func sorted(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        func key(_ index: Int) -> [Int] {
            guard let mark = diagnostics[index].source else { return [-1, 0, 0, index] }
            return [ranks[mark.file] ?? ranks.count, mark.line, mark.column, index]
        }
        return diagnostics.indices.sorted { key($0).lexicographicallyPrecedes(key($1)) }.map { diagnostics[$0] }
    }

    private func line(at mark: SourceMark) -> String? {
        guard let lines = texts[mark.file], mark.line >= 1, mark.line <= lines.count else { return nil }
        return String(lines[mark.line - 1])
    }
}
