import StackModel

/// Substitutes variables in every value of a tree; keys stay as they are.
struct Interpolation {
    let environment: [String: String]
    let report: Report

    /// Keys whose values a shell in the container may read.
    private static let commandKeys: Set<String> = ["command", "entrypoint", "test"]

    func apply(to node: Node) -> Node { changed(node, isCommand: false) ?? node }

    /// `nil` when there is nothing to substitute.
    private func changed(_ node: Node, isCommand: Bool) -> Node? {
        if case .scalar(let scalar) = node.content {
            guard let substituted = substitute(scalar, at: node.mark, isCommand: isCommand) else { return nil }
            var result = node
            result.content = .scalar(substituted)
            return result
        }
        return node.changingChildren(
            item: { changed($1, isCommand: isCommand) },
            entry: { changed($0.value, isCommand: Self.commandKeys.contains($0.key)) })
    }

    private func substitute(_ scalar: Scalar, at mark: SourceMark, isCommand: Bool) -> Scalar? {
        guard scalar.value == .string, scalar.text.utf8.contains(UInt8(ascii: "$")) else { return nil }
        guard let text = substitute(scalar.text, at: mark, isCommand: isCommand) else { return nil }
        var result = Scalar(string: text)
        result.isInterpolated = true
        return result
    }

    /// The substituted text; `nil` after reporting why there is none.
    func substitute(_ text: String, at mark: SourceMark, isCommand: Bool = false) -> String? {
        report.provenance?.addTemplate(text, at: mark, environment)
        let template = Template(
            lookup: { name in
                let value = environment[name]
                if let value, isSecretName(name) { report.noteSecret(name, value) }
                return value
            },
            unset: { name in
                report.warnOnce(
                    name, "stack.unset-variable",
                    "variable '\(name)' is not set; an empty string is used", at: place(of: name, mark),
                    hint: hint(unset: name, in: text, isCommand: isCommand))
            })
        guard !report.isExhausted(.substitutedBytes) else { return nil }
        do throws(TemplateError) {
            let result = try template.substitute(text)
            return report.take(result.utf8.count, of: .substitutedBytes, at: mark) ? result : nil
        } catch {
            guard !report.isFull else { return nil }
            explain(error, text, mark)
            return nil
        }
    }

    private func hint(unset name: String, in text: String, isCommand: Bool) -> String {
        let scalars = Array(text.unicodeScalars.prefix(Report.searchedColumnsMax))
        if nearVariable(name, in: Array(environment.keys)) == nil, let offset = substitution(of: name, in: scalars) {
            if isCommand { return "for a variable of the container write $$\(name); else set it in .env" }
            let isPlain = offset + 1 < scalars.count && scalars[offset + 1] != "{"
            if isPlain, offset > 0, looksLikeWord(scalars[offset - 1]) {
                var literal = String.UnicodeScalarView()
                literal.append(contentsOf: scalars[..<offset] + ["$"] + scalars[offset...])
                return "for a literal '$' double it: \(String(literal).prefix(60))"
            }
        }
        return unsetHint(name, known: Array(environment.keys))
    }

    /// Before a `$` that is part of a password rather than of `prefix/$NAME`.
    private func looksLikeWord(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || scalar.properties.numericType != nil
            || ["!", "#", "%", "^", "&", "*", "$", "@"].contains(scalar)
    }

    private func explain(_ error: TemplateError, _ text: String, _ mark: SourceMark) {
        switch error {
        case .invalid:
            let fault = explainTemplate(text)
            let part = Array(fault.part.prefix { $0 != "\n" }.unicodeScalars)
            report.error(
                "stack.interpolation", fault.message,
                at: report.locate(from: mark, lines: Report.valueLinesMax) { firstOffset(of: part, in: $0) },
                hint: fault.hint)
        case .required(let name, let message):
            let detail = message.isEmpty ? "" : ": \(message)"
            let near = nearVariable(name, in: Array(environment.keys)).map { "did you mean '\($0)', which is set?" }
            report.error(
                "stack.interpolation", "required variable \(name) is missing a value\(detail)",
                at: place(of: name, mark), hint: near ?? "set \(name) in the environment or in .env")
        case .tooLong:
            report.error(
                "stack.limit", "variables make the value longer than \(Template.bytesMax) bytes", at: mark)
        case .tooDeep:
            report.error(
                "stack.limit", "interpolation is nested deeper than \(Template.depthMax) levels", at: mark)
        }
    }

    private func place(of name: String, _ mark: SourceMark) -> SourceMark {
        report.locate(from: mark, lines: Report.valueLinesMax) { substitution(of: name, in: $0) }
    }
}
