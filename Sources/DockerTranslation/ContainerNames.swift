/// Names of containers: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
public func isContainerName(_ name: String) -> Bool {
    let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    guard let first = name.first, first != "_", first != ".", first != "-" else { return false }
    return name.utf8.count > 1 && name.allSatisfy(allowed.contains)
}

/// A name for a container that was given none: a quality and somebody who found something out, `calm_noether`.
///
/// - Parameter isTaken: when all words are, a digit is put behind.
public func randomContainerName(
    using generator: inout some RandomNumberGenerator, isTaken: (String) -> Bool
) -> String {
    let tries = 20
    for attempt in 0... {
        let left = qualities.randomElement(using: &generator) ?? "calm"
        let right = people.randomElement(using: &generator) ?? "noether"
        let digits = attempt < tries ? "" : "\(Int.random(in: 0..<(10 * attempt), using: &generator))"
        let name = "\(left)_\(right)\(digits)"
        if !isTaken(name) { return name }
    }
    return ""
}

private let qualities = [
    "able", "airy", "amber", "apt", "bold", "brave", "brisk", "calm", "candid", "civil", "clear", "clever", "crisp",
    "deft", "eager", "early", "earnest", "fair", "fleet", "fond", "frank", "gentle", "glad", "grand", "happy", "hardy",
    "honest", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid", "merry", "mild", "modest", "neat",
    "nimble",
    "noble", "patient", "plain", "polite", "proud", "quick", "quiet", "ready", "serene", "sharp", "sincere", "steady",
    "sunny", "sure", "tidy", "upbeat", "vivid", "warm", "wise", "witty", "zesty",
]

private let people = [
    "abel", "agnesi", "ampere", "archimedes", "babbage", "banach", "bell", "bernoulli", "bohr", "boole", "cantor",
    "carson", "cauchy", "celsius", "curie", "darwin", "dijkstra", "dirac", "einstein", "erdos", "euclid", "euler",
    "faraday", "fermat", "fermi", "fourier", "franklin", "galileo", "galois", "gauss", "germain", "godel", "goodall",
    "hamilton", "herschel", "hertz", "hilbert", "hopper", "huygens", "hypatia", "jacobi", "joule", "kepler", "knuth",
    "lagrange", "laplace", "leibniz", "lovelace", "maxwell", "meitner", "mendel", "newton", "nightingale", "noether",
    "ohm", "pascal", "pasteur", "planck", "poincare", "ramanujan", "riemann", "rutherford", "shannon", "thompson",
    "torvalds", "turing", "volta", "watt", "wiles", "wozniak",
]
