/// Prometheus's text exposition format, version 0.0.4, written family by family.
public struct MetricsText: Sendable {
    public enum Kind: String, Sendable { case counter, gauge, histogram }

    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    public private(set) var bytes: [UInt8] = []
    private var families: Set<String> = []
    private var family = ""

    public init() {}

    /// All samples of a family stand together: what follows is of this one until the next begins.
    public mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        assert(isMetricName(name), "\(name) is no name of a metric")
        let isNew = families.insert(name).inserted
        precondition(isNew, "metrics: \(name) begins twice")
        family = name
        append("# HELP \(name) ")
        for byte in help.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\n"): append("\\n")
            default: bytes.append(byte)
            }
        }
        append("\n# TYPE \(name) \(kind.rawValue)\n")
    }

    public mutating func add(_ value: some BinaryInteger, _ labels: MetricLabels = .none) {
        line("", labels, String(value))
    }

    public mutating func add(_ value: Double, _ labels: MetricLabels = .none) {
        line("", labels, Self.number(value))
    }

    /// Seconds out of nanoseconds.
    public mutating func add(nanoseconds: some BinaryInteger, _ labels: MetricLabels = .none) {
        add(Double(nanoseconds) / 1e9, labels)
    }

    public mutating func add(_ histogram: Histogram, _ labels: MetricLabels = .none) {
        var total: UInt64 = 0
        for (bound, count) in zip(histogram.bounds, histogram.counts) {
            total += count
            line("_bucket", labels.adding("le", Self.number(bound)), String(total))
        }
        line("_bucket", labels.adding("le", "+Inf"), String(histogram.count))
        line("_sum", labels, Self.number(histogram.sum))
        line("_count", labels, String(histogram.count))
    }

    /// A family of one sample.
    public mutating func gauge(_ name: String, _ help: String, _ value: some BinaryInteger) {
        begin(name, .gauge, help)
        add(value)
    }

    private mutating func line(_ suffix: String, _ labels: MetricLabels, _ value: String) {
        precondition(!family.isEmpty, "metrics: a sample before its family")
        bytes.append(contentsOf: family.utf8)
        bytes.append(contentsOf: suffix.utf8)
        if !labels.bytes.isEmpty {
            bytes.append(UInt8(ascii: "{"))
            bytes.append(contentsOf: labels.bytes)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: value.utf8)
        bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// As Go's `ParseFloat` reads it; whole numbers without a fraction.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        let wholeMax = 9_007_199_254_740_992.0  // Beyond it doubles are no longer every whole number.
        if value == value.rounded(), abs(value) < wholeMax { return String(Int64(value)) }
        return "\(value)"
    }
}
