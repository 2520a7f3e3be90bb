import ContainerRuntime
import StackModel

/// `logging` of a service as settings of the supervisor's log, which stands in for Docker's `json-file` and `local`.
enum LogOptions {
    private static let byteCountMax: UInt64 = 10 << 20
    private static let fileCount = 3
    private static let fileCountMax = 1000
    /// What Docker's two drivers take besides; it changes how their files look, and ours are not theirs.
    private static let formatOptions: Set<String> = [
        "compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode", "max-buffer-size",
    ]

    /// Without options three files of 10 MiB: the disk is bounded unless the user says otherwise. `nil` where nothing
    /// is to be kept.
    static func settings(
        _ logging: Logging?, path: String, service: String
    ) throws(EngineError) -> LogSettings? {
        var settings = LogSettings(path: path, maxBytes: byteCountMax, files: fileCount)
        guard let logging else { return settings }
        if logging.driver == "none" { return nil }
        for (name, value) in logging.options.sorted(by: { $0.key < $1.key }) {
            switch name {
            case "max-size":
                guard let bytes = byteCount(value) else {
                    throw .badRequest("service '\(service)': logging option max-size is no size: '\(value)'")
                }
                settings.maxBytes = bytes
            case "max-file":
                guard let count = Int(value), (1...fileCountMax).contains(count) else {
                    throw .badRequest(
                        "service '\(service)': logging option max-file is no number from 1 to \(fileCountMax): "
                            + "'\(value)'")
                }
                settings.files = count
            case _ where formatOptions.contains(name): continue
            default:
                throw .badRequest(
                    "service '\(service)': unknown logging option '\(name)'; max-size and max-file are known")
            }
        }
        return settings
    }

    /// `10m`, `1.5g`, `4096`, by 1024; `-1` is unlimited, which the log calls 0. As Docker's `units.RAMInBytes`.
    static func byteCount(_ text: String) -> UInt64? {
        if text == "-1" { return 0 }
        var digits = text.lowercased()
        if digits.hasSuffix("ib") { digits.removeLast(2) } else if digits.hasSuffix("b") { digits.removeLast() }
        var shift = 0
        if let unit = digits.last, let power = "kmgtp".firstIndex(of: unit) {
            shift = 10 * ("kmgtp".distance(from: "kmgtp".startIndex, to: power) + 1)
            digits.removeLast()
        }
        guard let first = digits.utf8.first, (0x30...0x39).contains(first),
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }),
            let number = Double(digits)
        else {
            return nil
        }
        let bytes = number * Double(1 << shift)
        return bytes >= 1 && bytes < Double(1 << 62) ? UInt64(bytes) : nil
    }
}
