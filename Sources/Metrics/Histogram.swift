/// How often something took how long, in buckets that are fixed when it is made.
public struct Histogram: Equatable, Sendable {
    /// Upper ends of the buckets, each included, growing; a last bucket without an end follows.
    public let bounds: [Double]
    /// One for each bucket, that without an end included; not added up.
    public private(set) var counts: [UInt64]
    public private(set) var sum = 0.0

    /// Seconds: of answers, most of which take milliseconds.
    public static let answerSeconds = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10]
    /// Seconds: of work on a stack, from a look at it to an update of many replicas.
    public static let workSeconds = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300]

    public init(bounds: [Double]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "histogram: \(bounds) do not grow")
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    public var count: UInt64 { counts.reduce(0, +) }

    public mutating func observe(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }
}
