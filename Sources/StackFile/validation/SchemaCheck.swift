import StackModel

/// Compares a tree with the schema.
struct SchemaCheck {
    enum Phase {
        /// One document before merging: keys may be missing and a null keeps what lower files give.
        case document
        /// The merged file.
        case merged
    }

    let phase: Phase
    let report: Report

    func check(_ node: Node, against shape: Shape, path: String) {
        if shape.isAnything || node.mergeTag == .reset { return }
        switch node.content {
        case .scalar(let scalar): check(scalar, node, against: shape, path: path)
        case .sequence(let items):
            guard let item = shape.items.first else { return wrongType(node, shape, path) }
            for (index, value) in items.enumerated() { check(value, against: item, path: "\(path)[\(index)]") }
        case .mapping(let mapping):
            switch shape.keys {
            case nil: wrongType(node, shape, path)
            case .free(let rule, let values)?: checkFree(mapping, rule, values, path: path)
            case .object(let fields, let required, let extensions)?:
                checkObject(mapping, fields, extensions: extensions, path: path)
                if phase == .merged { checkRequired(node, mapping, required, path: path) }
            }
        }
    }

    private func check(_ scalar: Scalar, _ node: Node, against shape: Shape, path: String) {
        let allowed = shape.scalars
        let fits =
            switch scalar.value {
            case .null: phase == .document || allowed.contains(.null)
            case .boolean: allowed.contains(.boolean)
            case .integer: !allowed.isDisjoint(with: [.integer, .number])
            case .float: allowed.contains(.number)
            case .string:
                allowed.contains(.string) || (scalar.isInterpolated && interpolated(scalar.text, fits: allowed))
            }
        guard fits else { return wrongType(node, shape, path) }
        guard !shape.words.isEmpty, scalar.value == .string, !shape.words.contains(scalar.text) else { return }
        report.error(
            "stack.value",
            "'\(path)' must be \(shape.words.map { "'\($0)'" }.joined(separator: ", ")), found '\(scalar.text)'",
            at: node.mark, hint: nearest(scalar.text, in: shape.words).map { "did you mean '\($0)'?" })
    }

    private func interpolated(_ text: String, fits allowed: Shape.Scalars) -> Bool {
        switch resolvePlainScalar(text) {
        case .boolean: allowed.contains(.boolean)
        case .integer: !allowed.isDisjoint(with: [.integer, .number])
        case .float: allowed.contains(.number)
        case .null: allowed.contains(.null)
        case .string: false
        }
    }

    private func wrongType(_ node: Node, _ shape: Shape, _ path: String) {
        let found = node.scalar.map { $0.value == .null ? "nothing" : "\(node.kindName) '\($0.text.prefix(40))'" }
        report.error(
            "stack.type", "'\(path)' must be \(shape.description), found \(found ?? node.kindName)", at: node.mark,
            hint: typeHint(node, shape))
    }

    private func typeHint(_ node: Node, _ shape: Shape) -> String? {
        let misread = node.text.flatMap {
            misreadHint($0, wantsMapping: shape.keys != nil, wantsList: !shape.items.isEmpty)
        }
        if let misread { return misread }
        if node.isNull { return "remove the key or give it a value" }
        if let scalar = node.scalar, shape.scalars.contains(.string) { return "write it in quotes: \"\(scalar.text)\"" }
        if node.scalar != nil, !shape.items.isEmpty { return "write it as a list: [\(node.scalar?.text ?? "")]" }
        return nil
    }

    private func checkFree(_ mapping: Mapping, _ rule: Shape.KeyRule, _ values: [Shape], path: String) {
        for entry in mapping.entries {
            if !rule.accepts(entry.key) {
                report.error(
                    "stack.name", "'\(entry.key)' is not a valid name in '\(path)'", at: entry.keyMark,
                    hint: rule.hint)
            }
            if let shape = values.first { check(entry.value, against: shape, path: "\(path).\(entry.key)") }
        }
    }

    private func checkObject(_ mapping: Mapping, _ fields: [String: Field], extensions: Bool, path: String) {
        for entry in mapping.entries {
            let place = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            if let field = fields[entry.key] {
                if phase == .document { warnIfIgnored(entry, field, place) }
                check(entry.value, against: field.shape, path: place)
            } else if !(extensions && entry.key.hasPrefix("x-")) {
                report.error(
                    "stack.unknown-key", "unknown key '\(entry.key)'" + (path.isEmpty ? "" : " in '\(path)'"),
                    at: entry.keyMark,
                    hint: nearest(entry.key, in: fields.keys.sorted()).map { "did you mean '\($0)'?" })
            }
        }
    }

    private func warnIfIgnored(_ entry: Mapping.Entry, _ field: Field, _ path: String) {
        if entry.value.isNull || entry.value.mergeTag == .reset { return }
        switch field.support {
        case .supported: return
        case .ignoredUnless(let values):
            if let text = entry.value.text, values.contains(text) { return }
        case .ignored: break
        }
        report.warnOnce(
            "\(entry.keyMark.file)/\(path)", "stack.ignored-key", "'\(path)' is not supported yet and is ignored",
            at: entry.keyMark)
    }

    private func checkRequired(_ node: Node, _ mapping: Mapping, _ required: Set<String>, path: String) {
        for key in required.sorted() where mapping[key] == nil {
            report.error("stack.missing-key", "'\(path)' needs the key '\(key)'", at: node.mark)
        }
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
