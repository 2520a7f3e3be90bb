import FoundationEssentials

/// JSON in and out; the only place that touches FoundationEssentials.
enum JSON {
    static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8], of what: String) throws(OCIError)
        -> Value
    {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw OCIError("\(what): \(reason(error))")
        }
    }

    static func encode(_ value: some Encodable, pretty: Bool = true) throws(OCIError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty
            ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            : [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch {
            throw OCIError("cannot write JSON: \(error)")
        }
    }

    private static func reason(_ error: any Error) -> String {
        func place(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
            return path.isEmpty ? "" : path.joined(separator: ".") + ": "
        }
        switch error as? DecodingError {
        case .typeMismatch(let type, let context)?: return "\(place(context))is not of type \(type)"
        case .valueNotFound(_, let context)?: return "\(place(context))is null"
        case .keyNotFound(let key, let context)?: return "\(place(context))'\(key.stringValue)' is missing"
        case .dataCorrupted(let context)?: return "\(place(context))\(context.debugDescription)"
        case nil: return "\(error)"
        @unknown default: return "\(error)"
        }
    }

    /// A string literal, RFC 8259.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\u{0}"..."\u{1f}", "\u{7f}"..."\u{9f}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
