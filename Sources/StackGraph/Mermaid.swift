extension StackGraph {
    /// As a Mermaid flowchart (mermaid.js.org/syntax/flowchart.html), which GitHub and GitLab draw in Markdown.
    public var mermaid: String {
        var lines = ["flowchart LR"]
        var names: [String: String] = [:]
        for (index, node) in nodes.enumerated() {
            let name = "n\(index)"
            names[node.id] = name
            let text = node.lines.map(Self.mermaidText).joined(separator: "<br/>")
            let (open, close) = node.kind.mermaidBrackets
            lines.append("  \(name)\(open)\"\(text)\"\(close)" + (node.health.map { ":::\($0.rawValue)" } ?? ""))
        }
        for edge in edges {
            guard let from = names[edge.from], let to = names[edge.to] else { continue }
            let arrow = edge.kind == .uses ? "-.-" : "-->"
            let label = edge.label.isEmpty ? "" : "|\"\(Self.mermaidText(edge.label))\"|"
            lines.append("  \(from) \(arrow)\(label) \(to)")
        }
        for health in Set(nodes.compactMap(\.health)).sorted(by: { $0.rawValue < $1.rawValue }) {
            lines.append("  classDef \(health.rawValue) fill:\(health.fill),stroke:#555,color:#000")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Entity codes for all that has a meaning there.
    private static func mermaidText(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "#", "<", ">", "&", ";", "`", "|", "\\", "{", "}", "[", "]", "(", ")": "#\(scalar.value);"
            default: String(scalar)
            }
        }.joined()
    }
}

extension StackGraph.Kind {
    fileprivate var mermaidBrackets: (String, String) {
        switch self {
        case .port: ("([", "])")
        case .service: ("[", "]")
        case .network: ("{{", "}}")
        case .volume: ("[(", ")]")
        case .config, .secret: (">", "]")
        }
    }
}
