/// What a place in a stack file may hold: at most one scalar form, one list form and one mapping form, as in the
/// Compose Specification's JSON schema.
struct Shape: Sendable {
    struct Scalars: OptionSet, Sendable {
        let rawValue: Int
        static let string = Scalars(rawValue: 1)
        static let integer = Scalars(rawValue: 2)
        static let number = Scalars(rawValue: 4)
        static let boolean = Scalars(rawValue: 8)
        static let null = Scalars(rawValue: 16)
    }

    enum Keys: Sendable {
        case object([String: Field], required: Set<String>, extensions: Bool)
        /// Any key that fits the rule, all values of the same shape.
        case free(KeyRule, [Shape])
    }

    enum KeyRule: Sendable {
        case any
        /// `^[a-zA-Z0-9._-]+$`
        case resourceName
        /// `^[a-z]+$`
        case lowercase
    }

    var scalars: Scalars = []
    /// The words a string must be one of; empty is any text.
    var words: [String] = []
    /// The shape of list items; one element, or none when a list is not allowed.
    var items: [Shape] = []
    var keys: Keys?
    var isAnything = false

    static let anything: Shape = {
        var shape = Shape()
        shape.isAnything = true
        return shape
    }()

    static func scalar(_ scalars: Scalars) -> Shape {
        var shape = Shape()
        shape.scalars = scalars
        return shape
    }

    static let string = scalar(.string)
    static let boolean = scalar([.boolean, .string])
    static let integer = scalar([.integer, .string])
    static let number = scalar([.number, .string])

    static func word(_ words: String...) -> Shape {
        var shape = scalar(.string)
        shape.words = words
        return shape
    }

    static func list(_ item: Shape) -> Shape {
        var shape = Shape()
        shape.items = [item]
        return shape
    }

    static func object(
        _ fields: [String: Field], required: Set<String> = [], extensions: Bool = true
    ) -> Shape {
        var shape = Shape()
        shape.keys = .object(fields, required: required, extensions: extensions)
        return shape
    }

    static func map(_ values: Shape, _ keys: KeyRule = .any) -> Shape {
        var shape = Shape()
        shape.keys = .free(keys, [values])
        return shape
    }

    /// Both alternatives; they differ in kind.
    func or(_ other: Shape) -> Shape {
        var shape = self
        shape.scalars.formUnion(other.scalars)
        shape.words += other.words
        if shape.items.isEmpty { shape.items = other.items }
        if shape.keys == nil { shape.keys = other.keys }
        return shape
    }

    var orNull: Shape { or(.scalar(.null)) }

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
        if !items.isEmpty { kinds.append("a list") }
        if keys != nil { kinds.append("a mapping") }
        guard let last = kinds.popLast() else { return "nothing" }
        return kinds.isEmpty ? last : kinds.joined(separator: ", ") + " or " + last
    }
}

/// One key of an object.
struct Field: Sendable {
    enum Support: Sendable {
        case supported
        /// Known to the specification, without a meaning here yet: one warning.
        case ignored
        /// As `ignored`, but these values ask for nothing.
        case ignoredUnless([String])
    }

    var shape: Shape
    var support: Support

    init(_ shape: Shape, _ support: Support = .supported) {
        self.shape = shape
        self.support = support
    }
}
