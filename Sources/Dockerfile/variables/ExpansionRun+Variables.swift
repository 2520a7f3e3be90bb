extension ExpansionRun {
    /// What stands for `$…`; the `$` is the next character.
    mutating func dollar(_ keepsEscapes: Bool) throws(ExpansionError) -> [Unicode.Scalar] {
        index += 1
        guard peek == "{" else {
            let name = name()
            if name.isEmpty { return ["$"] }
            if let value = look(name) { return Array(value.unicodeScalars) }
            return options.keepsUnset ? ["$"] + name.unicodeScalars : []
        }
        index += 1
        guard let first = peek else { throw ExpansionError(message: "syntax error: missing '}'") }
        if first == "{" || first == "}" || first == ":" {
            throw ExpansionError(message: "syntax error: bad substitution")
        }
        return try substitution(of: name())
    }

    private mutating func look(_ name: String) -> String? {
        guard let value = variables[name] else {
            unmatched.insert(name)
            return nil
        }
        matched.insert(name)
        return value
    }

    /// Letters, digits and `_`; digits only; or one special parameter.
    private mutating func name() -> String {
        guard let first = peek else { return "" }
        let start = index
        if first.isDigit {
            while let scalar = peek, scalar.isDigit { index += 1 }
        } else if "@*#?-$!".unicodeScalars.contains(first) {
            index += 1
        } else {
            while let scalar = peek, scalar.isLetter || scalar.isDigit || scalar == "_" { index += 1 }
        }
        return String(scalars: input[start..<index])
    }

    private mutating func substitution(of name: String) throws(ExpansionError) -> [Unicode.Scalar] {
        guard let sign = peek else { throw ExpansionError(message: "syntax error: missing '}'") }
        index += 1
        switch sign {
        case "}":
            if let value = look(name) { return Array(value.unicodeScalars) }
            return options.keepsUnset ? Array("${\(name)}".unicodeScalars) : []
        case "/": return try replacement(of: name)
        case ":":
            guard let modifier = peek else { throw ExpansionError(message: "syntax error: missing '}'") }
            index += 1
            guard ["-", "+", "?"].contains(modifier) else { throw unsupported(":\(modifier)") }
            return try choice(name, modifier, emptyIsUnset: true)
        case "-", "+", "?": return try choice(name, sign, emptyIsUnset: false)
        case "#", "%": return try trimmed(name, sign)
        default: throw unsupported(String(sign))
        }
    }

    private func unsupported(_ modifier: String) -> ExpansionError {
        ExpansionError(message: "unsupported modifier (\(modifier)) in substitution")
    }

    /// Up to `stop`, with the message of a missing one.
    private mutating func part(_ stop: Unicode.Scalar, _ missing: String, raw: Bool) throws(ExpansionError) -> [Unicode
        .Scalar]
    {
        do throws(ExpansionError) {
            return try process(stop: stop, keepsEscapes: raw).text
        } catch {
            throw index >= input.count && depth < WordExpander.depthMax ? ExpansionError(message: missing) : error
        }
    }

    private mutating func choice(
        _ name: String, _ modifier: Unicode.Scalar, emptyIsUnset: Bool
    ) throws(ExpansionError) -> [Unicode.Scalar] {
        let word = try part("}", "syntax error: missing '}'", raw: false)
        let value = look(name)
        if options.keepsUnset, value == nil {
            return Array("${\(name)\(emptyIsUnset ? ":" : "")\(modifier)".unicodeScalars) + word + ["}"]
        }
        let isGiven = value.map { !(emptyIsUnset && $0.isEmpty) } ?? false
        switch modifier {
        case "-": return isGiven ? Array((value ?? "").unicodeScalars) : word
        case "+": return isGiven ? word : []
        default:
            guard isGiven else {
                let reason = value == nil ? "is not allowed to be unset" : "is not allowed to be empty"
                throw ExpansionError(message: "\(name): \(word.isEmpty ? reason : String(scalars: word))")
            }
            return Array((value ?? "").unicodeScalars)
        }
    }

    private mutating func trimmed(_ name: String, _ sign: Unicode.Scalar) throws(ExpansionError) -> [Unicode.Scalar] {
        var word = try part("}", "syntax error: missing '}'", raw: true)
        let value = look(name)
        if options.keepsUnset, value == nil { return Array("${\(name)\(sign)".unicodeScalars) + word + ["}"] }
        let isLongest = word.first == sign
        if isLongest { word.removeFirst() }
        let pattern = try ShellPattern(word)
        let scalars = Array((value ?? "").unicodeScalars)
        if sign == "#" {
            let end = try pattern.end(in: scalars, from: 0, longest: isLongest, &patternSteps)
            return Array(scalars[(end ?? 0)...])
        }
        let reversed = Array(scalars.reversed())
        let end = try pattern.reversed.end(in: reversed, from: 0, longest: isLongest, &patternSteps)
        return Array(scalars[..<(scalars.count - (end ?? 0))])
    }

    private mutating func replacement(of name: String) throws(ExpansionError) -> [Unicode.Scalar] {
        let isGlobal = peek == "/"
        if isGlobal { index += 1 }
        let word = try part("/", "syntax error: missing '/' in ${}", raw: true)
        let replacement = try part("}", "syntax error: missing '}'", raw: true)
        let value = look(name)
        if options.keepsUnset, value == nil {
            return Array("${\(name)/".unicodeScalars) + word + ["/"] + replacement + ["}"]
        }
        let pattern = try ShellPattern(word)
        return try pattern.replacing(
            in: Array((value ?? "").unicodeScalars), with: replacement, everywhere: isGlobal, &patternSteps)
    }
}
