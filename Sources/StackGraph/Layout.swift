/// Where the nodes of a picture are: in columns from left to right, each edge going to the right if the graph has no
/// circles (a layered drawing, after Sugiyama, Tagawa and Toda 1981).
struct Layout {
    struct Box: Equatable {
        var x: Double
        var y: Double
        var width: Double
        var height: Double
    }

    private static let characterWidth = 7.2
    private static let lineHeight = 17.0
    private static let padding = 12.0
    private static let columnGap = 110.0
    private static let rowGap = 22.0
    private static let sweeps = 8

    /// By node id.
    private(set) var boxes: [String: Box] = [:]
    /// Of each edge of the graph: the places between its ends that it goes through, so as to pass no box.
    private(set) var routes: [[Box]] = []
    private(set) var width = 0.0
    private(set) var height = 0.0

    init(_ graph: StackGraph) {
        var columns = Self.columns(graph)
        let chains = Self.chains(graph, &columns)
        Self.reduceCrossings(&columns, chains)
        place(columns, graph)
        routes = chains.map { chain in chain.dropFirst().dropLast().compactMap { boxes[$0] } }
    }

    /// Each edge as a chain from column to column, with a place of its own in each that it passes.
    private static func chains(_ graph: StackGraph, _ columns: inout [[String]]) -> [[String]] {
        var column: [String: Int] = [:]
        for (index, ids) in columns.enumerated() { for id in ids { column[id] = index } }
        return graph.edges.enumerated().map { number, edge in
            guard let from = column[edge.from], let to = column[edge.to], to > from + 1 else {
                return [edge.from, edge.to]
            }
            let between = ((from + 1)..<to).map { index in
                let id = "~\(number)~\(index)"
                columns[index].append(id)
                return id
            }
            return [edge.from] + between + [edge.to]
        }
    }

    /// Ids by column: ports, then each service right of all that lead to it, then what services use.
    private static func columns(_ graph: StackGraph) -> [[String]] {
        var column: [String: Int] = [:]
        for node in graph.nodes { column[node.id] = node.kind == .port ? 0 : 1 }
        // Circles are refused elsewhere; as many rounds as there are nodes end here in any case.
        for _ in graph.nodes {
            var isChanged = false
            for edge in graph.edges {
                guard let from = column[edge.from], let to = column[edge.to], to <= from, from < graph.nodes.count
                else {
                    continue
                }
                column[edge.to] = from + 1
                isChanged = true
            }
            if !isChanged { break }
        }
        let used = Set(column.values).sorted()
        return used.map { number in graph.nodes.map(\.id).filter { column[$0] == number } }
    }

    /// Orders each column by the mean place of its neighbours in the one before, and back again.
    private static func reduceCrossings(_ columns: inout [[String]], _ chains: [[String]]) {
        var neighbours: [String: [String]] = [:]
        for (from, to) in chains.flatMap({ zip($0, $0.dropFirst()) }) {
            neighbours[from, default: []].append(to)
            neighbours[to, default: []].append(from)
        }
        for sweep in 0..<sweeps {
            let order = sweep.isMultiple(of: 2) ? Array(columns.indices) : columns.indices.reversed()
            for index in order {
                let places = relativePlaces(columns)
                columns[index] = columns[index].enumerated().sorted { left, right in
                    let (first, second) = (
                        mean(neighbours[left.element], places, index), mean(neighbours[right.element], places, index)
                    )
                    return (first ?? places[left.element]?.row ?? 0, left.offset)
                        < (second ?? places[right.element]?.row ?? 0, right.offset)
                }.map(\.element)
            }
        }
    }

    private static func relativePlaces(_ columns: [[String]]) -> [String: (column: Int, row: Double)] {
        var places: [String: (column: Int, row: Double)] = [:]
        for (index, column) in columns.enumerated() {
            for (row, id) in column.enumerated() {
                places[id] = (index, (Double(row) + 0.5) / Double(column.count))
            }
        }
        return places
    }

    private static func mean(
        _ neighbours: [String]?, _ places: [String: (column: Int, row: Double)], _ column: Int
    ) -> Double? {
        let rows = (neighbours ?? []).compactMap { places[$0] }.filter { $0.column != column }.map(\.row)
        return rows.isEmpty ? nil : rows.reduce(0, +) / Double(rows.count)
    }

    private mutating func place(_ columns: [[String]], _ graph: StackGraph) {
        let nodes = Dictionary(graph.nodes.map { ($0.id, $0) }) { first, _ in first }
        func size(_ id: String) -> (width: Double, height: Double) {
            // A place on an edge's way.
            guard let lines = nodes[id]?.lines else { return (0, 0) }
            let longest = lines.map(\.count).max() ?? 0
            return (
                Double(longest) * Self.characterWidth + 2 * Self.padding,
                Double(lines.count) * Self.lineHeight + 2 * Self.padding - 6
            )
        }
        let heights = columns.map { column in
            column.map { size($0).height }.reduce(0, +) + Self.rowGap * Double(max(0, column.count - 1))
        }
        let tallest = heights.max() ?? 0
        var x = Self.padding
        for (column, columnHeight) in zip(columns, heights) {
            var y = Self.padding + (tallest - columnHeight) / 2
            let columnWidth = column.map { size($0).width }.max() ?? 0
            for id in column {
                let (width, height) = size(id)
                boxes[id] = Box(x: x + (columnWidth - width) / 2, y: y, width: width, height: height)
                y += height + Self.rowGap
            }
            x += columnWidth + Self.columnGap
        }
        width = x - Self.columnGap + Self.padding
        height = tallest + 2 * Self.padding
    }
}
