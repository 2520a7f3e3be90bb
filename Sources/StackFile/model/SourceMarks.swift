import StackModel

/// The places of a stack's values: resources, the keys of services, and what stands one level below those keys.
func sourceMarks(of document: Node) -> [String: SourceMark] {
    var marks: [String: SourceMark] = [:]
    for kind in ["services", "networks", "volumes", "configs", "secrets"] {
        for entry in document[kind]?.entries ?? [] {
            marks["\(kind).\(entry.key)"] = entry.keyMark
            addKeys(of: entry.value, below: "\(kind).\(entry.key)", to: &marks)
        }
    }
    if let mark = document.mapping?.keyMark("name") { marks["name"] = mark }
    return marks
}

private func addKeys(of node: Node, below path: String, to marks: inout [String: SourceMark]) {
    for entry in node.entries {
        let place = "\(path).\(entry.key)"
        // A value on the key's line is the better place to point at; below it, the key is.
        let isScalarBeside =
            entry.value.scalar != nil && entry.value.mark.line == entry.keyMark.line
            && entry.value.mark.file == entry.keyMark.file
        marks[place] = isScalarBeside ? entry.value.mark : entry.keyMark
        for (index, item) in (entry.value.items ?? []).enumerated() { marks["\(place)[\(index)]"] = item.mark }
        for child in entry.value.entries { marks["\(place).\(child.key)"] = child.keyMark }
    }
}
