import FoundationEssentials

/// Any JSON, to keep what we do not know.
enum JSONValue: Codable, Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {  // The errors mean: another type.
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {  // As above.
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {  // As above.
            self = .number(value)
        } else if let value = try? container.decode(String.self) {  // As above.
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {  // As above.
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    var fields: [String: JSONValue] {
        get { if case .object(let fields) = self { fields } else { [:] } }
        set { self = .object(newValue) }
    }

    var text: String? { if case .string(let text) = self { text } else { nil } }

    /// On one line, keys sorted.
    var encoded: [UInt8] { encoded([.sortedKeys, .withoutEscapingSlashes]) }
    /// For people.
    var prettyEncoded: [UInt8] { encoded([.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]) }

    private func encoded(_ formatting: JSONEncoder.OutputFormatting) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting
        do {
            return Array(try encoder.encode(self))
        } catch {
            // Only numbers that are no JSON fail, and those were not read from any.
            return Array("null".utf8)
        }
    }
}

/// Decodes a document of a server; `what` names it in the error.
func decodeDocument<Value: Decodable>(
    _ type: Value.Type, _ bytes: [UInt8], host: String, what: String
) throws(RegistryError) -> Value {
    do {
        return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
        throw .invalidResponse(host: host, why: "\(what) is not what it should be")
    }
}
