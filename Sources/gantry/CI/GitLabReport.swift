import Images
import StackModel

/// GitLab's Code Quality report: warnings and errors with their lines, and replicas that failed
/// (docs.gitlab.com/ci/testing/code_quality, "Code Quality report format").
func codeQuality(_ report: RunReport, _ places: FilePlaces, stackFile: String?) -> String {
    var seen: Set<String> = []
    let all = report.diagnostics + report.failures.map(failureDiagnostic)
    let items = all.compactMap { diagnostic -> JSONText? in
        // The format knows no message without a place.
        guard let file = diagnostic.source?.file ?? stackFile else { return nil }
        let path = places.name(file)
        let line = diagnostic.source?.line ?? 1
        let key = "\(diagnostic.code)\0\(path)\0\(line)\0\(diagnostic.message)"
        guard seen.insert(key).inserted else { return nil }
        let text = diagnostic.message + (diagnostic.hint.map { "; \($0)" } ?? "")
        return .object([
            ("description", .string(harmless(text))), ("check_name", .string(diagnostic.code)),
            ("fingerprint", .string(Digest.sha256(of: Array(key.utf8)).hex)),
            ("severity", .string(diagnostic.severity == .error ? "major" : "minor")),
            ("location", .object([("path", .string(path)), ("lines", .object([("begin", .number(line))]))])),
        ])
    }
    return JSONText.array(items).text + "\n"
}

/// Variables for later jobs (`artifacts: reports: dotenv`): one line each, without quotes.
func dotenv(_ report: RunReport) -> String {
    outputs(report).map { name, value in
        "GANTRY_\(name.uppercased())=\(String(value.map { $0.isNewline ? " " : $0 }))\n"
    }.joined()
}

/// What the merge request's widget for plans reads (`artifacts: reports: terraform`).
func terraformCounts(_ report: RunReport) -> String {
    let counts = report.planCounts
    return JSONText.object([
        ("create", .number(counts.create)), ("update", .number(counts.update)), ("delete", .number(counts.delete)),
    ]).text + "\n"
}
