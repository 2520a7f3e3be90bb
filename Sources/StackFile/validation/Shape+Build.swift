/// The words that the schema table is written in.
extension Shape {
    static let anything = Shape(isAnything: true)

    static func scalar(_ scalars: Scalars) -> Shape { Shape(scalars: scalars) }

    static let string = scalar(.string)
    /// `true`, or a text that stands for it. The same goes for numbers: a value may come out of a variable.
    static let boolean = scalar([.boolean, .string])
    static let integer = scalar([.integer, .string])
    static let number = scalar([.number, .string])

    static func integer(_ range: ClosedRange<Int64>) -> Shape { Shape(scalars: [.integer, .string], range: range) }

    static func word(_ words: String...) -> Shape { Shape(scalars: .string, words: words) }

    static func text(_ pattern: Pattern) -> Shape { Shape(scalars: .string, pattern: pattern) }

    static func list(_ item: Shape, repeats: List.Repeats = .allowed) -> Shape {
        Shape(list: List(item: item, repeats: repeats))
    }

    static func object(
        _ fields: [String: Field], named name: String? = nil, required: [String] = [], extensions: Bool = true
    ) -> Shape {
        object(Object(name: name, fields: fields, required: required, allowsExtensions: extensions))
    }

    static func object(_ object: Object) -> Shape { Shape(keys: .object(object)) }

    static func map(_ values: Shape, _ keys: KeyRule = .any) -> Shape { Shape(keys: .free(keys, values)) }

    /// Both alternatives; they differ in kind.
    func or(_ other: Shape) -> Shape {
        Shape(
            scalars: scalars.union(other.scalars), words: words + other.words, pattern: pattern ?? other.pattern,
            range: range ?? other.range, list: list ?? other.list, keys: keys ?? other.keys)
    }

    var orNull: Shape { or(.scalar(.null)) }

    /// The same shape as a definition of its own in the JSON schema.
    func named(_ name: String, _ doc: String) -> Shape {
        Shape(
            name: name, doc: doc, scalars: scalars, words: words, pattern: pattern, range: range, list: list,
            keys: keys, isAnything: isAnything)
    }
}
