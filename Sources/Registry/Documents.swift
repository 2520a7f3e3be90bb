import FoundationEssentials
import JSONDocument

extension JSONValue {
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
