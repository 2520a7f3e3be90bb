extension StageScope {
    /// What BuildKit writes into the image's history (`created_by`) for an instruction that `expand` has just given
    /// back; `nil` for ONBUILD, which leaves none. Instructions that make a layer end in `# buildkit`.
    public func history(of instruction: Instruction) -> String? {
        switch instruction.command {
        case .run(let run): Self.run(run.script(shell: effectiveShell).arguments, argumentHistory)
        case .copy(let copy): "COPY\(Self.copy(copy)) # buildkit"
        case .add(let add): "ADD\(Self.copy(add.copy)) # buildkit"
        case .env(let pairs): "ENV " + Self.pairs(pairs)
        case .label(let pairs): "LABEL " + Self.pairs(pairs)
        case .argument(let definitions):
            "ARG "
                + definitions.map { $0.name.text + ($0.defaultValue.map { "=" + $0.text } ?? "") }.joined(
                    separator: " ")
        case .cmd(let invocation): "CMD " + Self.quoted(invocation.arguments(shell: effectiveShell))
        case .entrypoint(let invocation): "ENTRYPOINT " + Self.quoted(invocation.arguments(shell: effectiveShell))
        case .shell(let words): "SHELL " + Self.list(words)
        case .expose(let words): "EXPOSE " + Self.list(words)
        case .volume(let words): "VOLUME " + Self.list(words)
        case .user(let word): "USER " + word.text
        case .workdir(let word): "WORKDIR " + word.text
        case .stopSignal(let word): "STOPSIGNAL " + word.text
        case .maintainer(let word): "MAINTAINER " + word.text
        case .healthcheck(let check): "HEALTHCHECK " + Self.health(check)
        case .onbuild: nil
        }
    }

    private static func run(_ arguments: [String], _ declared: [String]) -> String {
        let given = declared.isEmpty ? [] : ["|\(declared.count)"] + declared
        return "RUN " + (given + arguments).joined(separator: " ") + " # buildkit"
    }

    private static func copy(_ copy: Copy) -> String {
        var words: [String] = copy.keepsParents ? ["--parents"] : []
        if let owner = copy.owner, !owner.text.isEmpty { words.append("--chown=" + owner.text) }
        if let mode = copy.mode, !mode.text.isEmpty { words.append("--chmod=" + mode.text) }
        words += copy.sources.map(\.text) + copy.files.map { "<<" + $0.name } + [copy.destination.text]
        return words.map { " " + $0 }.joined()
    }

    private static func pairs(_ pairs: [KeyValue]) -> String {
        pairs.map { "\($0.key.text)=\($0.value.text)" }.joined(separator: " ")
    }

    /// As Go prints a list with `%v`.
    private static func list(_ words: [Word]) -> String { "[" + words.map(\.text).joined(separator: " ") + "]" }

    /// As Go prints a list with `%q`.
    private static func quoted(_ texts: [String]) -> String {
        "[" + texts.map(GoValue.quoted).joined(separator: " ") + "]"
    }

    private static func health(_ check: HealthCheck) -> String {
        var probe = HealthCheck.Probe(invocation: Invocation(form: .exec, words: []))
        if case .command(let given) = check { probe = given }
        let times = [
            ("Interval", probe.interval), ("Timeout", probe.timeout), ("StartPeriod", probe.startPeriod),
            ("StartInterval", probe.startInterval),
        ]
        let texts = times.map { "\($0.0):\(GoValue.text(nanoseconds: $0.1))" }.joined(separator: " ")
        return "{Test:[\(check.test.joined(separator: " "))] \(texts) Retries:\(probe.retries)}"
    }

    /// What progress calls an instruction as it is written: its name in upper case, variables that are set expanded.
    public func title(of instruction: Instruction) -> String {
        var expander = WordExpander(escape: graph.dockerfile.directives.escape)
        expander.keepsUnset = true
        expander.keepsQuotes = true
        var text = instruction.source
        do throws(ExpansionError) {
            text = try expander.expand(text, in: variables).text
        } catch {
            // Shells know expansions that we do not: then the line is shown as it is.
            text = instruction.source
        }
        let rest = text.unicodeScalars.dropFirst(instruction.keyword.text.unicodeScalars.count)
        let title = instruction.keyword.text.uppercased() + String(scalars: rest)
        guard case .run = instruction.command, let document = instruction.heredocs.first?.content.trimmed else {
            return title
        }
        let lines = document.split(whereSeparator: \.isNewline)
        return title + " (\(lines.first ?? "")\(lines.count > 1 ? "..." : ""))"
    }
}
