extension InstructionParser {
    // MARK: - Files

    private static let copyFlags: [String: Flags.Kind] = [
        "chown": .single, "chmod": .single, "link": .bool, "exclude": .several,
    ]

    func copy() throws(Fault) -> Copy {
        let known = Self.copyFlags.merging(["from": .single, "parents": .bool]) { first, _ in first }
        let flags = try flags(known)
        var copy = try sources(flags)
        copy.from = flags["from"]
        copy.keepsParents = flags.bool("parents") ?? false
        if let from = copy.from, from.text.unicodeScalars.contains("$") {
            throw fault(
                .flag,
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from "
                    + "global scope as a workaround",
                at: from.range, hint: "write 'FROM \(from.text) AS NAME' above and --from=NAME here")
        }
        return copy
    }

    func add() throws(Fault) -> Add {
        let more: [String: Flags.Kind] = ["checksum": .single, "keep-git-dir": .bool, "unpack": .bool]
        let flags = try flags(Self.copyFlags.merging(more) { first, _ in first })
        return Add(
            copy: try sources(flags), checksum: flags["checksum"], keepsGitFolder: flags.bool("keep-git-dir"),
            unpacks: flags.bool("unpack"))
    }

    private func sources(_ flags: Flags) throws(Fault) -> Copy {
        let words = try blankSeparatedOrJSON()
        guard words.count >= 2, let destination = words.last else {
            throw fault(
                .syntax,
                "\(name) requires at least two arguments, but only \(words.isEmpty ? "none" : "one") was "
                    + "provided. Destination could not be determined",
                hint: "write \(name) SOURCE… DESTINATION")
        }
        if let heredoc = Heredoc(word: destination.text), heredocs.contains(where: { $0.name == heredoc.name }) {
            throw fault(
                .syntax, "\(name) cannot accept a heredoc as a destination", at: destination.range,
                hint: "write the path after it: \(name) \(destination.text) /path/of/file")
        }
        var copy = Copy(sources: [], destination: destination)
        var rest = words.dropLast()
        while let word = rest.popFirst() {
            if let found = heredoc(word.text) {
                copy.files.append(found)
            } else if let next = rest.first, let found = heredoc(word.text + " " + next.text) {
                copy.files.append(found)
                rest.removeFirst()
            } else {
                copy.sources.append(word)
            }
        }
        copy.owner = flags["chown"]
        copy.mode = flags["chmod"]
        copy.isLinked = flags.bool("link") ?? false
        copy.excludes = flags.all("exclude")
        return copy
    }

    private func heredoc(_ word: String) -> InlineFile? {
        guard let name = Heredoc(word: word)?.name, let found = heredocs.last(where: { $0.name == name }) else {
            return nil
        }
        return InlineFile(name: found.name, content: found.document, expands: found.expands)
    }

    /// A JSON array, or words between blanks.
    private func blankSeparatedOrJSON() throws(Fault) -> [Word] {
        let found = try invocation(rest)
        return found.form == .exec ? found.words : splitter.blankSeparated(rest)
    }

    // MARK: - Lists and pairs

    func list() throws(Fault) -> [Word] {
        _ = try flags()
        let words = splitter.blankSeparated(rest)
        guard !words.isEmpty else { throw needsOne }
        return words
    }

    func volumes() throws(Fault) -> [Word] {
        _ = try flags()
        let words = try blankSeparatedOrJSON().map { Word($0.text.trimmed, at: $0.range) }
        guard !words.isEmpty else { throw needsOne }
        if let empty = words.first(where: { $0.text.isEmpty }) {
            throw fault(.value, "VOLUME specified can not be an empty string", at: empty.range)
        }
        return words
    }

    /// The whole rest of the line.
    func single() throws(Fault) -> Word {
        _ = try flags()
        guard !rest.isEmpty else { throw fault(.syntax, "\(name) requires exactly one argument") }
        return text.word(rest)
    }

    func arguments() throws(Fault) -> [ArgumentDefinition] {
        _ = try flags()
        let words = splitter.quotedWords(rest)
        guard !words.isEmpty else { throw needsOne }
        var result: [ArgumentDefinition] = []
        for word in words {
            let (key, value) = pair(word)
            if key.text.isEmpty { throw fault(.syntax, "ARG names can not be blank", at: word.range) }
            result.append(ArgumentDefinition(name: key, defaultValue: value, comment: nil))
        }
        return result
    }

    private func pair(_ word: Word) -> (Word, Word?) {
        guard let (name, value) = word.text.cut("=") else { return (word, nil) }
        var middle = word.range.start
        middle.column += name.unicodeScalars.count
        let key = Word(name, at: SourceRange(start: word.range.start, end: middle))
        middle.column += 1
        return (key, Word(value, at: SourceRange(start: middle, end: word.range.end)))
    }

    func keyValues() throws(Fault) -> [KeyValue] {
        _ = try flags()
        let words = splitter.quotedWords(rest)
        guard let first = words.first else { throw needsOne }
        guard first.text.unicodeScalars.contains("=") else { return [try legacyPair()] }
        var result: [KeyValue] = []
        for word in words {
            let (key, value) = pair(word)
            guard let value else {
                throw fault(
                    .syntax, "can't find = in \(GoValue.quoted(word.text)). Must be of the form: name=value",
                    at: word.range, hint: "a value with spaces needs quotes: NAME=\"a b\"")
            }
            if key.text.isEmpty { throw fault(.syntax, "\(name) names can not be blank", at: word.range) }
            result.append(KeyValue(key: key, value: value))
        }
        return result
    }

    /// `ENV NAME the rest of the line`.
    private func legacyPair() throws(Fault) -> KeyValue {
        var end = rest.lowerBound
        while end < rest.upperBound, !text.scalars[end].isBlank { end += 1 }
        var start = end
        while start < rest.upperBound, text.scalars[start].isBlank { start += 1 }
        guard start < rest.upperBound else {
            throw fault(
                .syntax, "\(name) must have two arguments", at: text.range(rest), hint: "write \(name) NAME=VALUE")
        }
        return KeyValue(
            key: text.word(rest.lowerBound..<end), value: text.word(start..<rest.upperBound), isLegacy: true)
    }

    // MARK: - HEALTHCHECK and ONBUILD

    func healthCheck() throws(Fault) -> HealthCheck {
        let flags = try flags([
            "interval": .single, "timeout": .single, "start-period": .single, "start-interval": .single,
            "retries": .single,
        ])
        guard let kind = splitter.blankSeparated(rest).first else { throw needsOne }
        let after = text.trimmed((rest.lowerBound + kind.text.unicodeScalars.count)..<rest.upperBound)
        switch kind.text.uppercased() {
        case "NONE":
            guard after.isEmpty else {
                throw fault(.syntax, "HEALTHCHECK NONE takes no arguments", at: text.range(after))
            }
            return .none
        case "CMD":
            let invocation = try invocation(after)
            guard !invocation.words.isEmpty else {
                throw fault(.syntax, "missing command after HEALTHCHECK CMD", at: kind.range)
            }
            var probe = HealthCheck.Probe(invocation: invocation)
            probe.interval = try duration(flags, "interval")
            probe.timeout = try duration(flags, "timeout")
            probe.startPeriod = try duration(flags, "start-period")
            probe.startInterval = try duration(flags, "start-interval")
            probe.retries = try retries(flags["retries"])
            return .command(probe)
        default:
            throw fault(
                .syntax, "unknown type \(GoValue.quoted(kind.text)) in HEALTHCHECK (try CMD)", at: kind.range,
                hint: "write HEALTHCHECK CMD \(text.string(rest)), or HEALTHCHECK NONE")
        }
    }

    private func duration(_ flags: Flags, _ name: String) throws(Fault) -> Int64 {
        guard let word = flags[name], !word.text.isEmpty else { return 0 }
        guard let value = GoValue.duration(word.text) else {
            throw fault(
                .value, "invalid duration \(GoValue.quoted(word.text)) for --\(name)", at: word.range,
                hint: "write a number and a unit: 30s, 1m30s, 500ms")
        }
        let nanosecondsMin: Int64 = 1_000_000
        guard value == 0 || value >= nanosecondsMin else {
            throw fault(.value, "interval \"\(name)\" cannot be less than 1ms", at: word.range)
        }
        return value
    }

    private func retries(_ word: Word?) throws(Fault) -> Int {
        guard let word, !word.text.isEmpty else { return 0 }
        guard let value = Int32(word.text) else {
            throw fault(
                .value, "invalid value \(GoValue.quoted(word.text)) for --retries", at: word.range,
                hint: "write a number")
        }
        if value < 0 { throw fault(.value, "--retries cannot be negative (\(value))", at: word.range) }
        return Int(value)
    }

    /// The trigger is read now, so that what is wrong in it is found where it stands.
    func onbuild() throws(Fault) -> Trigger {
        _ = try flags()
        guard !rest.isEmpty else { throw needsOne }
        let parser = InstructionParser(text: text.part(rest), escape: splitter.escape, heredocs: heredocs)
        switch parser.name {
        case "ONBUILD":
            throw parser.fault(.syntax, "chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
        case "FROM", "MAINTAINER":
            throw parser.fault(.syntax, "\(parser.name) isn't allowed as an ONBUILD trigger")
        default: _ = try parser.command()
        }
        let documents = heredocs.map { "\n" + $0.content + $0.name }.joined()
        return Trigger(expression: text.string(rest) + documents, instruction: parser.name)
    }
}
