import StackModel

/// What a stage starts with that words can see.
public struct BaseImage: Equatable, Sendable {
    /// `NAME=VALUE` each.
    public var environment: [String]
    public var workingDirectory: String
    /// SHELL of the image; empty for the default.
    public var shell: [String]
    /// False for an image that nobody has looked into: a variable may come from it, so none is said to be undefined.
    public var isKnown: Bool

    public init(
        environment: [String] = [], workingDirectory: String = "", shell: [String] = [], isKnown: Bool = true
    ) {
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.shell = shell
        self.isKnown = isKnown
    }

    public static let scratch = BaseImage()
    public static let unknown = BaseImage(isKnown: false)
    static let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

/// The variables of one stage while its instructions are gone through in their order, each handed to `expand` once.
///
/// What is expanded: ADD, COPY (paths, owner, mode, checksum, excludes, heredocs without quotes), ARG's defaults, ENV,
/// EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR and RUN's mounts. What is not: the commands of RUN, CMD,
/// ENTRYPOINT, HEALTHCHECK and SHELL, which leave it to the shell, and ONBUILD, which leaves it to the build that
/// carries it out.
public struct StageScope: Equatable, Sendable {
    /// What words and RUN see: the image's environment, ENV and ARG, the last one set counts.
    public private(set) var variables: Variables
    /// What the image gets: the base's environment and ENV.
    public private(set) var imageEnvironment: Variables
    /// Names that ARG declared, in their order; for the cache's key and the history.
    public private(set) var declaredArguments: [String] = []
    var declaredSet: Set<String> = []
    private var budget = ExpansionBudget()
    /// Absolute; `/` unless the base image or WORKDIR says otherwise.
    public private(set) var workingDirectory: String
    /// SHELL; empty for the default.
    public private(set) var shell: [String]
    let graph: BuildGraph
    let stage: Int
    var report: LintReport
    var knowsBase: Bool
    var hasWorkdir = false
    /// The last CMD, ENTRYPOINT and HEALTHCHECK, by name.
    var lastSeen: [String: SourceRange] = [:]

    /// A stage that starts from an image, a context or from scratch.
    public init(_ graph: BuildGraph, stage: Int, base: BaseImage) {
        self.graph = graph
        self.stage = stage
        var environment = Variables(environment: base.environment)
        if environment["PATH"] == nil {
            environment = Variables(environment: base.environment + [BaseImage.path])
        }
        variables = environment
        imageEnvironment = environment
        workingDirectory = Self.path("/", base.workingDirectory)
        shell = base.shell
        knowsBase = base.isKnown
        report = LintReport(graph.dockerfile.lintOptions)
    }

    /// A stage that starts from another one: its variables, ARG included, go on.
    public init(continuing base: StageScope, stage: Int) {
        variables = base.variables
        imageEnvironment = base.imageEnvironment
        declaredArguments = base.declaredArguments
        declaredSet = base.declaredSet
        workingDirectory = base.workingDirectory
        shell = base.shell
        graph = base.graph
        self.stage = stage
        report = LintReport(base.graph.dockerfile.lintOptions)
        knowsBase = base.knowsBase
        hasWorkdir = base.hasWorkdir
    }

    /// What the checks found in the instructions so far.
    public var warnings: [LintWarning] { report.warnings }

    /// What the shell form is executed with.
    public var effectiveShell: [String] { shell.isEmpty ? Invocation.defaultShell : shell }

    /// The environment of RUN; proxies that were given stand behind what the Dockerfile says.
    public var runEnvironment: [String] {
        let proxies = graph.options.proxyEnvironment.filter { entry in
            guard let name = entry.cut("=")?.before else { return false }
            return variables[name] == nil
        }
        return variables.environment + proxies
    }

    /// `NAME=VALUE` of the declared arguments, as BuildKit's history has them behind `|COUNT`.
    public var argumentHistory: [String] { declaredArguments.map { "\($0)=\(variables[$0] ?? "")" } }

    /// `path` seen from `folder`, absolute and without `.` and `..`.
    static func path(_ folder: String, _ path: String) -> String {
        let whole = path.hasPrefix("/") ? path : folder + "/" + path
        var parts: [Substring] = []
        for part in whole.split(separator: "/") {
            if part == ".." { _ = parts.popLast() } else if part != "." { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    // MARK: - Expansion

    /// The instruction with its variables expanded. The scope takes over what it sets. What is wrong with a trigger is
    /// said of the stage's FROM, where it came from.
    public mutating func expand(_ instruction: Instruction) throws(DockerfileError) -> Instruction {
        var result = instruction
        let before = report.warnings.count
        do throws(Fault) {
            result.command = try expanded(instruction)
        } catch {
            guard instruction.isTrigger, let from else { throw graph.error(error) }
            throw graph.error(
                Fault(error.code, "ONBUILD \(instruction.source): \(error.message)", at: from, hint: error.hint))
        }
        if instruction.isTrigger, let from { report.move(to: from, behind: before) }
        return result
    }

    private var from: SourceRange? {
        graph.dockerfile.stages.indices.contains(stage) ? graph.dockerfile.stages[stage].base.range : nil
    }

    private mutating func expanded(_ instruction: Instruction) throws(Fault) -> Command {
        switch instruction.command {
        case .env(let pairs): return .env(try environment(pairs, instruction))
        case .argument(let definitions): return .argument(try arguments(definitions, instruction))
        case .label(let pairs):
            checkLegacy(pairs, instruction)
            return .label(try expand(pairs, instruction))
        case .copy(let copy):
            checkIgnored(copy, instruction)
            let result: Copy = try expand(copy, instruction)
            try Self.checkSources(result)
            return .copy(result)
        case .add(var add):
            checkIgnored(add.copy, instruction)
            add.copy = try expand(add.copy, instruction)
            add.checksum = try expand(add.checksum, instruction)
            try Self.check(add)
            return .add(add)
        case .run(var run):
            run.mounts = try run.mounts.map { mount throws(Fault) in try expand(mount, instruction) }
            return .run(run)
        case .expose(let words): return .expose(try ports(words, instruction))
        case .volume(let words):
            return .volume(try words.map { word throws(Fault) in try expandVolume(word, instruction) })
        case .user(let word): return .user(try expand(word, instruction))
        case .workdir(let word): return .workdir(try workdir(word, instruction))
        case .stopSignal(let word): return .stopSignal(try signal(word, instruction))
        case .shell(let words):
            shell = words.map(\.text)
            return instruction.command
        case .cmd(let invocation), .entrypoint(let invocation):
            checkCommand(invocation, instruction)
            return instruction.command
        case .healthcheck:
            checkRepeated(instruction)
            return instruction.command
        case .onbuild, .maintainer: return instruction.command
        }
    }

    private mutating func lookUp(_ word: Word, _ instruction: Instruction) throws(Fault) -> WordExpander.Expansion {
        let expander = WordExpander(escape: instruction.isTrigger ? "\\" : graph.dockerfile.directives.escape)
        let expansion = try budget.expand(word, expander, in: variables)
        reportUndefined(expansion.unmatched, word, instruction)
        return expansion
    }

    private mutating func expand(_ word: Word, _ instruction: Instruction) throws(Fault) -> Word {
        Word(try lookUp(word, instruction).text, at: word.range)
    }

    private mutating func expand(_ word: Word?, _ instruction: Instruction) throws(Fault) -> Word? {
        guard let word else { return nil }
        return try expand(word, instruction) as Word
    }

    private mutating func expand(_ words: [Word], _ instruction: Instruction) throws(Fault) -> [Word] {
        try words.map { word throws(Fault) in try expand(word, instruction) }
    }

    /// All of one ENV or LABEL see the values from before it.
    private mutating func expand(_ pairs: [KeyValue], _ instruction: Instruction) throws(Fault) -> [KeyValue] {
        try pairs.map { pair throws(Fault) in
            KeyValue(
                key: try expand(pair.key, instruction), value: try expand(pair.value, instruction),
                isLegacy: pair.isLegacy)
        }
    }

    private mutating func environment(_ pairs: [KeyValue], _ instruction: Instruction) throws(Fault) -> [KeyValue] {
        checkLegacy(pairs, instruction)
        let result = try expand(pairs, instruction)
        for pair in result {
            guard !pair.key.text.isEmpty else {
                throw Fault(.value, "ENV names can not be blank", at: pair.key.range)
            }
            checkSecret("ENV", pair.key, instruction)
            variables[pair.key.text] = pair.value.text
            imageEnvironment[pair.key.text] = pair.value.text
        }
        return result
    }

    /// A given argument counts, then the default, then the global or predefined one. Without any the name is declared
    /// only.
    private mutating func arguments(
        _ definitions: [ArgumentDefinition], _ instruction: Instruction
    ) throws(Fault) -> [ArgumentDefinition] {
        var result = definitions
        for (index, definition) in definitions.enumerated() {
            let name = definition.name.text
            checkSecret("ARG", definition.name, instruction)
            var value: String?
            if let given = graph.options.arguments[name] {
                value = given
            } else if let word = definition.defaultValue {
                value = try lookUp(word, instruction).text
            } else {
                value = graph.globals[name]
            }
            if let value {
                variables[name] = value
                result[index].defaultValue = Word(value, at: (definition.defaultValue ?? definition.name).range)
            }
            if declaredSet.insert(name).inserted { declaredArguments.append(name) }
        }
        return result
    }

    private mutating func expand(_ copy: Copy, _ instruction: Instruction) throws(Fault) -> Copy {
        var result = copy
        result.sources = try expand(copy.sources, instruction)
        result.destination = try expand(copy.destination, instruction)
        result.owner = try expand(copy.owner, instruction)
        result.mode = try expand(copy.mode, instruction)
        result.excludes = try expand(copy.excludes, instruction)
        if let mode = result.mode, FileMode(parsing: mode.text) == nil {
            throw Fault(
                .value, "invalid chmod parameter: '\(mode.text)'. it should be octal string and between 0 and 07777",
                at: mode.range, hint: "write 755 or u=rwX,go=rX")
        }
        for (index, file) in copy.files.enumerated() where file.expands {
            var expander = WordExpander(escape: "\\")
            expander.ignoresQuotes = true
            let word = Word(file.content, at: instruction.range)
            do throws(ExpansionError) {
                let expansion = try budget.take(file.content, expander, in: variables)
                reportUndefined(expansion.unmatched, word, instruction)
                result.files[index].content = expansion.text
            } catch {
                throw Fault(
                    .variable, "failed to process the heredoc '\(file.name)': \(error.message)", at: instruction.range,
                    hint: "quote its name, <<\"\(file.name)\", to take it as it is")
            }
        }
        return result
    }

    private static func checkSources(_ copy: Copy) throws(Fault) {
        for source in copy.sources where copy.from == nil && Add.source(source.text) != .context {
            let what = Add.source(source.text) == .http ? "URL" : "git ref"
            throw Fault(
                .value, "source can't be a \(what) for COPY", at: source.range, hint: "ADD takes it")
        }
    }

    /// A checksum is that of one thing from elsewhere.
    private static func check(_ add: Add) throws(Fault) {
        guard let checksum = add.checksum, !checksum.text.isEmpty else { return }
        guard let source = add.copy.sources.first, add.copy.sources.count == 1, add.copy.files.isEmpty else {
            throw Fault(
                .flag, "checksum can't be specified for multiple sources", at: checksum.range,
                hint: "write an ADD for each")
        }
        switch Add.source(source.text) {
        case .context: throw Fault(.flag, "checksum requires HTTP(S) or Git sources", at: checksum.range)
        case .git:
            guard checksum.text.utf8.allSatisfy(\.isHexDigit) else {
                throw Fault(
                    .value, "invalid checksum \(GoValue.quoted(checksum.text))", at: checksum.range,
                    hint: "of a repository it is the commit")
            }
        case .http:
            guard ImageName.isDigest(checksum.text) else {
                throw Fault(
                    .value, "invalid checksum digest format: \(GoValue.quoted(checksum.text))", at: checksum.range,
                    hint: "write sha256: and 64 hexadecimal digits")
            }
        }
    }

    private mutating func expand(_ mount: Mount, _ instruction: Instruction) throws(Fault) -> Mount {
        let flag = mount.flag
        var result = try MountReader.read(flag) { text throws(Fault) in
            try lookUp(Word(text, at: flag.range), instruction).text
        }
        if [.bind, .cache, .tmpfs].contains(result.kind) {
            let target = Self.path(workingDirectory, result.target ?? "")
            guard target != "/" else {
                throw Fault(
                    .flag, "invalid mount target \"/\"", at: flag.range, hint: "say where it is mounted: target=PATH")
            }
            result.target = target
        } else if let target = result.target {
            result.target = Self.path(workingDirectory, target)
        }
        return result
    }

    private mutating func expandVolume(_ word: Word, _ instruction: Instruction) throws(Fault) -> Word {
        let result: Word = try expand(word, instruction)
        guard !result.text.isEmpty else {
            throw Fault(.value, "VOLUME specified can not be an empty string", at: word.range)
        }
        return result
    }

    private mutating func ports(_ words: [Word], _ instruction: Instruction) throws(Fault) -> [Word] {
        var result: [Word] = []
        for word in words {
            for text in try lookUp(word, instruction).words {
                let port = Word(text, at: word.range)
                let found = try ExposedPorts(port)
                checkPorts(found, port, instruction)
                result += found.texts.map { Word($0, at: word.range) }
                guard result.count <= ExposedPorts.countMax else {
                    throw Fault(.limit, "more than \(ExposedPorts.countMax) ports", at: word.range)
                }
            }
        }
        return result
    }

    private mutating func workdir(_ word: Word, _ instruction: Instruction) throws(Fault) -> Word {
        let path: Word = try expand(word, instruction)
        checkWorkdir(path, instruction)
        workingDirectory = Self.path(workingDirectory, path.text)
        return Word(workingDirectory, at: word.range)
    }

    private mutating func signal(_ word: Word, _ instruction: Instruction) throws(Fault) -> Word {
        let result: Word = try expand(word, instruction)
        guard SignalName.number(of: result.text) != nil else {
            throw Fault(
                .value, "invalid signal: \(result.text)", at: word.range, hint: SignalName.hint(for: result.text))
        }
        return result
    }
}
