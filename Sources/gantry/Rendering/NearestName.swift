import StackModel

/// The name the user may have meant: at most two letters away, and not a wholly different word.
func nearestName(to word: String, among names: [String]) -> String? {
    let distanceMax = 2
    let lengthMax = 64
    guard word.count <= lengthMax else { return nil }
    let nearest = names.map { (name: $0, distance: editDistance(Array(word.utf8), Array($0.utf8))) }
        .min { ($0.distance, $0.name) < ($1.distance, $1.name) }
    guard let nearest, nearest.distance <= distanceMax, nearest.distance < word.count else { return nil }
    return nearest.name
}
