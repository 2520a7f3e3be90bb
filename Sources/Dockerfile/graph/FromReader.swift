/// Resolves FROM instructions with the global arguments, and checks them.
struct FromReader {
    let dockerfile: Dockerfile
    let options: BuildOptions
    let globals: Variables
    /// Predefined and declared names.
    private let known: [String]
    private let knownSet: Set<String>
    private var budget = ExpansionBudget()
    private let defaults: Variables?
    private let expander: WordExpander
    var report: LintReport

    init(dockerfile: Dockerfile, options: BuildOptions, predefined: Variables, globals: Variables) {
        self.dockerfile = dockerfile
        self.options = options
        self.globals = globals
        expander = WordExpander(escape: dockerfile.directives.escape)
        report = LintReport(dockerfile.lintOptions)
        var declared: [String] = []
        for instruction in dockerfile.globalArguments {
            if case .argument(let definitions) = instruction.command { declared += definitions.map(\.name.text) }
        }
        known = globals.names + declared
        knownSet = Set(known)
        do throws(Fault) {
            defaults = try BuildGraph.globals(dockerfile, predefined, [:])
        } catch {
            // Without the given arguments an ARG may be faulty; then there is no default to warn of.
            defaults = nil
        }
    }

    mutating func node(_ stage: Stage) throws(Fault) -> BuildGraph.Node {
        let name = try base(stage)
        let platform = try platform(stage)
        if let own = stage.name, own != "scratch", own != "context", let context = options.context(own) {
            return BuildGraph.Node(
                stage: stage.index, base: .context(context), platform: platform, instructions: [], isReplaced: true)
        }
        do throws(Fault) {
            let (source, near) = try source(name.text, stage)
            return BuildGraph.Node(
                stage: stage.index, base: source, nearBase: near, platform: platform, instructions: stage.instructions)
        } catch {
            var fault = error
            fault.hint = missingValue(name) ?? fault.hint
            throw fault
        }
    }

    /// For the warnings alone: what is wrong is said where the graph is made.
    mutating func look(at stage: Stage) {
        do throws(Fault) {
            _ = try node(stage)
        } catch {
            return
        }
    }

    private mutating func base(_ stage: Stage) throws(Fault) -> WordExpander.Expansion {
        let expansion = try budget.expand(stage.base, expander, in: globals)
        reportUndeclared(expansion.unmatched, stage.base, stage)
        if let defaults, isInvalid(stage, defaults) {
            report.add(
                .invalidDefaultArgInFrom,
                "Default value for ARG \(stage.base.text) results in empty or invalid base image name",
                at: stage.base.range, comments: stage.comments)
        }
        guard !expansion.text.isEmpty else {
            throw Fault(
                .reference, "base name (\(stage.base.text)) should not be blank", at: stage.base.range,
                hint: missingValue(expansion) ?? "give the argument a value")
        }
        return expansion
    }

    /// What to do about a variable that is not set.
    private func missingValue(_ expansion: WordExpander.Expansion) -> String? {
        guard let name = expansion.unmatched.sorted().first else { return nil }
        if knownSet.contains(name) {
            return
                "'\(name)' has no value: give it a default, ARG \(name)=VALUE, or build with --build-arg \(name)=VALUE"
        }
        return didYouMean(name, known) ?? "declare it before the first FROM: ARG \(name)=VALUE"
    }

    private mutating func isInvalid(_ stage: Stage, _ defaults: Variables) -> Bool {
        do throws(Fault) {
            let name = try budget.expand(stage.base, expander, in: defaults).text
            return ImageName.fault(name) != nil && !dockerfile.stages.contains { $0.name == name.lowercased() }
        } catch {
            return false
        }
    }

    private mutating func reportUndeclared(_ names: Set<String>, _ word: Word, _ stage: Stage) {
        for name in names.sorted() where !knownSet.contains(name) {
            let near = nearestName(name, known).map { " (did you mean \($0)?)" } ?? ""
            report.add(
                .undefinedArgInFrom, "FROM argument '\(name)' is not declared\(near)", at: word.range,
                comments: stage.comments)
        }
    }

    /// Of the stages before this one, the last with the name.
    private func source(_ name: String, _ stage: Stage) throws(Fault) -> (BuildGraph.Source, String?) {
        let lower = name.lowercased()
        let earlier = dockerfile.stages[..<stage.index]
        if let found = earlier.last(where: { $0.name == lower }) { return (.stage(found.index), nil) }
        if name == "scratch" { return (.scratch, nil) }
        if let context = options.context(name) { return (.context(context), nil) }
        return try Self.image(name, stage.base, earlier.compactMap(\.name), what: "stage name")
    }

    static func image(
        _ name: String, _ word: Word, _ stages: [String], what: String
    ) throws(Fault) -> (BuildGraph.Source, String?) {
        let near = nearestName(name, stages)
        if let fault = ImageName.fault(name) {
            let hint = near.map { "did you mean the stage '\($0)'?" } ?? "write an image such as debian:bookworm"
            throw Fault(
                .reference, "failed to parse \(what) \(GoValue.quoted(name)): \(fault)", at: word.range, hint: hint)
        }
        return (.image(name), near)
    }

    // MARK: - Platform

    private mutating func platform(_ stage: Stage) throws(Fault) -> Platform? {
        guard let word = stage.platform else { return nil }
        let expansion = try budget.expand(word, expander, in: globals)
        reportUndeclared(expansion.unmatched, word, stage)
        guard !expansion.text.isEmpty else {
            throw Fault(
                .value, "empty platform value from expression \(word.text)", at: word.range,
                hint: missingValue(expansion))
        }
        guard let platform = Platform(parsing: expansion.text, host: options.platform) else {
            throw Fault(
                .value, "failed to parse platform \(word.text)", at: word.range,
                hint: "write SYSTEM/ARCHITECTURE, such as linux/amd64")
        }
        checkPlatform(stage, word, expansion, platform)
        return platform
    }

    private mutating func checkPlatform(
        _ stage: Stage, _ word: Word, _ expansion: WordExpander.Expansion, _ platform: Platform
    ) {
        if expansion.matched == ["TARGETPLATFORM"], expansion.unmatched.isEmpty,
            expansion.text == globals["TARGETPLATFORM"]
        {
            report.add(
                .redundantTargetPlatform,
                "Setting platform to predefined \(word.text) in FROM is redundant as this is the default behavior",
                at: word.range, comments: stage.comments)
        }
        let name = stage.name ?? ""
        guard expansion.matched.isEmpty, expansion.unmatched.isEmpty, !name.contains(platform.system),
            !name.contains(platform.architecture)
        else { return }
        report.add(
            .fromPlatformFlagConstDisallowed,
            "FROM --platform flag should not use constant value \(GoValue.quoted(expansion.text))", at: word.range,
            comments: stage.comments)
    }
}
