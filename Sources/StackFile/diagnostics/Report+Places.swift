import StackModel

extension Report {
    /// Lines of one value that are searched.
    static let valueLinesMax = 1000

    /// The mark of `needle` when it stands in the mark's line at or after the mark, else the mark itself.
    func locate(_ needle: String, from mark: SourceMark) -> SourceMark {
        let wanted = Array(needle.unicodeScalars)
        return locate(from: mark, lines: 1) { firstOffset(of: wanted, in: $0) }
    }

    /// The first place, at or after the mark and within a number of lines, where `find` gives an offset; else the mark
    /// itself. `find` gets the rest of the mark's line and then whole lines.
    func locate(from mark: SourceMark, lines: Int, _ find: ([Unicode.Scalar]) -> Int?) -> SourceMark {
        guard mark.column >= 1 else { return mark }
        for index in 0..<min(max(lines, 1), Self.valueLinesMax) {
            let place = SourceMark(file: mark.file, line: mark.line + index, column: index == 0 ? mark.column : 1)
            guard let line = line(at: place) else { return mark }
            if let offset = find(Array(line.unicodeScalars.dropFirst(place.column - 1))) {
                return SourceMark(file: mark.file, line: place.line, column: place.column + offset)
            }
        }
        return mark
    }
}

/// Two places of one file in the order of reading; those of different files stay as they are.
func inOrder(_ left: SourceMark, _ right: SourceMark) -> (SourceMark, SourceMark) {
    let isReversed = left.file == right.file && (right.line, right.column) < (left.line, left.column)
    return isReversed ? (right, left) : (left, right)
}

/// Where `wanted` starts in `text`.
func firstOffset(of wanted: [Unicode.Scalar], in text: [Unicode.Scalar]) -> Int? {
    guard !wanted.isEmpty, text.count >= wanted.count else { return nil }
    return (0...(text.count - wanted.count)).first { text[$0..<($0 + wanted.count)].elementsEqual(wanted) }
}

/// The stack path of each mark: of the deepest key or value that starts there, else of the last one that starts before
/// it in its line.
func stackPaths(of marks: Set<SourceMark>, in documents: [Node]) -> [SourceMark: String] {
    guard !marks.isEmpty else { return [:] }
    var finder = PathFinder(byLine: Dictionary(grouping: marks, by: \.line))
    for document in documents { finder.visit(document) }
    return finder.found.mapValues(\.path)
}

private struct PathFinder {
    let byLine: [Int: [SourceMark]]
    var found: [SourceMark: (column: Int, path: String)] = [:]
    private var steps: [String] = []

    init(byLine: [Int: [SourceMark]]) { self.byLine = byLine }

    mutating func visit(_ node: Node) {
        take(node.place)
        switch node.content {
        case .scalar: break
        case .sequence(let items):
            for (index, item) in items.enumerated() {
                steps.append("[\(index)]")
                visit(item)
                steps.removeLast()
            }
        case .mapping(let mapping):
            for entry in mapping.entries {
                steps.append(steps.isEmpty ? entry.key : "." + entry.key)
                take(entry.keyPlace)
                visit(entry.value)
                steps.removeLast()
            }
        }
    }

    /// The values of an anchor are met again at its aliases: there the first path stays.
    private mutating func take(_ here: Place) {
        guard !steps.isEmpty, let wanted = byLine[here.lineNumber] else { return }
        let (mark, path) = (here.mark, steps.joined())
        for place in wanted where place.file == mark.file && mark.column <= place.column {
            if let known = found[place] {
                let isBetter = mark.column > known.column || mark.column == known.column && path.hasPrefix(known.path)
                guard isBetter else { continue }
            }
            found[place] = (mark.column, path)
        }
    }
}
