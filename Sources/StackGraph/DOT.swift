extension StackGraph {
    /// In the DOT language of Graphviz (graphviz.org/doc/info/lang.html).
    public var dot: String {
        var lines = [
            "digraph \(Self.dotQuoted(title)) {", "  rankdir=LR;",
            "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\"];",
            "  edge [fontname=\"sans-serif\", fontsize=10];",
        ]
        for node in nodes {
            var attributes = "label=\(Self.dotQuoted(node.lines.joined(separator: "\n")))"
            attributes += ", shape=\(node.kind.dotShape)"
            if let color = node.health?.fill { attributes += ", fillcolor=\"\(color)\"" }
            lines.append("  \(Self.dotQuoted(node.id)) [\(attributes)];")
        }
        for edge in edges {
            var attributes: [String] = edge.label.isEmpty ? [] : ["label=\(Self.dotQuoted(edge.label))"]
            if edge.kind == .uses { attributes.append("style=dashed, arrowhead=none") }
            let tail = attributes.isEmpty ? "" : " [\(attributes.joined(separator: ", "))]"
            lines.append("  \(Self.dotQuoted(edge.from)) -> \(Self.dotQuoted(edge.to))\(tail);")
        }
        return lines.joined(separator: "\n") + "\n}\n"
    }

    private static func dotQuoted(_ text: String) -> String {
        var result = "\""
        for character in text {
            switch character {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result + "\""
    }
}

extension StackGraph.Kind {
    fileprivate var dotShape: String {
        switch self {
        case .port: "oval"
        case .service: "box"
        case .network: "hexagon"
        case .volume: "cylinder"
        case .config, .secret: "note"
        }
    }
}

extension StackGraph.Health {
    /// Of the node, readable with black text on it.
    var fill: String {
        switch self {
        case .good: "#d3f2d9"
        case .partial: "#fdeec2"
        case .bad: "#fbd3d0"
        case .absent: "#eeeeee"
        }
    }
}
