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
    /// Variables have not been substituted: a text with one may become anything.
    var isRaw = false

    /// Reports all that is wrong with `node`, which stands at `path` of the stack file.
    func check(_ node: Node, against shape: Shape, path: String) {
        var walk = SchemaWalk(phase: phase, report: report, start: path, isRaw: isRaw)
        walk.check(node, shape)
    }
}

/// One walk over a tree. It keeps the way it came as a stack of steps and writes paths only into messages.
struct SchemaWalk {
    enum Step {
        case key(String)
        case item(Int)
    }

    let phase: SchemaCheck.Phase
    let report: Report
    let start: String
    private let isRaw: Bool
    private(set) var steps: [Step] = []
    /// The objects around the present place, with the number of steps that lead to each.
    private(set) var objects: [(object: Shape.Object, depth: Int)] = []
    /// Within a part that is ignored as a whole, and has been said to be.
    private var isIgnored = false
    /// Places and codes of errors: what an anchor repeats is wrong once.
    private var reported: Set<String> = []

    init(phase: SchemaCheck.Phase, report: Report, start: String, isRaw: Bool) {
        self.isRaw = isRaw
        self.phase = phase
        self.report = report
        self.start = start
    }

    mutating func check(_ node: Node, _ shape: Shape) {
        if shape.isAnything || node.mergeTag == .reset || report.isFull { return }
        switch node.content {
        case .scalar(let scalar): check(scalar, node, shape)
        case .sequence(let items):
            guard let list = shape.list else { return wrongType(node, shape) }
            check(items, list)
        case .mapping(let mapping):
            switch shape.keys {
            case nil: wrongType(node, shape)
            case .free(let rule, let value)?: check(mapping, rule, value)
            case .object(let object)?: check(mapping, node, object)
            }
        }
    }

    // MARK: Lists and mappings

    private mutating func check(_ items: [Node], _ list: Shape.List) {
        for index in items.indices {
            steps.append(.item(index))
            // Items are never merged with lower ones, so that a null among them can mean nothing.
            if items[index].isNull, items[index].mergeTag != .reset, !allowsNull(list.item) {
                wrongType(items[index], list.item)
            } else {
                check(items[index], list.item)
            }
            steps.removeLast()
        }
        if list.repeats == .refused, items.count > 1 { checkRepeats(items) }
    }

    private func allowsNull(_ shape: Shape) -> Bool { shape.isAnything || shape.scalars.contains(.null) }

    private mutating func checkRepeats(_ items: [Node]) {
        var seen: Set<String> = []
        for index in items.indices {
            guard let text = items[index].text, !seen.insert(text).inserted else { continue }
            steps.append(.item(index))
            error("stack.repeated", "'\(path)' repeats '\(text.prefix(40))'", at: items[index].mark, hint: "remove it")
            steps.removeLast()
        }
    }

    private mutating func check(_ mapping: Mapping, _ rule: Shape.KeyRule, _ value: Shape) {
        for entry in mapping.entries {
            // An empty item of a list has no name; only in a map that is a mistake.
            if !rule.accepts(entry.key), phase == .document || !entry.key.isEmpty {
                error(
                    "stack.name", "'\(entry.key)' is not a valid name in '\(path)'", at: entry.keyMark,
                    hint: rule.hint)
            }
            steps.append(.key(entry.key))
            // The long form would take the null of an option for an empty text.
            let isMissing = entry.value.isNull && entry.value.mergeTag != .reset && value.keys == nil
            if isMissing, !allowsNull(value) {
                wrongType(entry.value, value)
            } else {
                check(entry.value, value)
            }
            steps.removeLast()
        }
    }

    private mutating func check(_ mapping: Mapping, _ node: Node, _ object: Shape.Object) {
        objects.append((object, steps.count))
        for entry in mapping.entries {
            if let field = object.fields[entry.key] {
                check(entry, field)
            } else if !(object.allowsExtensions && entry.key.hasPrefix("x-")) {
                unknown(entry, object)
            }
        }
        if phase == .merged { checkRequired(node, mapping, object) }
        objects.removeLast()
    }

    private mutating func check(_ entry: Mapping.Entry, _ field: Field) {
        steps.append(.key(entry.key))
        let wasIgnored = isIgnored
        if phase == .document, !isIgnored { isIgnored = warnIfIgnored(entry, field) }
        check(entry.value, field.shape)
        isIgnored = wasIgnored
        steps.removeLast()
    }

    /// Whether the value, and all below it, is ignored.
    private func warnIfIgnored(_ entry: Mapping.Entry, _ field: Field) -> Bool {
        switch field.support {
        case .supported: return false
        case .ignored: break
        case .ignoredUnless(let values):
            if let text = entry.value.text, values.contains(text) { return false }
        }
        if entry.value.isNull || entry.value.mergeTag == .reset { return false }
        guard report.isFirst(at: entry.keyPlace) else { return true }
        let place = path
        var warning = Diagnostic(
            .warning, code: "stack.ignored-key", "'\(place)' is known, but this engine does not act on it",
            source: entry.keyMark)
        warning.path = place
        report.add(warning)
        return true
    }

    private mutating func unknown(_ entry: Mapping.Entry, _ object: Shape.Object) {
        guard !report.isFull else { return }
        let place = path
        let message = "unknown key '\(entry.key)'" + (place.isEmpty ? "" : " in '\(place)'")
        let hint = SchemaHint(walk: self).unknownKey(entry, object)
        if object.refusesUnknown {
            error("stack.unknown-key", message, at: entry.keyMark, hint: hint)
        } else if phase == .document, !isIgnored {
            report.warnOnce(
                "\(entry.keyMark)", "stack.unknown-key", message + " is ignored", at: entry.keyMark, hint: hint)
        }
    }

    private mutating func checkRequired(_ node: Node, _ mapping: Mapping, _ object: Shape.Object) {
        for key in object.required where mapping[key] == nil {
            let doc = object.fields[key]?.doc ?? ""
            error(
                "stack.missing-key", "'\(path)' needs the key '\(key)'", at: node.mark, about: key,
                hint: "add '\(key):' (\(lowercasedStart(doc)))")
        }
        guard !object.exactlyOne.isEmpty, object.exactlyOne.count(where: { mapping[$0] != nil }) != 1 else { return }
        let keys = object.exactlyOne.map { "'\($0)'" }.joined(separator: " and ")
        error("stack.missing-key", "'\(path)' needs exactly one of \(keys)", at: node.mark)
    }

    // MARK: Scalars

    private mutating func check(_ scalar: Scalar, _ node: Node, _ shape: Shape) {
        if isRaw, scalar.text.utf8.contains(UInt8(ascii: "$")) { return }
        guard fits(scalar, shape.scalars) else { return wrongType(node, shape) }
        guard scalar.value != .null else { return }
        if let range = shape.range { checkRange(scalar, node, range) }
        guard scalar.value == .string else { return }
        if !shape.words.isEmpty, !shape.words.contains(scalar.text) { wrongWord(scalar, node, shape) }
        if let pattern = shape.pattern, !pattern.accepts(scalar.text) {
            error(
                "stack.value", "'\(path)' must be \(pattern.noun), found '\(scalar.text.prefix(60))'", at: node.mark,
                hint: pattern.hint)
        }
    }

    private func fits(_ scalar: Scalar, _ allowed: Shape.Scalars) -> Bool {
        if scalar.value == .string {
            return allowed.contains(.string)
                || scalar.isInterpolated && fits(resolvePlainScalar(scalar.text), allowed)
        }
        return scalar.value == .null && phase == .document || fits(scalar.value, allowed)
    }

    private func fits(_ value: Scalar.Value, _ allowed: Shape.Scalars) -> Bool {
        switch value {
        case .null: allowed.contains(.null)
        case .boolean: allowed.contains(.boolean)
        case .integer: !allowed.isDisjoint(with: [.integer, .number])
        case .float(let number):
            allowed.contains(.number) || allowed.contains(.integer) && Int64(exactly: number) != nil
        case .string: false
        }
    }

    private mutating func checkRange(_ scalar: Scalar, _ node: Node, _ range: ClosedRange<Int64>) {
        let number: Int64?
        switch scalar.value == .string ? resolvePlainScalar(scalar.text) : scalar.value {
        case .integer(let value): number = value
        case .float(let value): number = Int64(exactly: value)
        default: number = nil
        }
        guard let number, !range.contains(number) else { return }
        let wanted =
            range.upperBound == .max
            ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
        error("stack.value", "'\(path)' must be \(wanted), found '\(scalar.text.prefix(40))'", at: node.mark)
    }

    private mutating func wrongWord(_ scalar: Scalar, _ node: Node, _ shape: Shape) {
        let words = shape.words.map { "'\($0)'" }
        let text = String(scalar.text.prefix(60))
        let listed = words.dropLast().joined(separator: ", ") + (words.count > 1 ? " or " : "") + (words.last ?? "")
        let meant = nearest(text, in: shape.words) ?? shape.words.first { !text.isEmpty && $0.contains(text) }
        error(
            "stack.value", "'\(path)' must be \(listed), found '\(text)'", at: node.mark,
            hint: meant.map { "did you mean '\($0)'?" })
    }

    private mutating func wrongType(_ node: Node, _ shape: Shape) {
        let found = node.scalar.map { $0.value == .null ? "nothing" : "\(node.kindName) '\($0.text.prefix(40))'" }
        error(
            "stack.type", "'\(path)' must be \(shape.description), found \(found ?? node.kindName)", at: node.mark,
            hint: SchemaHint(walk: self).wrongType(node, shape))
    }

    // MARK: Messages

    private mutating func error(
        _ code: String, _ message: String, at mark: SourceMark, about subject: String = "", hint: String? = nil
    ) {
        guard reported.insert("\(code) \(mark) \(subject)").inserted else { return }
        // Merging may have moved the item of a list that has been reported.
        if phase == .merged, subject.isEmpty, report.hasError(code, at: mark) { return }
        report.error(code, message, at: mark, hint: hint)
    }

    var path: String { path(depth: steps.count) }

    /// The path of the first steps.
    func path(depth: Int) -> String {
        var text = start
        for step in steps.prefix(depth) {
            switch step {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .item(let index): text += "[\(index)]"
            }
        }
        return text
    }

    /// The last key on the way here.
    var lastKey: String {
        for step in steps.reversed() {
            if case .key(let key) = step { return key }
        }
        return start.split(separator: ".").last.map(String.init) ?? ""
    }
}
