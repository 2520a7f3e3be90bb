/// Names and values of labels, as they stand between the braces of a sample. Made once and used for many samples.
public struct MetricLabels: Equatable, Hashable, Sendable {
    public static let none = MetricLabels([:])

    let bytes: [UInt8]

    public init(_ pairs: KeyValuePairs<String, String>) {
        var bytes: [UInt8] = []
        for (name, value) in pairs { Self.append(name, value, to: &bytes) }
        self.bytes = bytes
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// With one more at the end.
    public func adding(_ name: String, _ value: String) -> MetricLabels {
        var bytes = bytes
        Self.append(name, value, to: &bytes)
        return MetricLabels(bytes: bytes)
    }

    private static func append(_ name: String, _ value: String, to bytes: inout [UInt8]) {
        assert(isMetricName(name) && !name.contains(":"), "\(name) is no name of a label")
        if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
        bytes.append(contentsOf: name.utf8)
        bytes.append(contentsOf: "=\"".utf8)
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
            case UInt8(ascii: "\""): bytes.append(contentsOf: "\\\"".utf8)
            case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
func isMetricName(_ text: String) -> Bool {
    guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"), UInt8(ascii: ":"): true
        default: false
        }
    }
}
