import StackModel

/// Reads environment files and reports what is wrong with them at their lines.
struct EnvironmentFiles {
    static let bytesMax = 1024 * 1024

    let files: FileAccess
    let report: Report
    /// Where the user is, for the paths in messages.
    let workingDirectory: String

    /// The values of several files, later ones over earlier ones. A missing file is an error at `mark`, or without a
    /// place.
    func load(_ paths: [String], environment: [String: String], at mark: SourceMark? = nil) -> [String: String] {
        var values: [String: String] = [:]
        for path in paths {
            let earlier = values
            let read = load(
                path, raw: false, required: true, lookup: { environment[$0] }, fallback: { earlier[$0] }, at: mark)
            guard let read else { continue }
            report.provenance?.addVariables(read, file: PathText.shown(path, from: workingDirectory))
            values.merge(read) { _, later in later }
        }
        return values
    }

    /// `nil` when the file is missing or wrong.
    func load(
        _ path: String, raw: Bool, required: Bool, lookup: @escaping (String) -> String?,
        fallback: @escaping (String) -> String? = { _ in nil }, at mark: SourceMark?,
        as role: Diagnostic.Origin.Role = .environmentFile
    ) -> [String: String]? {
        let shown = PathText.shown(path, from: workingDirectory)
        let bytes: [UInt8]
        guard !report.isExhausted(.environmentBytes) else { return nil }
        do throws(FileProblem) {
            bytes = try files.read(path, Self.bytesMax)
        } catch {
            if error == .missing, !required { return nil }
            report.error(
                "stack.file", "environment file \(shown) cannot be read: \(error.text)", at: mark,
                hint: missingHint(error, role, at: mark))
            return nil
        }
        report.remember(bytes, file: shown, from: mark.map { Diagnostic.Origin(role, at: $0) })
        let defined = report.provenance?.lineTaker(file: shown)
        do throws(DotenvError) {
            let values =
                raw
                ? try Dotenv.parseRaw(bytes, lookup: { lookup($0) ?? fallback($0) }, defined: defined)
                : try Dotenv.parse(
                    bytes, lookup: lookup, fallback: fallback, unset: { warnOfUnset($0, in: shown, line: $1) },
                    defined: defined)
            let size = values.reduce(bytes.count) { $0 + $1.key.utf8.count + $1.value.utf8.count }
            return report.take(size, of: .environmentBytes, at: mark) ? values : nil
        } catch {
            report.error(
                "stack.env-file", error.message, at: SourceMark(file: shown, line: error.line, column: 1),
                hint: error.hint)
            return nil
        }
    }

    private func warnOfUnset(_ name: String, in file: String, line: Int) {
        let start = SourceMark(file: file, line: line, column: 1)
        report.warnOnce(
            name, "stack.unset-variable", "variable '\(name)' is not set; an empty string is used",
            at: report.locate(from: start, lines: Report.valueLinesMax) { substitution(of: name, in: $0) },
            hint: unsetHint(name, known: []))
    }

    private func missingHint(_ problem: FileProblem, _ role: Diagnostic.Origin.Role, at mark: SourceMark?) -> String? {
        guard problem == .missing, mark != nil else { return nil }
        return role == .environmentFile
            ? "create it, or write it as 'path: …' with 'required: false'" : "create it, or correct the path"
    }
}
