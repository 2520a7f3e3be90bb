/// One line of a live tree, and what is below it.
struct TreeNode: Equatable {
    enum Kind: Equatable { case object, service, replica, summary }
    enum Mark: Equatable { case finished, moving, waiting, failing }

    var kind: Kind
    var mark: Mark
    var title: String
    var status = ""
    /// Nanoseconds that it takes, or took; `nil`: nothing was done.
    var elapsed: Int64?
    var children: [TreeNode] = []

    var lineCount: Int { 1 + children.count }
    /// Nothing of it will change.
    var isAtRest: Bool { mark == .finished && children.allSatisfy { $0.mark == .finished } }
    var isFailing: Bool { mark == .failing || children.contains { $0.mark == .failing } }
}

// MARK: - Folding

/// A tree in at most `room` lines. What is finished is folded first; what fails is left out last.
func folded(_ nodes: [TreeNode], room: Int) -> [TreeNode] {
    var nodes = nodes
    func fits() -> Bool { nodes.reduce(0) { $0 + $1.lineCount } <= room }
    for index in nodes.indices where !fits() && nodes[index].isAtRest { nodes[index].children = [] }
    if !fits() { nodes = merged(nodes, where: { $0.kind == .object && $0.isAtRest }, as: objectCounts) }
    for index in nodes.indices where !fits() {
        nodes[index].children = merged(nodes[index].children, where: { $0.mark == .finished }, as: statusCounts)
    }
    if !fits() { nodes = merged(nodes, where: { $0.kind == .service && $0.isAtRest }, as: serviceCount) }
    for index in nodes.indices where !fits() {
        let isQuiet = { (node: TreeNode) in node.mark != .failing && node.kind == .replica }
        nodes[index].children = merged(nodes[index].children, where: isQuiet, as: statusCounts)
    }
    for index in nodes.indices where !fits() && !nodes[index].isFailing { nodes[index].children = [] }
    return fits() ? nodes : cut(nodes, room: room)
}

/// What is alike as one line, where the first of it was.
private func merged(
    _ nodes: [TreeNode], where belongs: (TreeNode) -> Bool, as text: ([TreeNode]) -> String
) -> [TreeNode] {
    let group = nodes.filter(belongs)
    guard group.count > 1, let first = nodes.firstIndex(where: belongs) else { return nodes }
    let mark: TreeNode.Mark =
        group.contains { $0.mark == .moving } ? .moving : group.contains { $0.mark == .waiting } ? .waiting : .finished
    var result = nodes
    result[first] = TreeNode(kind: .summary, mark: mark, title: text(group))
    result = result.enumerated().filter { $0.offset == first || !belongs($0.element) }.map(\.element)
    return result
}

/// `3 networks, 1 volume`.
private func objectCounts(_ nodes: [TreeNode]) -> String {
    counted(nodes.map { String($0.title.prefix { $0 != " " }) })
        .map { "\($0.count) \($0.word)\($0.count == 1 ? "" : "s")" }.joined(separator: ", ")
}

/// `12 healthy, 3 created`.
private func statusCounts(_ nodes: [TreeNode]) -> String {
    counted(nodes.map(\.status)).map { "\($0.count) \($0.word)" }.joined(separator: ", ")
}

private func serviceCount(_ nodes: [TreeNode]) -> String { "\(nodes.count) services done" }

private func counted(_ words: [String]) -> [(word: String, count: Int)] {
    var result: [(word: String, count: Int)] = []
    for word in words {
        if let index = result.firstIndex(where: { $0.word == word }) {
            result[index].count += 1
        } else {
            result.append((word, 1))
        }
    }
    return result
}

/// The last resort: what fails, then what moves, as much as there is room for.
private func cut(_ nodes: [TreeNode], room: Int) -> [TreeNode] {
    var left = max(0, room - 1)
    var kept: [Int: TreeNode] = [:]
    let order =
        nodes.indices.filter { nodes[$0].isFailing }
        + nodes.indices.filter { !nodes[$0].isFailing && nodes[$0].mark == .moving }
        + nodes.indices.filter { !nodes[$0].isFailing && nodes[$0].mark != .moving }
    for index in order where left > 0 {
        var node = nodes[index]
        let failing = node.children.filter { $0.mark == .failing }
        node.children = Array((failing + node.children.filter { $0.mark != .failing }).prefix(left - 1))
        left -= node.lineCount
        kept[index] = node
    }
    let shown = kept.sorted { $0.key < $1.key }.map(\.value)
    let hidden = nodes.reduce(0) { $0 + $1.lineCount } - shown.reduce(0) { $0 + $1.lineCount }
    return shown + [TreeNode(kind: .summary, mark: .waiting, title: "… and \(hidden) more")]
}

// MARK: - Drawing

/// Draws nodes as lines. `tick` turns the spinner.
struct TreeLines {
    private static let spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
    /// Wider, and the eye loses the line between a name and its time.
    private static let columnsMax = 100

    var columns: Int
    var color: Bool
    var tick: Int

    private var width: Int { max(10, min(columns - 1, Self.columnsMax)) }

    func lines(_ nodes: [TreeNode]) -> [String] {
        var rows: [(prefix: String, node: TreeNode)] = []
        for (index, node) in nodes.enumerated() {
            let isLast = index == nodes.count - 1
            rows.append((isLast ? " └ " : " ├ ", node))
            for (number, child) in node.children.enumerated() {
                rows.append(((isLast ? "   " : " │ ") + (number == node.children.count - 1 ? " └ " : " ├ "), child))
            }
        }
        // Of a line that is folded there is no status to be aligned.
        let widest = rows.filter { !$0.node.status.isEmpty }.map { $0.prefix.displayWidth + $0.node.title.displayWidth }
        let titleWidth = min(widest.max() ?? 0, width * 6 / 10)
        return rows.map { draw($0.node, $0.prefix, titleWidth: titleWidth) }
    }

    private func draw(_ node: TreeNode, _ prefix: String, titleWidth: Int) -> String {
        let time = node.elapsed.map { tenths($0) + "s" } ?? ""
        let (mark, colour): (String, Colour) =
            switch node.mark {
            case .finished: ("✔", .green)
            case .failing: ("✘", .red)
            case .waiting: ("·", .faint)
            case .moving: (Self.spinner[tick % Self.spinner.count], .blue)
            }
        // The mark with a blank on the left, a blank before the time.
        let timeWidth = width >= 24 && !time.isEmpty ? time.count + 1 : 0
        let room = max(1, width - prefix.displayWidth - 2 - timeWidth)
        var title = node.title
        var status = ""
        if !node.status.isEmpty {
            title = title.truncated(to: titleWidth - prefix.displayWidth).padded(to: titleWidth - prefix.displayWidth)
            status = "  " + node.status
        }
        let text = (title + status).truncated(to: room)
        let shown = timeWidth == 0 ? text : text.padded(to: room)
        let painted =
            node.mark == .failing
            ? coloured(shown, .red, color) : node.mark == .waiting ? coloured(shown, .faint, color) : shown
        return coloured(prefix, .faint, color) + coloured(mark, colour, color) + " " + painted
            + (timeWidth == 0 ? "" : " " + coloured(time, .blue, color))
    }
}

/// Seconds with one decimal.
func tenths(_ nanoseconds: Int64) -> String {
    let value = max(0, nanoseconds) / 100_000_000
    return "\(value / 10).\(value % 10)"
}
