import StackModel

extension Canonicalizer {
    func boolean(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard let scalar = node.scalar else { return node }
        if case .boolean = scalar.value { return node }
        guard let text = node.text else { return node }
        switch text.lowercased() {
        case "true", "1": return .boolean(true, at: node.mark)
        case "false", "0": return .boolean(false, at: node.mark)
        case "y", "yes", "on":
            warnOldBoolean(text, node, now: "true")
            return .boolean(true, at: node.mark)
        case "n", "no", "off":
            warnOldBoolean(text, node, now: "false")
            return .boolean(false, at: node.mark)
        default:
            invalid(path(), "true or false", node)
            return node
        }
    }

    private func warnOldBoolean(_ text: String, _ node: Node, now: String) {
        report.warning(
            "stack.boolean", "'\(text)' is no boolean in YAML 1.2; it is read as '\(now)'", at: node.mark,
            hint: "write '\(now)'")
    }

    func integer(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard let scalar = node.scalar else { return node }
        if case .integer = scalar.value { return node }
        if case .float(let number) = scalar.value, let whole = Int64(exactly: number) {
            return .integer(whole, at: node.mark)
        }
        if case .float(let number) = scalar.value, let whole = Int64(exactly: number.rounded(.towardZero)) {
            report.warning(
                "stack.value", "'\(path())' is a whole number: \(scalar.text) is read as \(whole)", at: node.mark)
            return .integer(whole, at: node.mark)
        }
        guard scalar.value == .string, case .integer(let number) = resolvePlainScalar(scalar.text) else {
            invalid(path(), "an integer", node)
            return node
        }
        return .integer(number, at: node.mark)
    }

    func deviceCount(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        if node.text == "all" { return .integer(-1, at: node.mark) }
        if let text = node.text, case .string = resolvePlainScalar(text) {
            invalid(path(), "a number of devices or 'all'", node)
            return node
        }
        return integer(node, path())
    }

    func number(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard let scalar = node.scalar else { return node }
        let value = scalar.value == .string ? resolvePlainScalar(scalar.text) : scalar.value
        switch value {
        case .integer(let number): return .integer(number, at: node.mark)
        case .float(let number) where number.isFinite: return .number(number, at: node.mark)
        default:
            invalid(path(), "a number", node)
            return node
        }
    }

    func bytes(_ node: Node, _ path: @autoclosure () -> String, unlimited: Bool) -> Node {
        guard let text = node.text else { return node }
        if unlimited, text == "-1" { return .string("-1", at: node.mark) }
        if case .integer(let number)? = node.scalar?.value, number < 0 {
            report.unusable("stack.value", "'\(path())' must not be negative, found \(number)", at: node.mark)
            return .string(String(number), at: node.mark)
        }
        guard let size = parseBytes(text) else {
            invalid(path(), "a size", node, hint: "write a number with b, k, m, g or t, for example \"512m\"")
            return node
        }
        return .string(String(size), at: node.mark)
    }

    func duration(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard let text = node.text else { return node }
        if text.hasPrefix("-"), let magnitude = parseDuration(String(text.dropFirst())) {
            report.unusable(
                "stack.value", "'\(path())' must not be negative, found '\(text.prefix(60))'", at: node.mark)
            return .string(goDurationText(-magnitude), at: node.mark)
        }
        guard let duration = parseDuration(text) else {
            invalid(
                path(), "a duration", node, hint: "write numbers with us, ms, s, m, h, d or w, for example \"1m30s\"")
            return node
        }
        return .string(goDurationText(duration), at: node.mark)
    }

    /// A file mode: `0440` (octal already in YAML) or the same digits as text.
    func octalMode(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard let scalar = node.scalar, let text = node.text else { return node }
        let mode =
            if case .integer(let number) = scalar.value { UInt32(exactly: number) } else { UInt32(text, radix: 8) }
        guard let mode, mode <= 0o7777 else {
            invalid(path(), "a file mode", node, hint: "write octal digits, for example \"0440\"")
            return node
        }
        return .string("0" + String(mode, radix: 8), at: node.mark)
    }

    func asText(_ node: Node) -> Node {
        guard let scalar = node.scalar, scalar.value != .string, node.mergeTag != .reset else { return node }
        return Node(.scalar(Scalar(string: scalar.canonicalText)), at: node.mark, mergeTag: node.mergeTag)
    }

    func textItems(_ node: Node) -> Node {
        guard let items = node.items else { return node }
        return .list(items.map(asText), at: node.mark)
    }

    func stringList(_ node: Node) -> Node {
        node.scalar == nil ? textItems(node) : .list([asText(node)], at: node.mark)
    }

    /// As `stringList`, without what unset variables leave.
    func strings(_ node: Node) -> Node {
        let list = stringList(node)
        guard let items = list.items, items.contains(where: { $0.text?.isEmpty == true }) else { return list }
        return .list(items.filter { $0.text?.isEmpty != true }, at: node.mark)
    }

    func textMap(_ node: Node) -> Node {
        guard let mapping = node.mapping else { return node }
        return Node(.mapping(mapping.mapValues { asText($0.value) }), at: node.mark)
    }

    /// A map, or a list of `KEY=value` and `KEY`, as a map of strings.
    func pairs(_ node: Node, missing: (SourceMark) -> Node) -> Node {
        var result = Mapping()
        if let mapping = node.mapping {
            for entry in mapping.entries {
                let isMissing = entry.value.isNull && entry.value.mergeTag == nil
                let value = isMissing ? missing(entry.value.mark) : asText(entry.value)
                result.set(entry.key, like: entry, to: value)
            }
            return Node(.mapping(result), at: node.mark)
        }
        guard let items = node.items else { return node }
        for item in items {
            guard let text = item.text else { continue }
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = String(parts.first ?? "")
            if key.isEmpty { complainOfNameless(text, at: item.mark) }
            let value = parts.count > 1 ? Node.string(String(parts[1]), at: item.mark) : missing(item.mark)
            result.set(key, at: item.mark, to: value)
        }
        return Node(.mapping(result), at: node.mark)
    }

    /// As `pairs`; a name alone is none of a context.
    func contexts(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        for (index, item) in (node.items ?? []).enumerated() where item.text?.contains("=") == false {
            invalid("\(path())[\(index)]", "NAME=CONTEXT", item)
        }
        return pairs(node, missing: { .string("", at: $0) })
    }

    /// An empty item is what an unset variable leaves.
    private func complainOfNameless(_ text: String, at mark: SourceMark) {
        if text.isEmpty { return report.warning("stack.value", "an empty item is ignored", at: mark) }
        report.unusable("stack.value", "'\(text.prefix(60))' has no name before '='", at: mark)
    }

    func command(_ node: Node, _ path: @autoclosure () -> String) -> Node {
        guard node.scalar != nil, let text = node.text else { return textItems(node) }
        guard text.utf8.count <= LoadLimits.commandBytesMax else {
            report.error(
                "stack.limit", "'\(path())' is longer than \(LoadLimits.commandBytesMax) bytes", at: node.mark)
            return node
        }
        guard let line = ShellWords(text) else {
            invalid(
                path(), "a command line with closed quotes and parentheses", node,
                hint: "close the quote, write \\' for an apostrophe, or give a list: [\"sh\", \"-c\", \"…\"]")
            return node
        }
        if let cut = line.cut {
            report.warning(
                "stack.shell", "'\(path())' ends at '\(cut)': no shell reads it", at: node.mark,
                hint: "write [\"sh\", \"-c\", …], or quote the character")
        }
        return .list(line.words.map { .string($0, at: node.mark) }, at: node.mark)
    }

    func healthTest(_ node: Node) -> Node {
        if node.scalar != nil {
            return .list([.string("CMD-SHELL", at: node.mark), asText(node)], at: node.mark)
        }
        return textItems(node)
    }
}
