/// Forms of a list of variables.
public enum VariableFormat: Sendable {
    case table, json, yaml
}

/// The variables of a stack, as `docker compose config --variables` prints them; ends in a newline.
public func renderVariables(_ variables: [TemplateVariable], _ format: VariableFormat) -> String {
    switch format {
    case .table: table(variables)
    case .json:
        indentedTwice(JSONWriter.write(Node(.mapping(mapping(variables, lowerCase: false)), at: Node.madeMark)))
    case .yaml:
        variables.isEmpty
            ? "{}\n"
            : indentedTwice(YAMLWriter.write(Node(.mapping(mapping(variables, lowerCase: true)), at: Node.madeMark)))
    }
}

private func table(_ variables: [TemplateVariable]) -> String {
    let rows =
        [["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"]]
        + variables.map { variable in
            [
                variable.name, variable.isRequired ? "true" : "false", variable.defaultValue ?? "",
                variable.alternate ?? "",
            ]
        }
    let gap = 3
    let widthMin = 20
    let widths = (0..<3).map { column in rows.map { $0[column].count + gap }.reduce(widthMin, max) }
    return rows.map { row in
        let padded = zip(row, widths).map { text, width in
            text + String(repeating: " ", count: width - text.count)
        }
        return padded.joined() + row[3] + "\n"
    }.joined()
}

private func mapping(_ variables: [TemplateVariable], lowerCase: Bool) -> Mapping {
    var result = Mapping()
    for variable in variables {
        let pairs: [(String, Node)] = [
            ("Name", .made(variable.name)), ("DefaultValue", .made(variable.defaultValue ?? "")),
            ("PresenceValue", .made(variable.alternate ?? "")),
            ("Required", .boolean(variable.isRequired, at: Node.madeMark)),
        ]
        var object = Mapping()
        for (key, value) in pairs { object.set(lowerCase ? key.lowercased() : key, at: Node.madeMark, to: value) }
        result.set(variable.name, at: Node.madeMark, to: Node(.mapping(object), at: Node.madeMark))
    }
    return result
}

/// By four blanks instead of two, unlike the document. No value has several lines.
private func indentedTwice(_ text: String) -> String {
    text.split(separator: "\n").map { line in
        String(repeating: " ", count: line.prefix { $0 == " " }.count) + line + "\n"
    }.joined()
}
