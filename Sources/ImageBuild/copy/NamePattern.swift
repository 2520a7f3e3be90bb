/// One part of a path with wildcards, as Go's `filepath.Match` reads it: `*`, `?`, `[a-z]`, `[^a]`, `\`. `**` is `*`.
struct NamePattern: Equatable, Sendable {
    private enum Item: Equatable {
        case scalar(Unicode.Scalar)
        case one
        case many
        case set([ClosedRange<Unicode.Scalar>], isNegated: Bool)
    }

    private var items: [Item] = []

    /// Whether a path has wildcards that no `\` takes away.
    static func hasWildcards(_ text: some Sequence<UInt8>) -> Bool {
        var isEscaped = false
        for byte in text {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if [UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "[")].contains(byte) {
                return true
            }
        }
        return false
    }

    /// `nil` where the pattern is malformed.
    init?(_ text: [UInt8]) {
        var rest = Array(String(decoding: text, as: UTF8.self).unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*": if items.last != .many { items.append(.many) }
            case "?": items.append(.one)
            case "\\":
                guard let next = rest.popFirst() else { return nil }
                items.append(.scalar(next))
            case "[":
                guard let set = Self.set(&rest) else { return nil }
                items.append(set)
            default: items.append(.scalar(scalar))
            }
        }
    }

    private static func set(_ rest: inout ArraySlice<Unicode.Scalar>) -> Item? {
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        let isNegated = rest.first == "^"
        if isNegated { rest = rest.dropFirst() }
        while let next = rest.first {
            if next == "]", !ranges.isEmpty {
                rest = rest.dropFirst()
                return .set(ranges, isNegated: isNegated)
            }
            guard let low = member(&rest) else { return nil }
            var high = low
            if rest.first == "-" {
                rest = rest.dropFirst()
                guard let end = member(&rest) else { return nil }
                high = end
            }
            guard low <= high else { return nil }
            ranges.append(low...high)
        }
        return nil
    }

    private static func member(_ rest: inout ArraySlice<Unicode.Scalar>) -> Unicode.Scalar? {
        guard let scalar = rest.popFirst(), scalar != "-", scalar != "]" else { return nil }
        return scalar == "\\" ? rest.popFirst() : scalar
    }

    /// Goes back to the last `*` only: no pattern takes longer than its length times the name's.
    func matches(_ name: [UInt8]) -> Bool {
        let text = Array(String(decoding: name, as: UTF8.self).unicodeScalars)
        var (place, index) = (0, 0)
        var back: (place: Int, index: Int)?
        while place < text.count {
            if index < items.count, items[index] == .many {
                index += 1
                back = (place, index)
            } else if index < items.count, Self.matches(items[index], text[place]) {
                (place, index) = (place + 1, index + 1)
            } else if let last = back {
                back = (last.place + 1, last.index)
                (place, index) = (last.place + 1, last.index)
            } else {
                return false
            }
        }
        return items[index...].allSatisfy { $0 == .many }
    }

    private static func matches(_ item: Item, _ scalar: Unicode.Scalar) -> Bool {
        switch item {
        case .scalar(let wanted): wanted == scalar
        case .one, .many: true
        case .set(let ranges, let isNegated): ranges.contains { $0.contains(scalar) } != isNegated
        }
    }
}
