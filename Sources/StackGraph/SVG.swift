extension StackGraph {
    /// A picture of its own, with no need of another program (w3.org/TR/SVG11).
    public var svg: String {
        let layout = Layout(self)
        let titleHeight = 34.0
        let (width, height) = (layout.width, layout.height + titleHeight)
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" "
                + "width=\"\(Self.number(width))\" height=\"\(Self.number(height))\" "
                + "viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\" "
                + "font-family=\"ui-monospace, SFMono-Regular, Menlo, monospace\" font-size=\"12\">",
            "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" "
                + "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            "<text x=\"12\" y=\"24\" font-size=\"16\" font-weight=\"bold\">\(Self.escaped(title))</text>",
            "<g transform=\"translate(0 \(Self.number(titleHeight)))\">",
        ]
        lines += zip(edges, layout.routes).compactMap { svg($0, through: $1, layout) }
        lines += nodes.compactMap { svg($0, layout) }
        return lines.joined(separator: "\n") + "\n</g>\n</svg>\n"
    }

    private func svg(_ edge: Edge, through places: [Layout.Box], _ layout: Layout) -> String? {
        guard let from = layout.boxes[edge.from], let to = layout.boxes[edge.to] else { return nil }
        let points =
            [(from.x + from.width, from.y + from.height / 2)] + places.map { ($0.x, $0.y) }
            + [(to.x, to.y + to.height / 2)]
        var path = "M\(Self.number(points[0].0)) \(Self.number(points[0].1))"
        for ((x1, y1), (x2, y2)) in zip(points, points.dropFirst()) {
            let bend = max(30, abs(x2 - x1) / 2)
            let numbers = [x1 + bend, y1, x2 - bend, y2, x2, y2].map(Self.number)
            path += "C" + numbers.joined(separator: " ")
        }
        let style = edge.kind == .uses ? " stroke-dasharray=\"4 3\"" : " marker-end=\"url(#arrow)\""
        var text = "<path d=\"\(path)\" fill=\"none\" stroke=\"#777\"\(style)/>"
        if !edge.label.isEmpty {
            // On the last piece, where the edge is by itself the most.
            let (first, last) = (points[points.count - 2], points[points.count - 1])
            let place = "x=\"\(Self.number((first.0 + last.0) / 2))\" y=\"\(Self.number((first.1 + last.1) / 2 - 4))\""
            let tail = " font-size=\"10\" text-anchor=\"middle\">\(Self.escaped(edge.label))</text>"
            // A rim first, so that lines below do not run through the letters.
            text += "<text \(place) stroke=\"white\" stroke-width=\"4\"\(tail)<text \(place) fill=\"#555\"\(tail)"
        }
        return text
    }

    private func svg(_ node: Node, _ layout: Layout) -> String? {
        guard let box = layout.boxes[node.id] else { return nil }
        let radius = node.kind == .port ? box.height / 2 : node.kind == .service ? 8 : 2
        var text =
            "<rect x=\"\(Self.number(box.x))\" y=\"\(Self.number(box.y))\" width=\"\(Self.number(box.width))\" "
            + "height=\"\(Self.number(box.height))\" rx=\"\(Self.number(radius))\" "
            + "fill=\"\(node.health?.fill ?? node.kind.fill)\" stroke=\"#555\"/>"
        for (index, line) in node.lines.enumerated() {
            let weight = index == 0 ? " font-weight=\"bold\"" : " fill=\"#444\""
            text +=
                "<text x=\"\(Self.number(box.x + box.width / 2))\" "
                + "y=\"\(Self.number(box.y + 22 + Double(index) * 17))\" "
                + "text-anchor=\"middle\"\(weight)>\(Self.escaped(line))</text>"
        }
        return text
    }

    /// One decimal.
    private static func number(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths.isMultiple(of: 10) ? "\(tenths / 10)" : "\(Double(tenths) / 10)"
    }

    /// XML 1.0 sections 2.2 and 2.4.
    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            switch scalar {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            case "\"": "&quot;"
            default: scalar.value < 0x20 || scalar.value == 0x7f ? "?" : String(scalar)
            }
        }.joined()
    }
}

extension StackGraph.Kind {
    fileprivate var fill: String {
        switch self {
        case .port: "#dbe9fb"
        case .service: "#ffffff"
        case .network, .volume, .config, .secret: "#f4f1ea"
        }
    }
}
