import Testing

@testable import Netlink

extension Words {
    /// `FIRST-LAST: VALUE, timeout MS`, sorted.
    static func elements(_ elements: [SetElement], of set: FirewallSet) -> [String] {
        let isSingle = set.isInterval && set.fieldByteCounts.isEmpty
        return (isSingle ? joined(elements) : elements).map { element in
            let last = Bytes.hexadecimal(element.keyEnd ?? element.key)
            let key = element.isCatchAll ? "*" : "\(Bytes.hexadecimal(element.key))-\(last)"
            let timeout = element.timeoutMilliseconds ?? set.timeoutMilliseconds
            return "\(key): \(value(element.value))" + (timeout.map { ", timeout \($0)" } ?? "")
        }
        .sorted()
    }

    /// Ranges of one field are two elements each: where they start and what follows them. The highest may have no end.
    private static func joined(_ elements: [SetElement]) -> [SetElement] {
        let sorted = elements.filter { !$0.isCatchAll }.sorted {
            $0.key == $1.key ? $0.isIntervalEnd && !$1.isIntervalEnd : $0.key.lexicographicallyPrecedes($1.key)
        }
        var ranges = elements.filter(\.isCatchAll)
        for (index, element) in sorted.enumerated() where !element.isIntervalEnd {
            var range = element
            let next = sorted.dropFirst(index + 1).first
            range.keyEnd = next.map { Bytes.decremented($0.key) } ?? [UInt8](repeating: 0xff, count: element.key.count)
            ranges.append(range)
        }
        return ranges
    }

    private static func value(_ value: SetElement.Value) -> String {
        switch value {
        case .none: ""
        case .data(let bytes): Bytes.hexadecimal(bytes)
        case .verdict(let verdict): word(verdict)
        }
    }

    static func word(_ verdict: Verdict) -> String {
        switch verdict {
        case .accept: "accept"
        case .drop: "drop"
        case .return: "return"
        case .continue: "continue"
        case .jump(let chain): "jump \(chain)"
        case .goto(let chain): "goto \(chain)"
        case .queue(let code): "queue \(code)"
        }
    }

    static func elements(_ elements: [JSON], _ keys: [SetType], _ values: [SetType], timeout usual: Int?) throws
        -> [String]
    {
        try elements.map { element in
            // Of a map: key and value.
            let pair = element.list
            let details = (pair.first ?? element)["elem"]
            let key = details?["val"] ?? pair.first ?? element
            let value = pair.count == 2 ? try self.value(pair[1], values) : ""
            let timeout = details?["timeout"]?.int ?? usual
            let word = key == .string("*") ? "*" : try range(key, keys)
            return "\(word): \(value)" + (timeout.map { ", timeout \($0 * 1000)" } ?? "")
        }
        .sorted()
    }

    private static func range(_ json: JSON, _ types: [SetType]) throws -> String {
        let (first, last) = try ends(json, types)
        return "\(Bytes.hexadecimal(first))-\(Bytes.hexadecimal(last))"
    }

    private static func ends(_ json: JSON, _ types: [SetType]) throws -> (first: [UInt8], last: [UInt8]) {
        guard let fields = json["concat"]?.list else { return try #require(types.first).range(json) }
        var first: [UInt8] = []
        var last: [UInt8] = []
        for (type, field) in zip(types, fields) {
            let ends = try type.range(field)
            let padding = [UInt8](repeating: 0, count: (4 - type.byteCount % 4) % 4)
            first += ends.first + padding
            last += ends.last + padding
        }
        return (first, last)
    }

    private static func value(_ json: JSON, _ types: [SetType]) throws -> String {
        types.isEmpty ? try #require(verdict(json)) : Bytes.hexadecimal(try ends(json, types).first)
    }

    /// `{"jump": {"target": "door"}}`; `nil` for what is no verdict.
    static func verdict(_ json: JSON) -> String? {
        guard case .object(let fields) = json, let (name, value) = fields.first,
            ["accept", "drop", "return", "continue", "jump", "goto"].contains(name)
        else { return nil }
        return value["target"]?.string.map { "\(name) \($0)" } ?? name
    }
}
