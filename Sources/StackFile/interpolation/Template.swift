/// Why a template cannot be substituted.
enum TemplateError: Error, Equatable {
    /// `${`, `${}`, `${ x}`, `${x!}`: not the grammar of the Compose Specification, chapter Interpolation.
    case invalid
    /// `${NAME:?message}` without a value.
    case required(name: String, message: String)
    case tooDeep
    case tooLong
}

/// Substitutes variables in text: `$VAR`, `${VAR}`, `${VAR:-d}`, `${VAR-d}`, `${VAR:?e}`, `${VAR?e}`, `${VAR:+r}`,
/// `${VAR+r}`, and `$$` for one dollar sign. Defaults, replacements and messages are templates themselves and are
/// evaluated only when they are used.
struct Template {
    /// `${A:-${B:-…}}` levels.
    static let depthMax = 50
    /// Of the result.
    static let bytesMax = 16 * 1024 * 1024

    private let lookup: (String) -> String?
    private let unset: (String) -> Void

    /// `unset` is told about each variable that has no value and no alternative.
    init(lookup: @escaping (String) -> String?, unset: @escaping (String) -> Void) {
        self.lookup = lookup
        self.unset = unset
    }

    func substitute(_ text: String) throws(TemplateError) -> String {
        String(decoding: try substitute(Array(text.utf8)[...], depth: 1), as: UTF8.self)
    }

    private func substitute(_ text: ArraySlice<UInt8>, depth: Int) throws(TemplateError) -> [UInt8] {
        guard depth <= Self.depthMax else { throw .tooDeep }
        var output: [UInt8] = []
        var position = text.startIndex
        while position < text.endIndex {
            guard output.count <= Self.bytesMax else { throw .tooLong }
            let byte = text[position]
            guard byte == Self.dollar, position + 1 < text.endIndex else {
                output.append(byte)
                position += 1
                continue
            }
            let next = text[position + 1]
            if next == Self.dollar {
                output.append(Self.dollar)
                position += 2
            } else if next == Self.open {
                guard let end = closingBrace(text[(position + 1)...]) else { throw .invalid }
                output += try braced(text[(position + 2)..<end], depth: depth)
                position = end + 1
            } else {
                let name = Self.name(at: text[(position + 1)...])
                output += name.isEmpty ? [Self.dollar] : value(of: name)
                position = name.isEmpty ? position + 1 : name.endIndex
            }
        }
        return output
    }

    /// The inside of `${…}`.
    private func braced(_ body: ArraySlice<UInt8>, depth: Int) throws(TemplateError) -> [UInt8] {
        let name = Self.name(at: body)
        guard !name.isEmpty else { throw .invalid }
        var rest = body[name.endIndex...]
        guard var sign = rest.first else { return value(of: name) }
        let emptyCounts = sign == Self.colon
        if emptyCounts {
            rest = rest.dropFirst()
            guard let following = rest.first else { throw .invalid }
            sign = following
        }
        rest = rest.dropFirst()
        let text = String(decoding: name, as: UTF8.self)
        let found = lookup(text)
        let isSet = emptyCounts ? found?.isEmpty == false : found != nil
        switch sign {
        case UInt8(ascii: "-"):
            return isSet ? Array((found ?? "").utf8) : try substitute(rest, depth: depth + 1)
        case UInt8(ascii: "+"):
            return isSet ? try substitute(rest, depth: depth + 1) : []
        case UInt8(ascii: "?"):
            if isSet { return Array((found ?? "").utf8) }
            let message = try substitute(rest, depth: depth + 1)
            throw .required(name: text, message: String(decoding: message, as: UTF8.self))
        default: throw .invalid
        }
    }

    private func value(of name: ArraySlice<UInt8>) -> [UInt8] {
        let text = String(decoding: name, as: UTF8.self)
        if let value = lookup(text) { return Array(value.utf8) }
        unset(text)
        return []
    }

    /// The brace that closes the one `text` starts with.
    private func closingBrace(_ text: ArraySlice<UInt8>) -> Int? {
        var depth = 0
        for position in text.indices {
            if text[position] == Self.open { depth += 1 }
            if text[position] == Self.close {
                depth -= 1
                if depth == 0 { return position }
            }
        }
        return nil
    }

    /// The leading `[_a-zA-Z][_a-zA-Z0-9]*`.
    private static func name(at text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var isFirst = true
        return text.prefix { byte in
            let isLetter = byte == 0x5F || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            defer { isFirst = false }
            return isLetter || (!isFirst && (0x30...0x39).contains(byte))
        }
    }

    private static let dollar = UInt8(ascii: "$")
    private static let open = UInt8(ascii: "{")
    private static let close = UInt8(ascii: "}")
    private static let colon = UInt8(ascii: ":")
}
