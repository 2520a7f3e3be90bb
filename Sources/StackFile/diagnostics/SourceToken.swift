/// How many characters the token has that starts at `column` (from 1) of a source line; at least 1.
func tokenLength(in line: String, at column: Int) -> Int {
    let reachMax = 10_000
    let skipped = max(0, column - 1 - reachMax)
    let scalars = Array(line.unicodeScalars.dropFirst(skipped).prefix(2 * reachMax))
    guard column >= 1, column - skipped <= scalars.count else { return 1 }
    let start = column - 1 - skipped
    let rest = scalars[start...]
    let first = scalars[start]
    let end: Int
    switch first {
    case " ", "[", "]", "{", "}", ",", ":", "|", ">", "#": end = start + 1
    case "-", "?": end = isSpaceOrEnd(scalars, start + 1) ? start + 1 : plainEnd(scalars, from: start)
    case "\\": end = start + 2
    case "\"", "'": end = closingQuote(scalars, from: start).map { $0 + 1 } ?? scalars.endIndex
    case "$": end = substitutionEnd(scalars, from: start)
    case "&", "*", "!": end = rest.firstIndex { isSpace($0) || [",", "]", "}"].contains($0) } ?? scalars.endIndex
    default:
        if isSpace(first) || first.properties.isWhitespace {
            end = rest.firstIndex { $0 != first } ?? scalars.endIndex
        } else {
            end = plainEnd(scalars, from: start)
        }
    }
    return max(1, trimmedEnd(scalars, start, end) - start)
}

/// The quote that closes the one at `start` within the line.
func closingQuote(_ scalars: [Unicode.Scalar], from start: Int) -> Int? {
    let quote = scalars[start]
    var index = start + 1
    while index < scalars.count {
        if quote == "\"", scalars[index] == "\\" {
            index += 2
        } else if scalars[index] != quote {
            index += 1
        } else if quote == "'", index + 1 < scalars.count, scalars[index + 1] == "'" {
            index += 2
        } else {
            return index
        }
    }
    return nil
}

/// Whether white space stands at `index`, or the line ends there.
func isSpaceOrEnd(_ scalars: [Unicode.Scalar], _ index: Int) -> Bool {
    index >= scalars.count || isSpace(scalars[index])
}

func isSpace(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || scalar == "\t" || scalar == "\r" }

private func plainEnd(_ scalars: [Unicode.Scalar], from start: Int) -> Int {
    let isFlow = flowDepth(scalars, before: start) > 0
    var index = start
    while index < scalars.count {
        let scalar = scalars[index]
        if scalar == ":", isSpaceOrEnd(scalars, index + 1) { return index }
        if scalar == "#", index > start, isSpace(scalars[index - 1]) { return index }
        if scalar == "$" {
            index = substitutionEnd(scalars, from: index)
            continue
        }
        if isFlow, [",", "[", "]", "{", "}"].contains(scalar) { return index }
        index += 1
    }
    return index
}

/// Brackets of the line that are open before `end`.
private func flowDepth(_ scalars: [Unicode.Scalar], before end: Int) -> Int {
    var depth = 0
    var index = 0
    while index < end {
        switch scalars[index] {
        case "[", "{": depth += 1
        case "]", "}": depth -= 1
        case "\"", "'":
            if let close = closingQuote(scalars, from: index) { index = close }
        case "$": index = substitutionEnd(scalars, from: index) - 1
        default: break
        }
        index += 1
    }
    return depth
}

/// After `${…}` or `$NAME`; after the `$` when it starts neither. Never before `start + 1`.
private func substitutionEnd(_ scalars: [Unicode.Scalar], from start: Int) -> Int {
    guard start + 1 < scalars.count else { return start + 1 }
    if scalars[start + 1] == "{" {
        let closing = scalars[start...].firstIndex(of: "}").map { $0 + 1 }
        return closing ?? scalars[start...].firstIndex { isSpace($0) || $0 == "\"" } ?? scalars.count
    }
    return scalars[(start + 1)...].prefix { isNameScalar($0, isFirst: false) }.endIndex
}

private func trimmedEnd(_ scalars: [Unicode.Scalar], _ start: Int, _ end: Int) -> Int {
    var end = min(end, scalars.count)
    while end > start + 1, scalars[end - 1] == " " || scalars[end - 1] == "\r" { end -= 1 }
    return end
}
