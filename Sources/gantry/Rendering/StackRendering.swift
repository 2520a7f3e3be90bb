import EngineWire

/// `running(3), exited(1)`: running first, then by name.
func statesText(_ states: [String: Int]) -> String {
    states.filter { $0.value > 0 }
        .sorted { ($0.key == "running" ? 0 : 1, $0.key) < ($1.key == "running" ? 0 : 1, $1.key) }
        .map { "\($0.key)(\($0.value))" }
        .joined(separator: ", ")
}

/// Output of `gantry ls`.
func renderStacks(_ stacks: [StackSummary]) -> String {
    let rows = stacks.map { [$0.name, statesText($0.states), $0.configFiles.joined(separator: ",")] }
    return renderTable(["NAME", "STATUS", "CONFIG FILES"], rows)
}

/// Output of `gantry ls --format json`: one array, as Docker Compose prints it.
func renderStacksJSON(_ stacks: [StackSummary]) -> String {
    let items = stacks.map { stack in
        JSONText.object([
            ("Name", .string(stack.name)), ("Status", .string(statesText(stack.states))),
            ("ConfigFiles", .string(stack.configFiles.joined(separator: ","))),
        ])
    }
    return JSONText.array(items).text + "\n"
}
