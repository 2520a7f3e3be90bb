extension Dockerfile {
    /// Checks that need no variables: names, casing, layout. In the order of the rules.
    func layoutWarnings() -> [LintWarning] {
        var report = LintReport(lintOptions)
        for position in emptyContinuations {
            report.add(.noEmptyContinuation, "Empty continuation line", at: SourceRange(start: position, end: position))
        }
        checkStageNames(&report)
        checkCasing(&report)
        checkDescriptions(&report)
        for stage in stages {
            for instruction in stage.instructions {
                guard case .maintainer = instruction.command else { continue }
                report.add(
                    .maintainerDeprecated, "Maintainer instruction is deprecated in favor of using label",
                    at: instruction.range, comments: instruction.comments)
            }
        }
        return report.warnings
    }

    private func checkStageNames(_ report: inout LintReport) {
        var seen: Set<String> = []
        for stage in stages {
            guard let name = stage.name, let word = stage.nameWord else { continue }
            if word.text != name {
                report.add(
                    .stageNameCasing, "Stage name '\(word.text)' should be lowercase", at: word.range,
                    comments: stage.comments)
            }
            checkAs(stage, &report)
            if name == "context" || name == "scratch" {
                report.add(
                    .reservedStageName,
                    "Stage name should not use the same name as reserved stage \(GoValue.quoted(name))", at: word.range,
                    comments: stage.comments)
            }
            if !seen.insert(name).inserted {
                report.add(
                    .duplicateStageName, "Duplicate stage name \(GoValue.quoted(name)), stage names should be unique",
                    at: word.range, comments: stage.comments)
            }
        }
    }

    private func checkAs(_ stage: Stage, _ report: inout LintReport) {
        guard let word = stage.asKeyword else { return }
        let from = stage.keyword.text
        let (lower, upper) = (from == from.lowercased(), from == from.uppercased())
        guard lower || upper, word.text != (lower ? word.text.lowercased() : word.text.uppercased()) else { return }
        report.add(
            .fromAsCasing, "'\(word.text)' and '\(from)' keywords' casing do not match", at: word.range,
            comments: stage.comments)
    }

    /// The more frequent of the two casings is the right one; upper case where they are even.
    private func checkCasing(_ report: inout LintReport) {
        var keywords: [(word: Word, comments: [String])] = []
        for stage in stages {
            keywords.append((stage.keyword, stage.comments))
            keywords += stage.instructions.map { ($0.keyword, $0.comments) }
        }
        let lower = keywords.count { $0.word.text == $0.word.text.lowercased() }
        let upper = keywords.count { $0.word.text == $0.word.text.uppercased() }
        let majority = lower > upper ? "lowercase" : "uppercase"
        for (word, comments) in keywords {
            guard word.text != (lower > upper ? word.text.lowercased() : word.text.uppercased()) else { continue }
            report.add(
                .consistentInstructionCasing,
                "Command '\(word.text)' should match the case of the command majority (\(majority))", at: word.range,
                comments: comments)
        }
    }

    private func checkDescriptions(_ report: inout LintReport) {
        for stage in stages {
            if let name = stage.name { describe("FROM", [name], stage.comments, stage.range, &report) }
            for instruction in stage.instructions { describe(instruction, &report) }
        }
        for instruction in globalArguments { describe(instruction, &report) }
    }

    private func describe(_ instruction: Instruction, _ report: inout LintReport) {
        guard case .argument(let definitions) = instruction.command else { return }
        describe("ARG", definitions.map(\.name.text), instruction.comments, instruction.range, &report)
    }

    private func describe(
        _ instruction: String, _ names: [String], _ comments: [String], _ range: SourceRange, _ report: inout LintReport
    ) {
        guard let last = comments.last, let first = names.first else { return }
        let word = last.split(separator: " ", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        if names.contains(word) { return }
        let example = names.count > 1 ? "<arg_key>" : first
        report.add(
            .invalidDefinitionDescription,
            "Comment for \(instruction) should follow the format: `# \(example) <description>`", at: range,
            comments: comments)
    }
}
