/// The name the user may have meant: at most two letters away, and not a wholly different word.
func nearestName(to word: String, among names: [String]) -> String? {
    let distanceMax = 2
    let lengthMax = 64
    guard word.count <= lengthMax else { return nil }
    let nearest = names.map { (name: $0, distance: editDistance(word, $0)) }
        .min { ($0.distance, $0.name) < ($1.distance, $1.name) }
    guard let nearest, nearest.distance <= distanceMax, nearest.distance < word.count else { return nil }
    return nearest.name
}

/// Insertions, removals and replacements between two words (Levenshtein).
private func editDistance(_ left: String, _ right: String) -> Int {
    let right = Array(right)
    var row = Array(0...right.count)
    for (leftIndex, letter) in left.enumerated() {
        var diagonal = row[0]
        row[0] = leftIndex + 1
        for (index, other) in right.enumerated() {
            let above = row[index + 1]
            row[index + 1] = min(above + 1, row[index] + 1, diagonal + (letter == other ? 0 : 1))
            diagonal = above
        }
    }
    return row[right.count]
}
