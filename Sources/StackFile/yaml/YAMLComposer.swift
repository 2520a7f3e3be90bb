import StackModel

/// Limits on what one file may be, so that a hostile file is refused instead of filling memory.
enum YAMLLimits {
    static let bytesMax = 16 * 1024 * 1024
    /// Nested lists and mappings. libyaml has no limit of its own.
    static let depthMax = 100
    static let nodesMax = 1_000_000
    /// Nodes that aliases stand for, expanded.
    static let aliasedNodesMax = 100_000
}

/// Builds node trees out of events: resolves anchors, aliases and merge keys, and reports duplicate keys.
struct YAMLComposer {
    private let events: YAMLEvents
    private let report: Report
    private var anchors: [String: Composed] = [:]
    private var openAnchors: Set<String> = []
    private var nodes = 0
    private var aliasedNodes = 0

    private struct Composed {
        var node: Node
        /// Nodes in this tree, aliases expanded.
        var size = 1
        /// Levels of nesting in this tree.
        var height = 1
    }

    /// The documents of a file; empty documents are left out.
    static func documents(_ bytes: [UInt8], file: String, report: Report) throws(Diagnostic) -> [Node] {
        let start = SourceMark(file: file, line: 1, column: 1)
        guard bytes.count <= YAMLLimits.bytesMax else {
            throw Diagnostic(
                code: "stack.limit", "the file has \(bytes.count) bytes; at most \(YAMLLimits.bytesMax) are read",
                source: start)
        }
        guard let events = YAMLEvents(bytes, file: file) else {
            throw Diagnostic(code: "stack.syntax", "the YAML parser cannot be started: out of memory", source: start)
        }
        var composer = YAMLComposer(events: events, report: report)
        return try composer.documents()
    }

    private init(events: YAMLEvents, report: Report) {
        self.events = events
        self.report = report
    }

    private mutating func documents() throws(Diagnostic) -> [Node] {
        var documents: [Node] = []
        while true {
            let (event, mark) = try events.next()
            switch event {
            case .streamEnd: return documents
            case .documentStart:
                anchors = [:]
            case .documentEnd: continue
            default:
                let document = try compose(event, mark, depth: 1).node
                if !document.isNull { documents.append(document) }
            }
        }
    }

    private mutating func compose(_ event: YAMLEvent, _ mark: SourceMark, depth: Int) throws(Diagnostic) -> Composed {
        nodes += 1
        guard nodes <= YAMLLimits.nodesMax else {
            throw Diagnostic(
                code: "stack.limit", "the file has more than \(YAMLLimits.nodesMax) values", source: mark)
        }
        try checkDepth(depth, mark)
        switch event {
        case .alias(let name): return try expand(name, mark, depth: depth)
        case .scalar(let text, let tag, let plain, let anchor):
            guard !text.utf8.contains(0) else {
                throw Diagnostic(code: "stack.value", "text must not contain a NUL character", source: mark)
            }
            let composed = Composed(node: scalarNode(text, tag: tag, plain: plain, mark))
            define(anchor, composed)
            return composed
        case .sequenceStart(let tag, let anchor):
            return try anchored(anchor) { (self: inout Self) throws(Diagnostic) in
                try self.composeSequence(tag, mark, depth: depth)
            }
        case .mappingStart(let tag, let anchor):
            return try anchored(anchor) { (self: inout Self) throws(Diagnostic) in
                try self.composeMapping(tag, mark, depth: depth)
            }
        case .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
            throw Diagnostic(code: "stack.syntax", "a value is missing", source: mark)
        }
    }

    private func checkDepth(_ depth: Int, _ mark: SourceMark) throws(Diagnostic) {
        guard depth <= YAMLLimits.depthMax else {
            throw Diagnostic(
                code: "stack.limit", "values are nested deeper than \(YAMLLimits.depthMax) levels", source: mark)
        }
    }

    private mutating func define(_ anchor: String?, _ composed: Composed) {
        if let anchor { anchors[anchor] = composed }
    }

    private mutating func anchored(
        _ anchor: String?, _ body: (inout Self) throws(Diagnostic) -> Composed
    ) throws(Diagnostic) -> Composed {
        if let anchor { openAnchors.insert(anchor) }
        let composed = try body(&self)
        if let anchor {
            openAnchors.remove(anchor)
            anchors[anchor] = composed
        }
        return composed
    }

    private mutating func expand(_ name: String, _ mark: SourceMark, depth: Int) throws(Diagnostic) -> Composed {
        if openAnchors.contains(name) {
            throw Diagnostic(code: "stack.cycle", "alias '*\(name)' stands inside its own anchor", source: mark)
        }
        guard let composed = anchors[name] else {
            throw unknownAlias(name, mark)
        }
        aliasedNodes += composed.size
        guard aliasedNodes <= YAMLLimits.aliasedNodesMax else {
            throw Diagnostic(
                code: "stack.limit",
                "excessive aliasing: aliases stand for more than \(YAMLLimits.aliasedNodesMax) values", source: mark)
        }
        try checkDepth(depth + composed.height - 1, mark)
        report.provenance?.addAlias(name, at: mark, to: composed.node.mark)
        return composed
    }

    private func unknownAlias(_ name: String, _ mark: SourceMark) -> Diagnostic {
        let wanted = Array("&\(name)".unicodeScalars)
        let below = report.locate(from: mark, lines: Report.valueLinesMax) { line in
            firstOffset(of: wanted, in: line).flatMap { isSpaceOrEnd(line, $0 + wanted.count) ? $0 : nil }
        }
        let isBelow = below != mark
        let near = nearest(name, in: anchors.keys.sorted()).map { "did you mean '*\($0)'?" }
        return Diagnostic(
            code: "stack.syntax", "no anchor '&\(name)' before this alias", source: mark,
            hint: isBelow
                ? "move the anchor above the alias"
                : near ?? "define it above with '&\(name)', or put a literal '*' in quotes: \"*\(name)\"",
            notes: isBelow ? [.init("the anchor stands here", at: below)] : [])
    }

    private func scalarNode(_ text: String, tag: String?, plain: Bool, _ mark: SourceMark) -> Node {
        let core = "tag:yaml.org,2002:"
        let value: Scalar.Value =
            switch tag {
            case nil: plain ? resolvePlainScalar(text) : .string
            case "!", core + "str", core + "binary": .string
            case core + "null", core + "bool", core + "int", core + "float": resolvePlainScalar(text)
            default: plain ? resolvePlainScalar(text) : .string
            }
        return Node(.scalar(Scalar(text: text, value: value)), at: mark, mergeTag: mergeTag(tag))
    }

    private func mergeTag(_ tag: String?) -> Node.MergeTag? {
        guard tag == "!reset" || tag == "!override" else { return nil }
        report.hasMergeTags = true
        return tag == "!reset" ? .reset : .override
    }

    private mutating func composeSequence(
        _ tag: String?, _ mark: SourceMark, depth: Int
    ) throws(Diagnostic) -> Composed {
        var items: [Node] = []
        var size = 1
        var height = 0
        while true {
            let (event, itemMark) = try events.next()
            if case .sequenceEnd = event { break }
            let item = try compose(event, itemMark, depth: depth + 1)
            // A reset item asks for nothing: lists are appended to, not merged item by item.
            if item.node.mergeTag != .reset { items.append(item.node) }
            size += item.size
            height = max(height, item.height)
        }
        return Composed(
            node: Node(.sequence(items), at: mark, mergeTag: mergeTag(tag)), size: size, height: height + 1)
    }

    private mutating func composeMapping(
        _ tag: String?, _ mark: SourceMark, depth: Int
    ) throws(Diagnostic) -> Composed {
        var mapping = Mapping()
        var merges: [Node] = []
        var mergeMark: SourceMark?
        var size = 1
        var height = 0
        while true {
            let (keyEvent, keyMark) = try events.next()
            if case .mappingEnd = keyEvent { break }
            let key = try composeKey(keyEvent, keyMark)
            let (event, valueMark) = try events.next()
            let value = try compose(event, valueMark, depth: depth + 1)
            size += value.size + 1
            height = max(height, value.height)
            if key.isMerge {
                if let mergeMark { reportDuplicate("<<", keyMark, first: mergeMark) }
                mergeMark = keyMark
                merges += try mergeSources(value.node, at: valueMark)
            } else if let name = key.name {
                if let first = mapping.keyMark(name) { reportDuplicate(name, keyMark, first: first) }
                mapping.set(name, at: keyMark, to: value.node)
            }
        }
        if let mergeMark { report.provenance?.addMerge(of: merges, into: mapping, at: mark, key: mergeMark) }
        for source in merges {
            for entry in source.mapping?.entries ?? [] where mapping[entry.key] == nil {
                mapping.set(entry)
            }
        }
        return Composed(
            node: Node(.mapping(mapping), at: mark, mergeTag: mergeTag(tag)), size: size, height: height + 1)
    }

    /// The key's text; no name when it was reported as unusable.
    private mutating func composeKey(
        _ event: YAMLEvent, _ mark: SourceMark
    ) throws(Diagnostic) -> (name: String?, isMerge: Bool) {
        // Lists and mappings as keys are refused before they are read: their nesting would escape the depth limit.
        switch event {
        case .scalar, .alias: break
        default: throw structuredKey(mark)
        }
        let key = try compose(event, mark, depth: 1).node
        guard let scalar = key.scalar else {
            throw Diagnostic(code: "stack.type", "a key must be a string, found \(key.kindName)", source: mark)
        }
        if case .scalar("<<", nil, true, _) = event { return (nil, true) }
        guard scalar.value == .string else {
            report.error(
                "stack.type", "a key must be a string, found \(key.kindName) '\(scalar.text)'", at: mark,
                hint: "write it in quotes: \"\(scalar.text)\"")
            return (nil, false)
        }
        if let first = scalar.text.unicodeScalars.first, YAMLLine.isStrangeBlank(first) {
            report.add(explainStrangeBlank(first, at: mark))
            return (nil, false)
        }
        return (scalar.text, false)
    }

    /// `{{ name }}`, the placeholder of many template languages, is a mapping as the key of a mapping.
    private func structuredKey(_ mark: SourceMark) -> Diagnostic {
        let scalars = report.line(at: mark).map { Array($0.unicodeScalars) } ?? []
        let offset = mark.column - 1
        guard scalars.indices.contains(offset), offset > 0, scalars[offset] == "{", scalars[offset - 1] == "{" else {
            return Diagnostic(
                code: "stack.type", "a key must be a string", source: mark, hint: "put a value with brackets in quotes")
        }
        let start = SourceMark(file: mark.file, line: mark.line, column: mark.column - 1)
        return Diagnostic(
            code: "stack.syntax", "a value that starts with '{{' needs quotes", source: start,
            hint: "write \"{{ … }}\"; only ${NAME} is substituted in stack files")
    }

    private func mergeSources(_ node: Node, at mark: SourceMark) throws(Diagnostic) -> [Node] {
        let sources = node.items ?? [node]
        for source in sources where source.mapping == nil {
            let place = node.items == nil ? "" : " in a list"
            throw Diagnostic(
                code: "stack.type", "'<<' takes a mapping or a list of mappings, found \(source.kindName)\(place)",
                source: mark, hint: "'<<' adds the keys of a mapping; lists cannot be extended this way",
                notes: source.mark == mark ? [] : [.init("the value stands here", at: source.mark)])
        }
        return sources
    }

    private func reportDuplicate(_ key: String, _ mark: SourceMark, first: SourceMark) {
        report.error(
            "stack.duplicate-key", "key '\(key)' is already given in line \(first.line)", at: mark,
            hint: key == "<<" ? "give '<<' one list: <<: [*a, *b]" : "remove one of the two",
            notes: [.init("first given here", at: first)])
    }
}
