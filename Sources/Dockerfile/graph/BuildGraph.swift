/// What the stages of a build start from and take files from, for one target.
public struct BuildGraph: Equatable, Sendable {
    /// Where files come from.
    public enum Source: Hashable, Sendable {
        case scratch
        case stage(Int)
        case image(String)
        /// A named context.
        case context(String)
    }

    /// COPY --from or RUN --mount=from=….
    public struct Dependency: Equatable, Sendable {
        public var source: Source
        /// As written.
        public var word: Word
        /// Which of the node's instructions.
        public var instruction: Int
        /// A stage that was perhaps meant, where `source` is an image: for the message when there is no such image.
        public var nearStage: String?
        public var isMount: Bool
    }

    /// A stage with what variables in FROM have become.
    public struct Node: Equatable, Sendable {
        public var stage: Int
        public var base: Source
        /// A stage that was perhaps meant, where `base` is an image.
        public var nearBase: String?
        /// `--platform`.
        public var platform: Platform?
        /// Triggers of the base included, before the stage's own.
        public internal(set) var instructions: [Instruction]
        public internal(set) var dependencies: [Dependency] = []
        /// A named context of this name stands for the whole stage: no instruction is carried out.
        public var isReplaced = false
    }

    public let dockerfile: Dockerfile
    public let options: BuildOptions
    /// One for each stage, in their order.
    public internal(set) var nodes: [Node] = []
    public private(set) var target = 0
    /// The stages that the target needs, itself included, each behind those it needs.
    public internal(set) var needed: [Int] = []
    /// Predefined and global arguments.
    public let globals: Variables
    /// Of FROM instructions.
    public private(set) var warnings: [LintWarning] = []

    /// Throws what is wrong with FROM, COPY --from and mounts of the stages, and with the target.
    public init(_ dockerfile: Dockerfile, _ options: BuildOptions) throws(DockerfileError) {
        self.dockerfile = dockerfile
        self.options = options
        let predefined = options.predefined(targetName: Self.targetName(dockerfile, options))
        var faults: [Fault] = []
        do throws(Fault) {
            globals = try Self.globals(dockerfile, predefined, options.arguments)
        } catch {
            throw dockerfile.file.error([error])
        }
        var reader = FromReader(dockerfile: dockerfile, options: options, predefined: predefined, globals: globals)
        for stage in dockerfile.stages {
            do throws(Fault) {
                nodes.append(try reader.node(stage))
            } catch {
                faults.append(error)
            }
        }
        warnings = reader.report.warnings
        guard faults.isEmpty else { throw dockerfile.file.error(faults) }
        do throws(Fault) {
            target = try findTarget()
        } catch {
            throw dockerfile.file.error([error])
        }
        try addStageTriggers()
        try connect()
    }

    private static func targetName(_ dockerfile: Dockerfile, _ options: BuildOptions) -> String {
        let name = options.target ?? dockerfile.stages.last?.name ?? ""
        return name.isEmpty ? "default" : name
    }

    /// Global ARGs may use those before them.
    static func globals(
        _ dockerfile: Dockerfile, _ predefined: Variables, _ given: [String: String]
    ) throws(Fault) -> Variables {
        var result = predefined
        let expander = WordExpander(escape: dockerfile.directives.escape)
        var budget = ExpansionBudget()
        for instruction in dockerfile.globalArguments {
            guard case .argument(let definitions) = instruction.command else { continue }
            for definition in definitions {
                let name = definition.name.text
                if let value = given[name] {
                    result[name] = value
                } else if let value = definition.defaultValue {
                    result[name] = try budget.expand(value, expander, in: result).text
                }
            }
        }
        return result
    }

    /// What the checks find in FROM instructions, also in those that are refused.
    static func fromWarnings(_ dockerfile: Dockerfile, _ options: BuildOptions) -> [LintWarning] {
        let predefined = options.predefined(targetName: targetName(dockerfile, options))
        do throws(Fault) {
            let globals = try globals(dockerfile, predefined, options.arguments)
            var reader = FromReader(dockerfile: dockerfile, options: options, predefined: predefined, globals: globals)
            for stage in dockerfile.stages { reader.look(at: stage) }
            return reader.report.warnings
        } catch {
            return []
        }
    }

    private func findTarget() throws(Fault) -> Int {
        guard let wanted = options.target, !wanted.isEmpty else { return dockerfile.stages.count - 1 }
        let lower = wanted.lowercased()
        if let found = dockerfile.stages.last(where: { $0.name == lower }) { return found.index }
        if let number = Int(wanted), dockerfile.stages.indices.contains(number) { return number }
        let names = dockerfile.stages.compactMap(\.name)
        let all = names.isEmpty ? "no stage has a name" : "stages are \(names.joined(separator: ", "))"
        throw Fault(
            .reference, "target stage \(GoValue.quoted(wanted)) could not be found", at: .start,
            hint: didYouMean(wanted, names) ?? all)
    }

    // MARK: - Triggers

    /// ONBUILD of a stage that another stage starts from.
    private mutating func addStageTriggers() throws(DockerfileError) {
        for node in nodes {
            guard case .stage(let base) = node.base, nodes.indices.contains(base), !nodes[base].isReplaced else {
                continue
            }
            var expressions: [String] = []
            for instruction in dockerfile.stages[base].instructions {
                if case .onbuild(let trigger) = instruction.command { expressions.append(trigger.expression) }
            }
            guard !expressions.isEmpty else { continue }
            let title = dockerfile.stages[base].title
            nodes[node.stage].instructions.insert(
                contentsOf: try Dockerfile.triggers(expressions, image: title), at: 0)
        }
    }

    /// Puts the triggers of an image, which become known when it is there, in front of the stage's instructions.
    public mutating func add(triggers: [Instruction], to stage: Int) throws(DockerfileError) {
        guard nodes.indices.contains(stage), !triggers.isEmpty else { return }
        nodes[stage].instructions.insert(contentsOf: triggers, at: 0)
        try connect()
    }

    /// Arguments that were given and that nothing declares: BuildKit warns of them.
    public var unusedArguments: [String] {
        var declared = Set(globals.names)
        for instruction in dockerfile.globalArguments + needed.flatMap({ nodes[$0].instructions }) {
            if case .argument(let definitions) = instruction.command {
                declared.formUnion(definitions.map(\.name.text))
            }
        }
        let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"]
        return options.arguments.keys.sorted().filter { name in
            !declared.contains(name) && !proxies.contains(name.uppercased()) && !name.hasPrefix("BUILDKIT_")
                && name != "SOURCE_DATE_EPOCH"
        }
    }

    /// The text of a diagnostic about an instruction of this graph.
    func error(_ fault: Fault) -> DockerfileError { dockerfile.file.error([fault]) }
}

extension BuildOptions {
    /// The named context that a name means: as it is, or as an image's full name.
    func context(_ name: String) -> String? {
        if contexts.contains(name) { return name }
        let normalized = ImageName.normalized(name)
        return contexts.sorted().first { $0 == normalized || ImageName.normalized($0) == normalized }
    }
}
