/// The JSON Schema (draft 2020-12) of stack files, for editors: the Compose Specification, Compose jobs, and
/// `x-gantry`. The same text on every call, with a final newline.
///
/// Wherever a value is no text, a text with a variable is allowed too, as variables are substituted first.
public func stackFileSchema() -> String {
    var writer = SchemaWriter()
    return JSONWriter.write(writer.file().node)
}

/// Turns the table of shapes into a JSON Schema.
struct SchemaWriter {
    static let identifier = "stack.schema.json"

    private var definitions: [String: SchemaJSON] = [:]

    mutating func file() -> SchemaJSON {
        guard let object = Schema.file.object else { return .object([]) }
        let body = form(of: object)
        definitions["variable"] = .object([
            .init("description", .text("A variable that stands for the value, such as `${NAME}`")),
            .init("type", .text("string")), .init("pattern", .text("\\$")),
        ])
        let sorted = definitions.keys.sorted().compactMap { name in
            definitions[name].map { SchemaJSON.Member(name, $0) }
        }
        return .object(
            [
                .init("$schema", .text("https://json-schema.org/draft/2020-12/schema")),
                .init("$id", .text(Self.identifier)), .init("title", .text("Gantry stack file")),
                .init(
                    "description",
                    .text("A stack of containers: the Compose Specification, with what Gantry adds under x-gantry")),
            ] + body.members + [.init("$defs", .object(sorted))])
    }

    private mutating func schema(of shape: Shape) -> SchemaJSON {
        guard let name = shape.name else { return written(shape) }
        if definitions[name] == nil { definitions[name] = written(shape).described(shape.doc) }
        return .reference(name)
    }

    private mutating func written(_ shape: Shape) -> SchemaJSON {
        if shape.isAnything { return .object([]) }
        var forms = scalarForms(of: shape)
        if let list = shape.list { forms.append(form(of: list)) }
        switch shape.keys {
        case nil: break
        case .free(let rule, let value)?:
            forms.append(
                .object([
                    .init("type", .text("object")),
                    .init("patternProperties", .object([.init(rule.expression, schema(of: value))])),
                    .init("additionalProperties", .flag(false)),
                ]))
        case .object(let object)?: forms.append(reference(to: object))
        }
        guard forms.count == 1, let only = forms.first else { return .object([.init("anyOf", .list(forms))]) }
        return only
    }

    // MARK: Scalars

    private func scalarForms(of shape: Shape) -> [SchemaJSON] {
        var forms: [SchemaJSON] = []
        if !shape.words.isEmpty { forms.append(.object([.init("enum", .texts(shape.words))])) }
        let types = types(of: shape)
        if !types.isEmpty {
            var members = [SchemaJSON.Member("type", types.count == 1 ? .text(types[0]) : .texts(types))]
            if let pattern = shape.pattern {
                members.append(.init("pattern", .text(pattern.expression + "|\\$")))
            }
            if let range = shape.range {
                members.append(.init("minimum", .integer(range.lowerBound)))
                if range.upperBound < .max { members.append(.init("maximum", .integer(range.upperBound))) }
            }
            forms.append(.object(members))
        }
        let wantsVariable = !shape.scalars.isSubset(of: .null) && !types.contains("string")
        if wantsVariable { forms.append(.reference("variable")) }
        return forms
    }

    /// The words are a form of their own.
    private func types(of shape: Shape) -> [String] {
        var types: [String] = []
        if shape.scalars.contains(.string), shape.words.isEmpty { types.append("string") }
        if shape.scalars.contains(.number) {
            types.append("number")
        } else if shape.scalars.contains(.integer) {
            types.append("integer")
        }
        if shape.scalars.contains(.boolean) { types.append("boolean") }
        if shape.scalars.contains(.null) { types.append("null") }
        return types
    }

    // MARK: Lists and objects

    private mutating func form(of list: Shape.List) -> SchemaJSON {
        var members: [SchemaJSON.Member] = [
            .init("type", .text("array")), .init("items", schema(of: list.item)),
        ]
        if list.repeats != .allowed { members.append(.init("uniqueItems", .flag(true))) }
        return .object(members)
    }

    private mutating func reference(to object: Shape.Object) -> SchemaJSON {
        guard let name = object.name else { return form(of: object) }
        if definitions[name] == nil { definitions[name] = form(of: object) }
        return .reference(name)
    }

    private mutating func form(of object: Shape.Object) -> SchemaJSON {
        var members: [SchemaJSON.Member] = [.init("type", .text("object"))]
        members.append(.init("properties", .object(properties(of: object))))
        if object.allowsExtensions, object.refusesUnknown {
            members.append(.init("patternProperties", .object([.init("^x-", .object([]))])))
        }
        if object.refusesUnknown { members.append(.init("additionalProperties", .flag(false))) }
        if !object.required.isEmpty { members.append(.init("required", .texts(object.required.sorted()))) }
        if !object.exactlyOne.isEmpty {
            let choices = object.exactlyOne.map { SchemaJSON.object([.init("required", .texts([$0]))]) }
            members.append(.init("oneOf", .list(choices)))
        }
        return .object(members)
    }

    private mutating func properties(of object: Shape.Object) -> [SchemaJSON.Member] {
        object.fields.keys.sorted().compactMap { key in
            guard let field = object.fields[key] else { return nil }
            if let base = object.base, Schema.serviceFields[key] != nil {
                return .init(key, .reference("\(base)/properties/\(key)"))
            }
            return .init(key, schema(of: field.shape).described(description(of: field)))
        }
    }

    private func description(of field: Field) -> String {
        if case .ignored = field.support { return field.doc + ". This engine does not act on it" }
        return field.doc
    }
}
