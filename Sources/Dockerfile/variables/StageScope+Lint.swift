extension StageScope {
    mutating func reportUndefined(_ names: Set<String>, _ word: Word, _ instruction: Instruction) {
        guard knowsBase, !report.isFull else { return }
        for name in names.sorted() where !declaredSet.contains(name) {
            if ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"].contains(name) { continue }
            let near = nearestName(name, variables.names).map { " (did you mean $\($0)?)" } ?? ""
            report.add(
                .undefinedVar, "Usage of undefined variable '$\(name)'\(near)", at: word.range,
                comments: instruction.comments)
        }
    }

    mutating func checkLegacy(_ pairs: [KeyValue], _ instruction: Instruction) {
        guard pairs.contains(where: \.isLegacy) else { return }
        let name = instruction.keyword.text
        report.add(
            .legacyKeyValueFormat,
            "\"\(name) key=value\" should be used instead of legacy \"\(name) key value\" format",
            at: instruction.range, comments: instruction.comments)
    }

    /// A part of the name between underscores says that it is secret, and none that it is not.
    mutating func checkSecret(_ keyword: String, _ name: Word, _ instruction: Instruction) {
        let secret: Set<String> = [
            "apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token",
        ]
        let parts = Set(name.text.lowercased().split(separator: "_").map(String.init))
        guard !parts.isDisjoint(with: secret), parts.isDisjoint(with: ["public", "file", "version"]) else { return }
        report.add(
            .secretsUsedInArgOrEnv,
            "Do not use ARG or ENV instructions for sensitive data (\(keyword) \(GoValue.quoted(name.text)))",
            at: name.range, comments: instruction.comments)
    }

    mutating func checkRepeated(_ instruction: Instruction) {
        let name = instruction.keyword.text
        // The earlier one is the one without effect.
        if let before = lastSeen.updateValue(instruction.range, forKey: name.uppercased()) {
            report.add(
                .multipleInstructionsDisallowed,
                "Multiple \(name) instructions should not be used in the same stage because only the last one "
                    + "will be used",
                at: before, comments: instruction.comments)
        }
    }

    mutating func checkCommand(_ invocation: Invocation, _ instruction: Instruction) {
        checkRepeated(instruction)
        guard invocation.form == .shell, shell.isEmpty else { return }
        report.add(
            .jsonArgsRecommended,
            "JSON arguments recommended for \(instruction.keyword.text) to prevent unintended behavior related "
                + "to OS signals",
            at: instruction.range, comments: instruction.comments)
    }

    /// Only the first WORKDIR counts: when it is absolute, later ones are too.
    mutating func checkWorkdir(_ path: Word, _ instruction: Instruction) {
        if !hasWorkdir, !path.text.hasPrefix("/") {
            report.add(
                .workdirRelativePath,
                "Relative workdir \(GoValue.quoted(path.text)) can have unexpected results if the base image changes",
                at: path.range, comments: instruction.comments)
        }
        hasWorkdir = true
    }

    mutating func checkPorts(_ ports: ExposedPorts, _ word: Word, _ instruction: Instruction) {
        if ports.hasOddCasing {
            report.add(
                .exposeProtoCasing,
                "Defined protocol '\(word.text)' in EXPOSE instruction should be lowercase", at: word.range,
                comments: instruction.comments)
        }
        if ports.hasMapping {
            report.add(
                .exposeInvalidFormat,
                "EXPOSE instruction should not define an IP address or host-port mapping, found '\(word.text)'",
                at: word.range, comments: instruction.comments)
        }
    }

    /// With `!` patterns it cannot be told from the names alone.
    mutating func checkIgnored(_ copy: Copy, _ instruction: Instruction) {
        guard copy.from == nil, let ignore = graph.options.ignore, !ignore.hasExceptions else { return }
        let verb = instruction.keyword.text.uppercased() == "ADD" ? "Add" : "Copy"
        for source in copy.sources where Add.source(source.text) == .context {
            let path = IgnorePatterns.cleaned(source.text)
            guard path != ".", ignore.ignores(path) else { continue }
            report.add(
                .copyIgnoredFile,
                "Attempting to \(verb) file \(GoValue.quoted(path)) that is excluded by .dockerignore",
                at: source.range,
                comments: instruction.comments)
        }
    }
}
