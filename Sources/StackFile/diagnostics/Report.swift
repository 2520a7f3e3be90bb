import StackModel

/// Collects what one load has to say, with the source lines that the messages point at.
final class Report {
    /// More errors than this say nothing new.
    static let errorsMax = 20
    static let warningsMax = 200

    private(set) var errors: [Diagnostic] = []
    private(set) var warnings: [Diagnostic] = []
    private var texts: [String: [Substring]] = [:]
    private var warnedOnce: Set<String> = []

    var hasErrors: Bool { !errors.isEmpty }

    /// Keeps the text of a file for the source lines of messages.
    func remember(_ bytes: [UInt8], file: String) {
        texts[file] = String(decoding: bytes, as: UTF8.self)
            .split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    }

    func error(_ code: String, _ message: String, at mark: SourceMark?, hint: String? = nil) {
        add(Diagnostic(.error, code: code, message, source: mark, hint: hint))
    }

    func warning(_ code: String, _ message: String, at mark: SourceMark?, hint: String? = nil) {
        add(Diagnostic(.warning, code: code, message, source: mark, hint: hint))
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
            guard errors.count < Self.errorsMax, !errors.contains(diagnostic) else { return }
            errors.append(diagnostic)
        case .warning:
            guard warnings.count < Self.warningsMax, !warnings.contains(diagnostic) else { return }
            warnings.append(diagnostic)
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

    /// Throws when there are errors; they come sorted by place.
    func check() throws(StackFileError) {
        if hasErrors { throw StackFileError(diagnostics: errors) }
    }

    private func line(at mark: SourceMark) -> String? {
        guard let lines = texts[mark.file], mark.line >= 1, mark.line <= lines.count else { return nil }
        return String(lines[mark.line - 1])
    }
}
