import JSONDocument

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
