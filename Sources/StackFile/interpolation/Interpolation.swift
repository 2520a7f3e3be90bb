import StackModel

/// Substitutes variables in every value of a tree; keys stay as they are.
struct Interpolation {
    let environment: [String: String]
    let report: Report

    func apply(to node: Node) -> Node {
        var node = node
        switch node.content {
        case .scalar(let scalar): node.content = .scalar(substitute(scalar, at: node.mark))
        case .sequence(let items): node.content = .sequence(items.map(apply))
        case .mapping(let mapping): node.content = .mapping(mapping.mapValues { apply(to: $0.value) })
        }
        return node
    }

    private func substitute(_ scalar: Scalar, at mark: SourceMark) -> Scalar {
        guard scalar.value == .string, scalar.text.utf8.contains(UInt8(ascii: "$")) else { return scalar }
        guard let text = substitute(scalar.text, at: mark) else { return scalar }
        var result = Scalar(string: text)
        result.isInterpolated = true
        return result
    }

    /// The substituted text; `nil` after reporting why there is none.
    func substitute(_ text: String, at mark: SourceMark) -> String? {
        let template = Template(
            lookup: { environment[$0] },
            unset: { name in
                report.warnOnce(
                    name, "stack.unset-variable",
                    "variable '\(name)' is not set; an empty string is used", at: place(of: name, in: text, mark),
                    hint: "set it in the environment or in .env, or give a default: ${\(name):-value}")
            })
        do throws(TemplateError) {
            return try template.substitute(text)
        } catch {
            explain(error, text, mark)
            return nil
        }
    }

    private func explain(_ error: TemplateError, _ text: String, _ mark: SourceMark) {
        switch error {
        case .invalid:
            report.error(
                "stack.interpolation", "invalid interpolation format: \(text.prefix(80))",
                at: report.locate("${", from: mark), hint: "escape a literal '$' with another one: $$")
        case .required(let name, let message):
            let detail = message.isEmpty ? "" : ": \(message)"
            report.error(
                "stack.interpolation", "required variable \(name) is missing a value\(detail)",
                at: place(of: name, in: text, mark), hint: "set \(name) in the environment or in .env")
        case .tooDeep:
            report.error(
                "stack.limit", "interpolation is nested deeper than \(Template.depthMax) levels", at: mark)
        }
    }

    private func place(of name: String, in text: String, _ mark: SourceMark) -> SourceMark {
        for form in ["${\(name)", "$\(name)"] {
            let found = report.locate(form, from: mark)
            if found != mark || text.hasPrefix(form) { return found }
        }
        return mark
    }
}
