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
        var isMount: Bool
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
    public private(set) var nodes: [Node] = []
    public private(set) var target = 0
    /// The stages that the target needs, itself included, each behind those it needs.
    public private(set) var needed: [Int] = []
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
                nodes.append(try reader.node(stage, nodes))
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
        for instruction in dockerfile.globalArguments {
            guard case .argument(let definitions) = instruction.command else { continue }
            for definition in definitions {
                let name = definition.name.text
                if let value = given[name] {
                    result[name] = value
                } else if let value = definition.defaultValue {
                    result[name] = try expander.expand(value, in: result).text
                }
            }
        }
        return result
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
            guard case .stage(let base) = node.base, nodes.indices.contains(base), !nodes[base].isReplaced else { continue }
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

    // MARK: - Dependencies

    private mutating func connect() throws(DockerfileError) {
        var faults: [Fault] = []
        for index in nodes.indices where !nodes[index].isReplaced {
            do throws(Fault) {
                nodes[index].dependencies = try dependencies(of: nodes[index])
            } catch {
                faults.append(error)
            }
        }
        guard faults.isEmpty else { throw dockerfile.file.error(faults) }
        if let cycle = findCycle() { throw dockerfile.file.error([cycle]) }
        needed = order(from: target)
        faults = needed.flatMap(laterStages)
        guard faults.isEmpty else { throw dockerfile.file.error(faults) }
    }

    private func dependencies(of node: Node) throws(Fault) -> [Dependency] {
        var result: [Dependency] = []
        for (index, instruction) in node.instructions.enumerated() {
            switch instruction.command {
            case .copy(let copy):
                guard let from = copy.from else { continue }
                result.append(try dependency(from, of: node.stage, index, isMount: false))
            case .run(let run):
                for mount in run.mounts {
                    guard let from = mount.from, !from.isEmpty, mount.kind != .tmpfs else { continue }
                    result.append(try dependency(Word(from, at: mount.flag.range), of: node.stage, index, isMount: true))
                }
            default: continue
            }
        }
        return result
    }

    private func dependency(_ word: Word, of stage: Int, _ index: Int, isMount: Bool) throws(Fault) -> Dependency {
        let (source, near) = try source(word, of: stage)
        return Dependency(source: source, word: word, instruction: index, nearStage: near, isMount: isMount)
    }

    private func source(_ word: Word, of stage: Int) throws(Fault) -> (Source, String?) {
        let stages = dockerfile.stages
        if word.text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), !word.text.isEmpty {
            guard let number = Int(word.text), stages.indices.contains(number) else {
                throw Fault(
                    .reference, "invalid stage index \(word.text)", at: word.range,
                    hint: "stages are counted from 0; this file has \(stages.count)")
            }
            return (.stage(number), nil)
        }
        let lower = word.text.lowercased()
        let same = stages.filter { $0.name == lower }
        if let found = same.last(where: { $0.index < stage }) ?? same.last { return (.stage(found.index), nil) }
        if lower == "scratch" { return (.scratch, nil) }
        if let context = options.context(word.text) { return (.context(context), nil) }
        return try FromReader.image(word.text, word, stages.compactMap(\.name), what: "source")
    }

    /// The stages that a node needs right away.
    private func edges(_ index: Int) -> [(stage: Int, dependency: Dependency?)] {
        guard nodes.indices.contains(index), !nodes[index].isReplaced else { return [] }
        var result: [(Int, Dependency?)] = []
        if case .stage(let base) = nodes[index].base { result.append((base, nil)) }
        for dependency in nodes[index].dependencies {
            if case .stage(let stage) = dependency.source { result.append((stage, dependency)) }
        }
        return result
    }

    private enum Mark { case open, done }

    /// Depth first, without recursion: a file may have thousands of stages.
    private func findCycle() -> Fault? {
        var marks: [Int: Mark] = [:]
        for start in nodes.indices where marks[start] == nil {
            var path: [(node: Int, next: Int)] = [(start, 0)]
            marks[start] = .open
            while let (node, next) = path.last {
                let edges = edges(node)
                guard next < edges.count else {
                    marks[node] = .done
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                let (stage, dependency) = edges[next]
                if marks[stage] == .open { return cycle(path.map(\.node), to: stage, dependency) }
                guard marks[stage] == nil else { continue }
                marks[stage] = .open
                path.append((stage, 0))
            }
        }
        return nil
    }

    private func cycle(_ path: [Int], to stage: Int, _ dependency: Dependency?) -> Fault {
        let members = path.drop { $0 != stage }.map { dockerfile.stages[$0].title }
        let title = dockerfile.stages[stage].title
        let chain = (members + [title]).joined(separator: " needs ")
        return Fault(
            .cycle, "circular dependency detected on stage: \(title)",
            at: dependency?.word.range ?? dockerfile.stages[stage].base.range, hint: chain)
    }

    /// Every stage that `target` needs, behind those it needs itself.
    private func order(from target: Int) -> [Int] {
        var reached: Set<Int> = [target]
        var queue = [target]
        while let next = queue.popLast() {
            for (stage, _) in edges(next) where reached.insert(stage).inserted { queue.append(stage) }
        }
        return reached.sorted()
    }

    /// A stage can only use those before it.
    private func laterStages(_ index: Int) -> [Fault] {
        let own = dockerfile.stages[index].title
        return edges(index).compactMap { stage, dependency -> Fault? in
            guard let dependency, stage > index else { return nil }
            let other = dependency.word.text
            let message =
                dependency.isMount
                ? "cannot mount from stage \(GoValue.quoted(other)) to \(GoValue.quoted(own)), stage needs to be defined before current command"
                : "cannot copy from stage \(GoValue.quoted(other)), it needs to be defined before current stage \(GoValue.quoted(own))"
            return Fault(.reference, message, at: dependency.word.range, hint: "move the stage in front of this one")
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

extension WordExpander {
    func expand(_ word: Word, in variables: Variables) throws(Fault) -> Expansion {
        do throws(ExpansionError) {
            return try expand(word.text, in: variables)
        } catch {
            throw Fault(.variable, "failed to process \(GoValue.quoted(word.text)): \(error.message)", at: word.range)
        }
    }
}
