/// Reads one joined line as an instruction.
struct InstructionParser {
    let text: SourceText
    let splitter: LineSplitter
    let keyword: Word
    let flagWords: [Word]
    let rest: Range<Int>
    /// The name in upper case.
    let name: String
    let heredocs: [Heredoc]

    init(text: SourceText, escape: Unicode.Scalar, heredocs: [Heredoc]) {
        self.text = text
        self.heredocs = heredocs
        splitter = LineSplitter(text: text, escape: escape)
        (keyword, flagWords, rest) = splitter.command(in: text.all)
        name = keyword.text.uppercased()
    }

    static let names = [
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
        "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    ]

    /// Whether heredocs may follow the line: ADD, COPY and RUN, also behind ONBUILD, not in JSON form.
    static func startsHeredocs(_ text: SourceText, escape: Unicode.Scalar) -> Bool {
        let parser = InstructionParser(text: text, escape: escape, heredocs: [])
        var (name, rest) = (parser.name, parser.rest)
        if name == "ONBUILD" {
            let inner = parser.splitter.command(in: rest)
            (name, rest) = (inner.keyword.text.uppercased(), inner.rest)
        }
        guard ["ADD", "COPY", "RUN"].contains(name) else { return false }
        if case .strings = JSONStrings.read(text, rest) { return false }
        return true
    }

    func fault(_ code: Fault.Code, _ message: String, at range: SourceRange? = nil, hint: String? = nil) -> Fault {
        Fault(code, message, at: range ?? keyword.range, hint: hint)
    }

    func command() throws(Fault) -> Command {
        switch name {
        case "RUN": return .run(try run())
        case "CMD": return .cmd(try plainInvocation())
        case "ENTRYPOINT": return .entrypoint(try plainInvocation())
        case "SHELL": return .shell(try shell())
        case "COPY": return .copy(try copy())
        case "ADD": return .add(try add())
        case "ENV": return .env(try keyValues())
        case "LABEL": return .label(try keyValues())
        case "ARG": return .argument(try arguments())
        case "EXPOSE": return .expose(try list().sorted { $0.text < $1.text })
        case "VOLUME": return .volume(try volumes())
        case "USER": return .user(try single())
        case "WORKDIR": return .workdir(try single())
        case "STOPSIGNAL": return .stopSignal(try single())
        case "MAINTAINER": return .maintainer(try single())
        case "HEALTHCHECK": return .healthcheck(try healthCheck())
        case "ONBUILD": return .onbuild(try onbuild())
        default: throw unknownInstruction
        }
    }

    private var unknownInstruction: Fault {
        let near = nearestName.map { "did you mean \($0)?" }
        return fault(
            .instruction, "unknown instruction: \(keyword.text)",
            hint: near ?? "instructions are \(Self.names.joined(separator: ", "))")
    }

    private var nearestName: String? {
        didYouMean(keyword.text, Self.names) == nil ? nil : Self.names.first { didYouMean(keyword.text, [$0]) != nil }
    }

    func flags(_ known: [String: Flags.Kind] = [:]) throws(Fault) -> Flags {
        try Flags(flagWords, of: name, known)
    }

    var needsOne: Fault { fault(.syntax, "\(name) requires at least one argument") }

    // MARK: - Command lines

    /// JSON or the whole rest of the line.
    func invocation(_ range: Range<Int>) throws(Fault) -> Invocation {
        switch JSONStrings.read(text, range) {
        case .strings(let words): return Invocation(form: .exec, words: words)
        case .notStrings:
            throw fault(
                .syntax, "when using JSON array syntax, arrays must be comprised of strings only",
                at: text.range(range), hint: "put every item in double quotes")
        case .notJSON: return Invocation(form: .shell, words: range.isEmpty ? [] : [text.word(range)])
        }
    }

    private func plainInvocation() throws(Fault) -> Invocation {
        _ = try flags()
        return try invocation(rest)
    }

    private func shell() throws(Fault) -> [Word] {
        _ = try flags()
        let found = try invocation(rest)
        guard !found.words.isEmpty else { throw needsOne }
        guard found.form == .exec else {
            throw fault(
                .syntax, "SHELL requires the arguments to be in JSON form", at: text.range(rest),
                hint: "write SHELL [\"/bin/bash\", \"-c\"]")
        }
        return found.words
    }

    private func run() throws(Fault) -> Run {
        let flags = try flags(["mount": .several, "network": .single, "security": .single, "device": .several])
        var run = Run(invocation: try invocation(rest), heredocs: heredocs)
        guard !run.invocation.words.isEmpty else { throw needsOne }
        for flag in flags.all("mount") { run.mounts.append(try mount(flag)) }
        run.network = try choice(flags["network"], "network mode")
        run.security = try choice(flags["security"], "security")
        for flag in flags.all("device") { run.devices.append(try device(flag)) }
        return run
    }

    /// What has no variables is checked at once, everything else when they are known.
    private func mount(_ flag: Word) throws(Fault) -> Mount {
        let hasMarks = flag.text.unicodeScalars.contains { ["$", "\\", "`", "'", "\""].contains($0) }
        return hasMarks
            ? try MountReader.skim(flag) : try MountReader.read(flag) { text throws(Fault) in text }
    }

    private func choice<Value: RawRepresentable & CaseIterable>(_ flag: Word?, _ what: String) throws(Fault) -> Value?
    where Value.RawValue == String {
        guard let flag else { return nil }
        if let value = Value(rawValue: flag.text) { return value }
        let all = Value.allCases.map(\.rawValue)
        throw fault(
            .flag, "invalid \(what) \(GoValue.quoted(flag.text))", at: flag.range,
            hint: didYouMean(flag.text, all) ?? "use \(all.joined(separator: ", "))")
    }

    private func device(_ flag: Word) throws(Fault) -> Run.Device {
        guard let fields = GoValue.fields(flag.text) else {
            throw fault(.flag, "failed to parse csv devices: a quote is not closed", at: flag.range)
        }
        var device = Run.Device(name: "", isRequired: false)
        for field in fields {
            let (key, value) = field.cut("=") ?? (field, nil)
            switch (key.lowercased(), value) {
            case ("required", nil): device.isRequired = true
            case ("required", let value?):
                guard let flagValue = GoValue.bool(value) else {
                    throw fault(
                        .flag, "invalid value for required: \(value)", at: flag.range, hint: "use true or false")
                }
                device.isRequired = flagValue
            case ("name", let value?) where device.name.isEmpty: device.name = value
            default:
                guard device.name.isEmpty else {
                    throw fault(
                        .flag, "unexpected key '\(key)' in '\(field)'", at: flag.range, hint: "use name and required")
                }
                device.name = field
            }
        }
        return device
    }
}
