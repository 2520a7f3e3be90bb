import StackModel

/// What is wrong with a text that cannot be substituted.
struct TemplateFault: Equatable {
    var message: String
    var hint: String
    /// The faulty part, to be found in the source; empty when it is not known.
    var part: String
}

/// Finds the first `${…}` of a text that is not of the grammar (Compose Specification, chapter Interpolation).
func explainTemplate(_ text: String) -> TemplateFault {
    let scalars = Array(text.unicodeScalars)
    var index = 0
    while index < scalars.count {
        let next = index + 1 < scalars.count ? scalars[index + 1] : " "
        if scalars[index] == "$", next == "{", let fault = fault(scalars[index...]) { return fault }
        index += scalars[index] == "$" && (next == "$" || next == "{") ? 2 : 1
    }
    return TemplateFault(
        message: "invalid interpolation format '\(text.prefix(partMax))'", hint: "for a literal '$' write $$", part: "")
}

private let partMax = 60

/// `text` starts with `${`.
private func fault(_ text: ArraySlice<Unicode.Scalar>) -> TemplateFault? {
    let isEnd: (Unicode.Scalar) -> Bool = { isSpace($0) || $0 == "\n" || $0 == "\"" || $0 == "'" }
    guard let end = closingBrace(text) else {
        let part = string(text.prefix { !isEnd($0) })
        return TemplateFault(
            message: "invalid interpolation format '\(part.prefix(partMax))': '${' is not closed by '}'",
            hint: "write \(part)}, or for a literal '$' write $$", part: part)
    }
    let part = string(text[...end])
    let body = text[(text.startIndex + 2)..<end]
    let name = body.prefix { isNameScalar($0, isFirst: false) }
    let rest = body[name.endIndex...]
    func fault(_ reason: String, _ hint: String) -> TemplateFault {
        TemplateFault(
            message: "invalid interpolation format '\(part.prefix(partMax))': \(reason)", hint: hint, part: part)
    }
    let literal = "for a literal '$' write $\(part.prefix(partMax))"
    guard let first = name.first, isNameScalar(first, isFirst: true) else {
        let trimmed = string(body.drop(while: isSpace).prefix { isNameScalar($0, isFirst: false) })
        if body.first.map(isSpace) == true, !trimmed.isEmpty {
            return fault("no space is allowed after '${'", "write ${\(trimmed)}")
        }
        return fault("a variable name must follow '${'", "write ${NAME} or ${NAME:-default}; \(literal)")
    }
    let operators: [Unicode.Scalar] = ["-", "?", "+"]
    guard let sign = rest.first, !operators.contains(sign) else { return nil }
    let tail = string(rest.dropFirst())
    if sign == ":" {
        if rest.dropFirst().first.map(operators.contains) == true { return nil }
        return fault("':' must be followed by '-', '?' or '+'", "for a default write ${\(string(name)):-\(tail)}")
    }
    if isSpace(sign) { return fault("no space is allowed after the name", "write ${\(string(name))}") }
    return fault("'\(sign)' cannot follow the name '\(string(name))'", "write ${\(string(name))}; \(literal)")
}

private func closingBrace(_ text: ArraySlice<Unicode.Scalar>) -> Int? {
    var depth = 0
    for index in text.indices {
        if text[index] == "{" { depth += 1 }
        if text[index] == "}" {
            depth -= 1
            if depth == 0 { return index }
        }
    }
    return nil
}

private func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
}

/// `[_a-zA-Z][_a-zA-Z0-9]*`
func isNameScalar(_ scalar: Unicode.Scalar, isFirst: Bool) -> Bool {
    switch scalar {
    case "_", "a"..."z", "A"..."Z": true
    case "0"..."9": !isFirst
    default: false
    }
}

/// Where `$NAME` or `${NAME…` stands in a text; `$$` is skipped.
func substitution(of name: String, in scalars: [Unicode.Scalar]) -> Int? {
    let wanted = Array(name.unicodeScalars)
    var index = 0
    while index < scalars.count {
        guard scalars[index] == "$", index + 1 < scalars.count else {
            index += 1
            continue
        }
        if scalars[index + 1] == "$" {
            index += 2
            continue
        }
        let start = index + (scalars[index + 1] == "{" ? 2 : 1)
        let found = start < scalars.count ? scalars[start...].prefix { isNameScalar($0, isFirst: false) } : []
        if found.elementsEqual(wanted) { return index }
        index += 1
    }
    return nil
}

/// What to do about a variable that is not set; `known` are those that are.
func unsetHint(_ name: String, known: [String]) -> String {
    if let near = nearVariable(name, in: known) { return "did you mean '\(near)', which is set?" }
    return "set it in the environment or in .env, or give a default: ${\(name):-value}"
}

/// A set variable whose name is close; short names are close to everything.
func nearVariable(_ name: String, in known: [String]) -> String? {
    let lengthMin = 3
    return name.utf8.count < lengthMin ? nil : nearest(name, in: known.filter { $0.utf8.count >= lengthMin }.sorted())
}
