/// One variable of a template: Compose Specification, chapter Interpolation.
public struct TemplateVariable: Equatable, Sendable {
    public var name: String
    /// `${NAME:?message}` or `${NAME?message}`: there is no stack without it.
    public var isRequired = false
    /// Of `${NAME:-default}`: as written, variables in it not substituted.
    public var defaultValue: String?
    /// Of `${NAME:+alternate}`, as written.
    public var alternate: String?
    /// An empty value counts as none (`:-`, `:?`, `:+`).
    var emptyIsUnset = false
    /// Where its `$` stands in the template, in Unicode scalars from 0.
    var offset: Int

    /// More than the name is said.
    var saysMore: Bool { isRequired || defaultValue != nil || alternate != nil }
}

/// The variables of a template in the order they are written, with those of defaults, alternates and messages. Parts
/// that are no template are passed over.
func templateVariables(in text: String) -> [TemplateVariable] {
    guard text.utf8.contains(UInt8(ascii: "$")) else { return [] }
    let scalars = Array(text.unicodeScalars)
    var reader = VariableReader(scalars: scalars)
    reader.read(0..<scalars.count, depth: 1)
    return reader.found
}

private struct VariableReader {
    let scalars: [Unicode.Scalar]
    var found: [TemplateVariable] = []

    mutating func read(_ range: Range<Int>, depth: Int) {
        guard depth <= Template.depthMax else { return }
        var index = range.lowerBound
        while index < range.upperBound {
            guard scalars[index] == "$", index + 1 < range.upperBound else {
                index += 1
                continue
            }
            if scalars[index + 1] == "$" {
                index += 2
            } else if scalars[index + 1] == "{" {
                guard let end = closingBrace(from: index + 1, to: range.upperBound) else { return }
                braced((index + 2)..<end, at: index, depth: depth)
                index = end + 1
            } else {
                let end = nameEnd(from: index + 1, to: range.upperBound)
                if end > index + 1 { found.append(TemplateVariable(name: string(index + 1, end), offset: index)) }
                index = max(end, index + 1)
            }
        }
    }

    /// The inside of `${…}`.
    private mutating func braced(_ body: Range<Int>, at offset: Int, depth: Int) {
        let end = nameEnd(from: body.lowerBound, to: body.upperBound)
        guard end > body.lowerBound else { return }
        var variable = TemplateVariable(name: string(body.lowerBound, end), offset: offset)
        var sign = end
        if sign < body.upperBound, scalars[sign] == ":" {
            variable.emptyIsUnset = true
            sign += 1
        }
        guard sign < body.upperBound else {
            if !variable.emptyIsUnset { found.append(variable) }
            return
        }
        let argument = string(sign + 1, body.upperBound)
        switch scalars[sign] {
        case "-": variable.defaultValue = argument
        case "+": variable.alternate = argument
        case "?": variable.isRequired = true
        default: return
        }
        found.append(variable)
        read((sign + 1)..<body.upperBound, depth: depth + 1)
    }

    private func closingBrace(from start: Int, to end: Int) -> Int? {
        var depth = 0
        for index in start..<end {
            if scalars[index] == "{" { depth += 1 }
            if scalars[index] == "}" {
                depth -= 1
                if depth == 0 { return index }
            }
        }
        return nil
    }

    private func nameEnd(from start: Int, to end: Int) -> Int {
        var index = start
        while index < end, isNameScalar(scalars[index], isFirst: index == start) { index += 1 }
        return index
    }

    private func string(_ start: Int, _ end: Int) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars[start..<end])
        return String(view)
    }
}

/// The variables of every value of a tree but the project's name, by name. Of several uses of a variable the first one
/// stands that says more than the name.
func templateVariables(in document: Node) -> [TemplateVariable] {
    var byName: [String: TemplateVariable] = [:]
    func visit(_ node: Node) {
        switch node.content {
        case .scalar(let scalar):
            guard scalar.value == .string else { return }
            for variable in templateVariables(in: scalar.text) {
                if let known = byName[variable.name], known.saysMore || !variable.saysMore { continue }
                byName[variable.name] = variable
            }
        case .sequence(let items): items.forEach(visit)
        case .mapping(let mapping): mapping.entries.forEach { visit($0.value) }
        }
    }
    for entry in document.entries where entry.key != "name" { visit(entry.value) }
    return byName.values.sorted { $0.name < $1.name }
}
