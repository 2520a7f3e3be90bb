import StackModel

/// `path`, `value`; `steps`, the winning one first, each with `role`, `file`, `line`, `column`, `sourceLine`, `value`,
/// `notes` and `variables`; `rule` when no file gives the value; `children`.
func explanationObject(_ explanation: Explanation) -> Node {
    .made([
        "path": .made(explanation.path),
        "value": explanation.value,
        "rule": explanation.rule.map { .made($0) },
        "steps": .made(explanation.steps.map(object)),
        "children": .made(
            explanation.children.map { child in
                placed(child.mark, ["path": .made(child.path), "value": child.value])
            }),
    ])
}

private func object(_ step: Explanation.Step) -> Node {
    placed(
        step.mark,
        [
            "role": .made(step.role.rawValue),
            "sourceLine": step.sourceLine.map { .made($0) },
            "value": step.value,
            "notes": .made(step.notes.map { placed($0.mark, ["message": .made($0.message)]) }),
            "variables": .made(step.variables.map(object)),
        ])
}

private func object(_ variable: Explanation.Variable) -> Node {
    placed(
        variable.mark,
        [
            "name": .made(variable.name),
            "value": variable.value.map { .made($0) } ?? .null(at: Node.madeMark),
            "origin": variable.origin.map { .made($0) },
            "replacement": variable.replacement.map { .made($0) },
        ])
}

private func placed(_ mark: SourceMark?, _ pairs: KeyValuePairs<String, Node?>) -> Node {
    var object = Node.made(pairs)
    guard let mark else { return object }
    object = object.setting("file", to: .made(mark.file)).setting("line", to: .made(mark.line))
    return object.setting("column", to: .made(mark.column))
}
