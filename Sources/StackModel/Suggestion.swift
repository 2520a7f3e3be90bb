/// The candidate that `word` was probably meant to be: at most a third of its letters differ.
public func nearest(_ word: String, in candidates: [String]) -> String? {
    let lengthMax = 64
    guard word.utf8.count <= lengthMax else { return nil }
    let wanted = Array(word.lowercased().utf8)
    var best: (distance: Int, word: String)?
    for candidate in candidates where candidate.utf8.count <= lengthMax {
        let distance = editDistance(wanted, Array(candidate.lowercased().utf8))
        let allowed = max(1, max(wanted.count, candidate.utf8.count) / 3)
        if distance <= allowed, distance < (best?.distance ?? .max) { best = (distance, candidate) }
    }
    return best?.word
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other (optimal string
/// alignment).
public func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
    var beforePrevious = [Int](repeating: 0, count: right.count + 1)
    var previous = Array(0...right.count)
    for row in 1...left.count {
        var current = [row] + [Int](repeating: 0, count: right.count)
        for column in 1...right.count {
            let same = left[row - 1] == right[column - 1]
            var cost = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (same ? 0 : 1))
            if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                cost = min(cost, beforePrevious[column - 2] + 1)
            }
            current[column] = cost
        }
        beforePrevious = previous
        previous = current
    }
    return previous[right.count]
}
