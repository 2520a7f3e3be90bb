/// Any JSON document (RFC 8259), for what is passed on without being understood.
public enum JSONValue: Codable, Equatable, Sendable {
    case null
    case bool(Bool)
    /// Whole numbers keep all of their digits.
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {  // Not this type: the next is tried.
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

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let values): try container.encode(values)
        case .object(let members): try container.encode(members)
        }
    }
}

extension JSONValue {
    /// The value at a place (RFC 6901); `nil` where there is none.
    public func value(at pointer: String) -> JSONValue? {
        pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst().reduce(self) { value, part in
            let name = String(part).replacing("~1", with: "/").replacing("~0", with: "~")
            switch value {
            case .object(let members): return members[name]
            case .array(let items): return Int(name).flatMap { items.indices.contains($0) ? items[$0] : nil }
            default: return nil
            }
        }
    }

    /// The hash of a value that is not in the document; see `SavedPlan.stack`.
    public var withheldHash: String? {
        guard case .object(let members) = self, members.count == 1, case .string(let hash) = members["withheld"],
            hash.hasPrefix("hmac-sha256:")
        else { return nil }
        return hash
    }

    /// Places (RFC 6901) whose values are not in the document.
    public var withheldPlaces: [String] { places(at: "") }

    private func places(at pointer: String) -> [String] {
        switch self {
        case .array(let items): return items.enumerated().flatMap { $1.places(at: "\(pointer)/\($0)") }
        case .object(let members):
            if withheldHash != nil { return [pointer] }
            return members.sorted { $0.key < $1.key }.flatMap { name, value in
                value.places(at: "\(pointer)/\(name.replacing("~", with: "~0").replacing("/", with: "~1"))")
            }
        default: return []
        }
    }
}
