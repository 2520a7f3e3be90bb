/// What a place in a stack file may hold: at most one scalar form, one list form and one mapping form, as in the
/// Compose Specification's JSON schema.
///
/// A class, so that the check hands shapes on without copying tables.
final class Shape: Sendable {
    struct Scalars: OptionSet, Sendable {
        let rawValue: Int
        static let string = Scalars(rawValue: 1)
        /// Also numbers without a fraction, such as `2.0`.
        static let integer = Scalars(rawValue: 2)
        static let number = Scalars(rawValue: 4)
        static let boolean = Scalars(rawValue: 8)
        static let null = Scalars(rawValue: 16)
    }

    struct List: Sendable {
        /// What is to be said about an item that stands in a list twice.
        enum Repeats: Sendable {
            case allowed
            case refused
            /// The schema refuses them, but merging has dropped them before the schema is looked at.
            case merged
        }

        let item: Shape
        let repeats: Repeats
    }

    enum Keys: Sendable {
        case object(Object)
        /// Any key that fits the rule, all values of the same shape.
        case free(KeyRule, Shape)
    }

    /// A mapping of which every key is known.
    final class Object: Sendable {
        /// What the JSON schema calls it; `nil` for one that stands in one place.
        let name: String?
        let fields: [String: Field]
        let required: [String]
        /// Exactly one of these keys must be there; empty is no such rule.
        let exactlyOne: [String]
        /// Whether any `x-…` is allowed besides.
        let allowsExtensions: Bool
        /// Whether other keys are refused, rather than said to be ignored.
        let refusesUnknown: Bool
        /// The object that this one has the fields of, besides its own; by name, for the JSON schema.
        let base: String?

        init(
            name: String? = nil, fields: [String: Field], required: [String] = [], exactlyOne: [String] = [],
            allowsExtensions: Bool = true, refusesUnknown: Bool = true, base: String? = nil
        ) {
            self.name = name
            self.fields = fields
            self.required = required
            self.exactlyOne = exactlyOne
            self.allowsExtensions = allowsExtensions
            self.refusesUnknown = refusesUnknown
            self.base = base
        }
    }

    enum KeyRule: Sendable {
        case any
        /// `^[a-zA-Z0-9._-]+$`
        case resourceName
        /// `^[a-z]+$`
        case lowercase
    }

    /// Texts of one form.
    struct Pattern: Sendable {
        /// "a container name"
        let noun: String
        /// ECMA-262, as JSON Schema wants it.
        let expression: String
        let hint: String
        let accepts: @Sendable (String) -> Bool
    }

    /// What the JSON schema calls this shape; `nil` for one that is written out where it stands.
    let name: String?
    let doc: String
    let scalars: Scalars
    /// The words a string must be one of; empty is any text.
    let words: [String]
    let pattern: Pattern?
    /// What a number may be; also one written as a string.
    let range: ClosedRange<Int64>?
    let list: List?
    let keys: Keys?
    let isAnything: Bool

    init(
        name: String? = nil, doc: String = "", scalars: Scalars = [], words: [String] = [], pattern: Pattern? = nil,
        range: ClosedRange<Int64>? = nil, list: List? = nil, keys: Keys? = nil, isAnything: Bool = false
    ) {
        self.name = name
        self.doc = doc
        self.scalars = scalars
        self.words = words
        self.pattern = pattern
        self.range = range
        self.list = list
        self.keys = keys
        self.isAnything = isAnything
    }

    var object: Object? { if case .object(let object)? = keys { object } else { nil } }

    /// "a string or a list"
    var description: String {
        var kinds: [String] = []
        if scalars.contains(.string) { kinds.append("a string") }
        if scalars.contains(.number) {
            kinds.append("a number")
        } else if scalars.contains(.integer) {
            kinds.append("an integer")
        }
        if scalars.contains(.boolean) { kinds.append("a boolean") }
        if list != nil { kinds.append("a list") }
        if keys != nil { kinds.append("a mapping") }
        guard let last = kinds.popLast() else { return "nothing" }
        return kinds.isEmpty ? last : kinds.joined(separator: ", ") + " or " + last
    }
}

/// One key of an object.
final class Field: Sendable {
    enum Support: Sendable {
        case supported
        /// Known to the specification, without a meaning here yet: one warning.
        case ignored
        /// As `ignored`, but these values ask for nothing.
        case ignoredUnless([String])
    }

    let shape: Shape
    /// One or two lines for editors, without a final full stop.
    let doc: String
    let support: Support

    init(_ shape: Shape, _ doc: String, _ support: Support = .supported) {
        self.shape = shape
        self.doc = doc
        self.support = support
    }
}

extension Shape.KeyRule {
    func accepts(_ key: String) -> Bool {
        switch self {
        case .any: !key.isEmpty
        case .resourceName: isResourceName(key)
        case .lowercase: !key.isEmpty && key.utf8.allSatisfy { (0x61...0x7A).contains($0) }
        }
    }

    /// ECMA-262, as JSON Schema wants it.
    var expression: String {
        switch self {
        case .any: "^.+$"
        case .resourceName: "^[a-zA-Z0-9._-]+$"
        case .lowercase: "^[a-z]+$"
        }
    }

    var hint: String {
        switch self {
        case .any: "a name must not be empty"
        case .resourceName: "use letters, digits, '.', '_' and '-'"
        case .lowercase: "use lower-case letters"
        }
    }
}

/// `^[a-zA-Z0-9._-]+$`
func isResourceName(_ text: String) -> Bool {
    !text.isEmpty
        && text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || byte == 0x2E || byte == 0x5F || byte == 0x2D
        }
}
