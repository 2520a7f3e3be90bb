/// How long a replica that is unhealthy is let be before the loop replaces it: 30 s from its start, and twice as long
/// for each replacement in a row, at most five minutes. One that never gets better is not made again and again without
/// a pause.
public enum UnhealthyBackoff {
    /// Nanoseconds.
    static let patienceFirst: Int64 = 30 * 1_000_000_000
    /// Nanoseconds.
    static let patienceMax: Int64 = 300 * 1_000_000_000
    /// Nanoseconds that a replica has to be healthy, after which the replacements before it count no more.
    public static let steadyAfter: Int64 = 60 * 1_000_000_000

    static func patience(replacements: Int) -> Int64 {
        guard replacements < 10 else { return patienceMax }
        return min(patienceMax, patienceFirst << Int64(max(0, replacements)))
    }
}
