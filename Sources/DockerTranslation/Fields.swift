import JSONDocument

/// Why a request cannot be carried out, told with the field that says so.
public struct TranslationError: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}

/// The members of a JSON object by name. Clients leave members out, send null, or send what is empty: all are "not
/// said". Members that are not known are passed over.
public struct Fields: Equatable, Sendable {
    public let members: [String: JSONValue]
    /// `HostConfig`, for messages; empty at the top.
    public let path: String

    public init(_ members: [String: JSONValue], path: String = "") {
        self.members = members
        self.path = path
    }

    func place(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    func refuse(_ name: String, _ why: String) -> TranslationError { TranslationError("\(place(name)): \(why)") }

    private func value(_ name: String) -> JSONValue? {
        guard let value = members[name], value != .null else { return nil }
        return value
    }

    /// `nil` for what is empty, too.
    public func text(_ name: String) throws(TranslationError) -> String? {
        switch value(name) {
        case nil: return nil
        case .string(let text)?: return text.isEmpty ? nil : text
        default: throw refuse(name, "must be a string")
        }
    }

    public func flag(_ name: String) throws(TranslationError) -> Bool? {
        switch value(name) {
        case nil: return nil
        case .bool(let flag)?: return flag
        case .integer(let number)?: return number != 0
        default: throw refuse(name, "must be true or false")
        }
    }

    public func isSet(_ name: String) throws(TranslationError) -> Bool { try flag(name) ?? false }

    public func number(_ name: String) throws(TranslationError) -> Int64? {
        switch value(name) {
        case nil: return nil
        case .integer(let number)?: return number
        case .number(let number)?:
            guard let whole = Int64(exactly: number.rounded()) else { throw refuse(name, "is too large") }
            return whole
        // Ports and limits come as text from some clients.
        case .string(let text)?:
            if text.isEmpty { return nil }
            guard let number = Int64(text) else { throw refuse(name, "must be a number") }
            return number
        default: throw refuse(name, "must be a number")
        }
    }

    /// Zero is how Docker's clients say that they want nothing of it.
    public func amount(_ name: String) throws(TranslationError) -> Int64? {
        try number(name).flatMap { $0 == 0 ? nil : $0 }
    }

    /// A list; one string alone is a list of one. `nil` only for what is missing or null.
    public func list(_ name: String) throws(TranslationError) -> [String]? {
        switch value(name) {
        case nil: return nil
        case .string(let text)?: return [text]
        case .array(let items)?:
            var texts: [String] = []
            for item in items {
                switch item {
                case .string(let text): texts.append(text)
                case .integer(let number): texts.append("\(number)")
                default: throw refuse(name, "must be a list of strings")
                }
            }
            return texts
        default: throw refuse(name, "must be a list of strings")
        }
    }

    public func texts(_ name: String) throws(TranslationError) -> [String] { try list(name) ?? [] }

    public func map(_ name: String) throws(TranslationError) -> [String: String] {
        switch value(name) {
        case nil: return [:]
        case .object(let members)?:
            var texts: [String: String] = [:]
            for (key, value) in members {
                switch value {
                case .string(let text): texts[key] = text
                case .null: texts[key] = ""
                case .integer(let number): texts[key] = "\(number)"
                case .bool(let flag): texts[key] = "\(flag)"
                default: throw refuse("\(name).\(key)", "must be a string")
                }
            }
            return texts
        default: throw refuse(name, "must be an object of strings")
        }
    }

    public func object(_ name: String) throws(TranslationError) -> Fields? {
        switch value(name) {
        case nil: return nil
        case .object(let members)?: return Fields(members, path: place(name))
        default: throw refuse(name, "must be an object")
        }
    }

    public func objects(_ name: String) throws(TranslationError) -> [Fields] {
        switch value(name) {
        case nil: return []
        case .array(let items)?:
            var found: [Fields] = []
            for (index, item) in items.enumerated() {
                guard case .object(let members) = item else { throw refuse("\(name)[\(index)]", "must be an object") }
                found.append(Fields(members, path: place("\(name)[\(index)]")))
            }
            return found
        default: throw refuse(name, "must be a list of objects")
        }
    }

    /// The objects of a map, sorted by key; null is an empty one.
    public func named(_ name: String) throws(TranslationError) -> [(key: String, fields: Fields)] {
        guard let map = try object(name) else { return [] }
        var found: [(key: String, fields: Fields)] = []
        for (key, value) in map.members.sorted(by: { $0.key < $1.key }) {
            switch value {
            case .null: found.append((key, Fields([:], path: map.place(key))))
            case .object(let members): found.append((key, Fields(members, path: map.place(key))))
            default: throw map.refuse(key, "must be an object")
            }
        }
        return found
    }

    /// Names of a map or a list, whatever is behind them: `ExposedPorts`, `Volumes`.
    public func names(_ name: String) throws(TranslationError) -> [String] {
        switch value(name) {
        case .object(let members)?: return members.keys.sorted()
        default: return try texts(name).sorted()
        }
    }
}
