import StackModel

/// A SARIF log (Static Analysis Results Interchange Format 2.1.0, OASIS standard) with one run. The rules are the codes
/// of `DiagnosticCode` and other codes that occur. Columns count Unicode code points.
func renderSARIF(_ diagnostics: [Diagnostic]) -> String {
    let rules = DiagnosticCode.all.map(\.code)
    let others = Set(diagnostics.map(\.code)).subtracting(rules).sorted()
    let indices = Dictionary(uniqueKeysWithValues: (rules + others).enumerated().map { ($0.element, $0.offset) })
    let driver = Node.made([
        "name": .made("gantry"),
        "rules": .made(DiagnosticCode.all.map(rule) + others.map { .made(["id": .made($0)]) }),
    ])
    let run = Node.made([
        "tool": .made(["driver": driver]),
        "columnKind": .made("unicodeCodePoints"),
        "results": .made(diagnostics.map { result($0, ruleIndex: indices[$0.code]) }),
    ])
    let log = Node.made([
        "$schema": .made("https://json.schemastore.org/sarif-2.1.0.json"),
        "version": .made("2.1.0"),
        "runs": .made([run]),
    ])
    return JSONWriter.write(log)
}

private func rule(_ code: DiagnosticCode) -> Node {
    .made(["id": .made(code.code), "shortDescription": message(code.summary)])
}

private func result(_ diagnostic: Diagnostic, ruleIndex: Int?) -> Node {
    let related =
        diagnostic.notes.map { ($0.message, $0.mark) } + diagnostic.chain.map { ($0.role.phrase + " here", $0.mark) }
    let text = diagnostic.message + (diagnostic.hint.map { "\nhelp: " + $0 } ?? "")
    return .made([
        "ruleId": .made(diagnostic.code),
        "ruleIndex": ruleIndex.map { .made($0) },
        "level": .made(diagnostic.severity.rawValue),
        "message": message(text),
        "locations": location(of: diagnostic).map { .made([$0]) },
        "relatedLocations": related.isEmpty
            ? nil
            : .made(
                related.enumerated().map { index, place in
                    .made([
                        "id": .made(index + 1), "message": message(place.0),
                        "physicalLocation": physical(place.1, endColumn: nil),
                    ])
                }),
    ])
}

private func location(of diagnostic: Diagnostic) -> Node? {
    guard diagnostic.source != nil || diagnostic.path != nil else { return nil }
    return .made([
        "physicalLocation": diagnostic.source.map { physical($0, endColumn: diagnostic.endColumn) },
        "logicalLocations": diagnostic.path.map { .made([.made(["fullyQualifiedName": .made($0)])]) },
    ])
}

private func physical(_ mark: SourceMark, endColumn: Int?) -> Node {
    .made([
        "artifactLocation": .made(["uri": .made(uri(of: mark.file))]),
        "region": .made([
            "startLine": .made(max(1, mark.line)), "startColumn": .made(max(1, mark.column)),
            "endColumn": endColumn.map { .made($0) },
        ]),
    ])
}

private func message(_ text: String) -> Node { .made(["text": .made(text)]) }

/// A relative reference for a relative path, a `file` URI for an absolute one (RFC 3986; RFC 8089).
private func uri(of path: String) -> String {
    var result = path.hasPrefix("/") ? "file://" : ""
    for byte in path.utf8 {
        let isLetter = (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
        if isLetter || "-._~/".utf8.contains(byte) {
            result.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            let digits = String(byte, radix: 16, uppercase: true)
            result += "%" + (digits.count < 2 ? "0" : "") + digits
        }
    }
    return result
}
