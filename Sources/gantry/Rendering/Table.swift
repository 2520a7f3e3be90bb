/// A table as Docker's command line prints it: every column at least ten wide with three blanks after its longest cell,
/// the last one as it is.
func renderTable(_ header: [String], _ rows: [[String]]) -> String {
    let columnWidthMin = 10
    let gap = 3
    let lines = [header] + rows.map { $0.map { harmless($0) } }
    var widths = [Int](repeating: columnWidthMin, count: header.count)
    for line in lines {
        for (column, cell) in line.enumerated() where column < widths.count {
            widths[column] = max(widths[column], cell.displayWidth + gap)
        }
    }
    return lines.map { line in
        let cells = line.enumerated().map { column, cell in
            column + 1 < line.count ? cell.padded(to: widths[column]) : cell
        }
        return trimmedEnd(cells.joined()) + "\n"
    }.joined()
}

private func trimmedEnd(_ text: String) -> String {
    var end = text.endIndex
    while end > text.startIndex, text[text.index(before: end)] == " " { end = text.index(before: end) }
    return String(text[..<end])
}
