import StackModel

/// One workflow command of GitHub Actions:
/// `::error file=compose.yaml,line=3,col=5,title=stack.type::message%0Ahelp: …`, escaped as the toolkit of GitHub
/// Actions does it (actions/toolkit, packages/core, command.ts).
func renderGitHubAnnotation(_ diagnostic: Diagnostic) -> String {
    var properties: [String] = []
    if let mark = diagnostic.source {
        properties = ["file=" + escapedProperty(mark.file), "line=\(mark.line)", "col=\(mark.column)"]
    }
    properties.append("title=" + escapedProperty(diagnostic.code))
    let lines =
        [diagnostic.message] + diagnostic.notes.map { "\($0.mark): note: \($0.message)" }
        + diagnostic.chain.map { "\($0.role.phrase) \($0.mark)" } + (diagnostic.hint.map { ["help: " + $0] } ?? [])
    let text = escapedData(printable(lines.joined(separator: "\n")))
    return "::\(diagnostic.severity.rawValue) \(properties.joined(separator: ","))::\(text)"
}

private func escapedData(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        switch scalar {
        case "%": result.append(contentsOf: "%25".unicodeScalars)
        case "\r": result.append(contentsOf: "%0D".unicodeScalars)
        case "\n": result.append(contentsOf: "%0A".unicodeScalars)
        default: result.append(scalar)
        }
    }
    return String(result)
}

private func escapedProperty(_ text: String) -> String {
    var result = ""
    for scalar in escapedData(text).unicodeScalars {
        switch scalar {
        case ":": result += "%3A"
        case ",": result += "%2C"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}
