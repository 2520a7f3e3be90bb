extension BuildGraph {
    mutating func connect() throws(DockerfileError) {
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
                result.append(try dependency(from, of: node, index, isMount: false))
            case .run(let run):
                for mount in run.mounts {
                    guard let from = mount.from, !from.isEmpty, mount.kind != .tmpfs else { continue }
                    result.append(try dependency(Word(from, at: mount.flag.range), of: node, index, isMount: true))
                }
            default: continue
            }
        }
        return result
    }

    private func dependency(_ word: Word, of node: Node, _ index: Int, isMount: Bool) throws(Fault) -> Dependency {
        // A trigger's places are those of its own text.
        let isTrigger = node.instructions[index].isTrigger
        let word = Word(word.text, at: isTrigger ? dockerfile.stages[node.stage].base.range : word.range)
        let (source, near) = try source(word, of: node.stage)
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
                let stage = edges[next].stage
                if marks[stage] == .open { return cycle(path, to: stage) }
                guard marks[stage] == nil else { continue }
                marks[stage] = .open
                path.append((stage, 0))
            }
        }
        return nil
    }

    /// At the first COPY or mount of the circle; FROM alone makes none.
    private func cycle(_ path: [(node: Int, next: Int)], to stage: Int) -> Fault {
        let circle = path.drop { $0.node != stage }
        let title = dockerfile.stages[stage].title
        let chain = (circle.map { dockerfile.stages[$0.node].title } + [title]).joined(separator: " needs ")
        let place = circle.lazy.compactMap { edges($0.node)[$0.next - 1].dependency?.word.range }.first
        return Fault(
            .cycle, "circular dependency detected on stage: \(title)",
            at: place ?? dockerfile.stages[stage].base.range, hint: chain)
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
                ? "cannot mount from stage \(GoValue.quoted(other)) to \(GoValue.quoted(own)), stage needs to be "
                    + "defined before current command"
                : "cannot copy from stage \(GoValue.quoted(other)), it needs to be defined before current stage "
                    + "\(GoValue.quoted(own))"
            return Fault(.reference, message, at: dependency.word.range, hint: "move the stage in front of this one")
        }
    }
}
