import FoundationEssentials

extension JSONText {
    /// Reads a document. Members are sorted by name, those of `first` before the others.
    init(parsing bytes: [UInt8], first: [String] = []) throws {
        let document = try JSONDecoder().decode(JSONDocument.self, from: Data(bytes)).value
        guard case .object(let members) = document else {
            self = document
            return
        }
        func place(_ name: String) -> Int { first.firstIndex(of: name) ?? first.count }
        self = .object(members.sorted { (place($0.0), $0.0) < (place($1.0), $1.0) })
    }
}

/// Any JSON value.
private struct JSONDocument: Decodable {
    let value: JSONText

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }

        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        if single.decodeNil() {
            value = .null
            return
        }
        do {
            let values = try decoder.container(keyedBy: Name.self)
            value = .object(
                try values.allKeys.sorted { $0.stringValue < $1.stringValue }.map {
                    ($0.stringValue, try values.decode(JSONDocument.self, forKey: $0).value)
                })
            return
        } catch DecodingError.typeMismatch {
            // No object: the other kinds follow.
        }
        do {
            var values = try decoder.unkeyedContainer()
            var items: [JSONText] = []
            while !values.isAtEnd { items.append(try values.decode(JSONDocument.self).value) }
            value = .array(items)
            return
        } catch DecodingError.typeMismatch {
            // No list.
        }
        func decoded<Value: Decodable>(_ type: Value.Type) -> Value? {
            // Not of this kind: the next one is tried.
            try? single.decode(type)
        }
        if let bool = decoded(Bool.self) {
            value = .bool(bool)
        } else if let number = decoded(Int64.self) {
            value = .number(number)
        } else if let number = decoded(Double.self) {
            // Beyond whole numbers nothing is in these documents but what a program may have written there.
            value = .string("\(number)")
        } else {
            value = .string(try single.decode(String.self))
        }
    }
}
