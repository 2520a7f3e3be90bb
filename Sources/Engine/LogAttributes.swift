import StackModel

/// What `details` puts in front of a log's lines: labels and variables of the container that its logging options name,
/// as `json-file` and `local` of Docker do. They are the container's, the same for each of its lines.
struct LogAttributes {
    private(set) var values: [String: String] = [:]

    init(_ logging: Logging?, labels: [String: String], environment: [String]) {
        let options = logging?.options ?? [:]
        let variables = Dictionary(
            environment.compactMap { entry in
                entry.firstIndex(of: "=").map { (String(entry[..<$0]), String(entry[entry.index(after: $0)...])) }
            }, uniquingKeysWith: { $1 })
        add(labels, names: options["labels"], expression: options["labels-regex"])
        add(variables, names: options["env"], expression: options["env-regex"])
        if let tag = options["tag"], !tag.isEmpty { values["tag"] = tag }
    }

    private mutating func add(_ all: [String: String], names: String?, expression: String?) {
        let names = Set((names ?? "").split(separator: ",").map(String.init))
        let search = expression.flatMap { $0.isEmpty ? nil : SearchExpression($0) }
        for (key, value) in all where names.contains(key) || search?.matches(key) == true { values[key] = value }
    }

    /// `A=1,B=2 `, by name and each half escaped as in a query; one space when there is none.
    var text: String {
        values.sorted { $0.key < $1.key }.map { "\(Self.escaped($0.key))=\(Self.escaped($0.value))" }
            .joined(separator: ",") + " "
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: " "): escaped += "+"
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                escaped += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return escaped
    }
}
