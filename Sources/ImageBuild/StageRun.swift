import Dockerfile
import Images
import LinuxSystem
import StackModel

/// One stage on its way: instruction after instruction, on the tree that those before have made.
///
/// A step's layer is measured (its tar written, its digest taken) while the next step already runs on top of it; it
/// gets its final name when no mount of this stage can be under way.
struct StageRun {
    let builder: Builder
    let graph: BuildGraph
    let node: BuildGraph.Node
    let images: [String: Image]
    let others: [Int: StageTask]
    let records: StepRecords
    var scope: StageScope
    var tree: StageTree
    var config: ImageConfig
    var hasCommand = false
    private var pending: Pending?
    private var stepNumber = 1

    /// A layer that is being measured.
    private struct Pending {
        var piece: Int
        var draft: LayerDraft
        var record: BuildRecord
        var keys: [Digest]
        var isImported: Bool
        var range: SourceRange
        var task: Task<Result<BuiltLayer, BuildFailure>, Never>
    }

    /// Waits for the stage that this one starts from.
    init(
        _ builder: Builder, _ graph: BuildGraph, _ stage: Int, _ images: [String: Image], _ others: [Int: StageTask],
        _ records: StepRecords
    ) async throws(BuildFailure) {
        self.builder = builder
        self.graph = graph
        node = graph.nodes[stage]
        self.images = images
        self.others = others
        self.records = records
        switch node.base {
        case .stage(let number):
            if case .context(let name) = graph.nodes[number].base, graph.nodes[number].isReplaced,
                builder.folder(name) != nil
            {
                // Says that a folder cannot be started from.
                _ = try builder.image(ofContext: name, images, stage)
            }
            let base = try await Self.outcome(number, others)
            (tree, config, hasCommand) = (base.tree, base.config, base.hasCommand)
            config.config.onBuild = []
            scope = StageScope(continuing: base.scope, stage: stage)
        case .scratch:
            (tree, config) = (StageTree(base: nil, key: StepKey.start([])), .scratch(graph.options.platform))
            scope = StageScope(graph, stage: stage, base: .scratch)
        case .image(let name):
            guard let image = images[name] else { throw BuildFailure.failed("image", "image \(name) was not fetched") }
            (tree, config, scope) = try Self.start(image, graph, stage)
        case .context(let name) where node.isReplaced && builder.folder(name) != nil:
            // The folder is what others copy from; there is nothing to carry out.
            (tree, config) = (StageTree(base: nil, key: StepKey.start([])), .scratch(graph.options.platform))
            scope = StageScope(graph, stage: stage, base: .scratch)
        case .context(let name):
            let image = try builder.image(ofContext: name, images, stage)
            (tree, config, scope) = try Self.start(image, graph, stage)
        }
    }

    private static func start(
        _ image: Image, _ graph: BuildGraph, _ stage: Int
    ) throws(BuildFailure) -> (StageTree, ImageConfig, StageScope) {
        var config = image.config
        // What the base was made from is not what this is made from.
        (config.container, config.containerConfig, config.parent) = (nil, nil, nil)
        let defaults = config.config
        config.config.onBuild = []
        config.completeHistory()
        let wanted = graph.options.platform.architecture
        guard config.architecture.isEmpty || config.architecture == wanted else {
            throw BuildFailure.failed(
                "platform",
                "image \(graph.dockerfile.stages[stage].base.text) is for \(config.os)/\(config.architecture), "
                    + "and this machine is \(graph.options.platform)"
            ).at(graph.dockerfile.stages[stage].base.range, of: graph.dockerfile)
        }
        let base = BaseImage(
            environment: defaults.env, workingDirectory: defaults.workingDir, shell: defaults.shell ?? [])
        let tree = StageTree(base: image, key: StepKey.start(image.layers.map(\.diffID)))
        return (tree, config, StageScope(graph, stage: stage, base: base))
    }

    static func outcome(_ stage: Int, _ tasks: [Int: StageTask]) async throws(BuildFailure) -> StageOutcome {
        guard let task = tasks[stage] else {
            throw BuildFailure.failed("stage", "stage \(stage) is not part of the build")
        }
        // Its own error is told by its own task; this stage is only given up.
        guard case .success(let outcome) = await task.value else { throw .cancelled }
        return outcome
    }

    // MARK: - Instructions

    mutating func finish() async throws(BuildFailure) -> StageOutcome {
        tellStart()
        if !node.isReplaced {
            do throws(BuildFailure) {
                for instruction in node.instructions { try await carryOut(instruction) }
            } catch {
                // The layers before are whole: the next build goes on from them. Why this step failed stays what is
                // told as the end.
                do throws(BuildFailure) { try await settle() } catch let other { builder.progress.warn(other) }
                throw error
            }
        }
        try await settle()
        return StageOutcome(tree: tree, config: config, scope: scope, hasCommand: hasCommand)
    }

    private mutating func carryOut(_ instruction: Instruction) async throws(BuildFailure) {
        if Task.isCancelled { throw .cancelled }
        let title = scope.title(of: instruction)
        tell(.began(title: instruction.writtenTitle))
        let step = try reading { () throws(DockerfileError) in try scope.expand(instruction) }
        do throws(BuildFailure) {
            switch step.command {
            case .run(let run): try await self.run(run, step, title)
            case .copy(let copy): try await self.copy(copy, step, title)
            case .add(let add): try await self.add(add, step, title)
            case .workdir(let word): try await makeWorkingDirectory(word.text, step, title)
            default:
                applySettings(step)
                if let text = scope.history(of: step) { tell(.settled(text: text)) }
            }
        } catch {
            throw error.at(instruction.isTrigger ? stage.range : instruction.range, of: graph.dockerfile)
        }
        tell(.ended(id: tree.key.short))
    }

    private func tell(_ news: InstructionNews) {
        builder.progress.tell(.instruction(stage: node.stage, news))
    }

    var stage: Stage { graph.dockerfile.stages[node.stage] }

    /// `--no-cache`, and `--no-cache-filter` with this stage's name or number.
    var ignoresCache: Bool {
        builder.input.ignoresCache
            || builder.input.uncachedStages.contains { $0.lowercased() == stage.name || $0 == "\(stage.index)" }
    }

    // MARK: - Telling

    private var stepCount: Int {
        1
            + node.instructions.count { instruction in
                switch instruction.command {
                case .run, .copy, .add, .workdir: true
                default: false
                }
            }
    }

    private func stepName(_ title: String) -> String {
        let isAlone = graph.dockerfile.stages.count == 1 && stage.name == nil
        let place = isAlone ? "" : stage.title + " "
        return "[\(builder.prefix)\(place)\(stepNumber)/\(stepCount)] \(title)"
    }

    private func tellStart() {
        tell(.began(title: "FROM \(stage.base.text)" + (stage.name.map { " AS \($0)" } ?? "")))
        defer { tell(.ended(id: tree.key.short)) }
        guard case .image(let name) = node.base else { return }
        builder.progress.start(stepName("FROM \(builder.fullName(name))")).finish(isCached: true)
    }

    func addHistory(_ step: Instruction, created: String?, isEmpty: Bool) -> ImageConfig.History? {
        guard let text = scope.history(of: step) else { return nil }
        var entry = ImageConfig.History()
        entry.createdBy = text
        entry.comment = "buildkit.dockerfile.v0"
        entry.created = created
        if isEmpty { entry.emptyLayer = true }
        return entry
    }

    /// Of an instruction without files: it was made with what lies below, so that equal builds give equal images.
    var lastCreated: String? { config.history.last?.created ?? config.created }

    // MARK: - Steps that change files

    /// A step's place in the cache.
    private struct Place {
        /// What it is found under.
        var keys: [Digest]
        /// What the next step counts as its parent.
        var result: Digest
        var isImported: Bool
    }

    /// What a step that changes files is about, beside what it does.
    struct FileStep {
        var instruction: Instruction
        var title: String
        /// A key that needs no look at the files; when it is known, the other is not asked for.
        var alias: Digest?
        /// Carried out again it may make something else.
        var isCommand = false
        /// It reads what came from `cache_from`.
        var readsImported = false
    }

    /// Takes a step from the cache, or carries it out in a new layer.
    ///
    /// - Parameter perform: writes into the draft.
    mutating func fileStep(
        _ step: FileStep, key: () async throws(BuildFailure) -> Digest,
        perform: (StageTree, LayerDraft, BuildVertex) async throws(BuildFailure) -> Void
    ) async throws(BuildFailure) {
        stepNumber += 1
        let vertex = builder.progress.start(stepName(step.title))
        tell(.carriedOut(vertex: vertex.number))
        let timestamp = builder.input.timestamp
        do throws(BuildFailure) {
            tree.isImported = tree.isImported || step.readsImported
            let alias = step.alias.map { StepKey.stamped($0, timestamp) }
            if let alias, !ignoresCache, let found = try records.find(alias) {
                return try take(found, step.instruction, vertex)
            }
            let key = StepKey.stamped(try await key(), timestamp)
            if !ignoresCache, let found = try records.find(key) {
                try take(found, step.instruction, vertex)
                if let alias { try records.keep(found.record, for: [alias], isImported: tree.isImported) }
                return
            }
            let store = builder.store
            let draft = try await builder.onPool { () throws(BuildFailure) in
                try storing { () throws(ImageError) in try store.makeDraft() }
            }
            try await perform(tree, draft, vertex)
            let place = Place(
                keys: [key] + (alias.map { [$0] } ?? []), result: step.isCommand ? StepKey.result(of: key) : key,
                isImported: tree.isImported)
            try await add(draft, step.instruction, place)
            vertex.finish()
        } catch {
            vertex.fail(error)
            throw error
        }
    }

    private mutating func take(
        _ found: StepRecords.Found, _ step: Instruction, _ vertex: BuildVertex
    ) throws(BuildFailure) {
        let record = found.record
        if let layer = record.layer {
            guard let path = builder.store.present(layer) else {
                throw BuildFailure.failed(
                    "cache", "the layer \(layer.diffID) of this step is gone", hint: "build again")
            }
            tree.built.append(StageTree.Piece(path: path.path, layer: layer))
        }
        tree.key = record.key
        tree.isImported = tree.isImported || found.isImported
        if let entry = addHistory(step, created: record.created, isEmpty: record.layer == nil) {
            config.history.append(entry)
        }
        vertex.finish(isCached: true)
    }

    private mutating func add(_ draft: LayerDraft, _ step: Instruction, _ place: Place) async throws(BuildFailure) {
        let timestamp = builder.input.timestamp
        let isFilled = try await builder.onPool { () throws(BuildFailure) in
            try storing { () throws(ImageError) in try draft.seal(timestampMax: timestamp) }
        }
        try await settle()
        let created = builder.host.date(timestamp)
        tree.key = place.result
        if let entry = addHistory(step, created: created, isEmpty: !isFilled) { config.history.append(entry) }
        let record = BuildRecord(key: place.result, layer: nil, created: created)
        guard isFilled else { return try records.keep(record, for: place.keys, isImported: place.isImported) }
        tree.built.append(StageTree.Piece(path: draft.upper, draft: draft))
        let pool = builder.pool
        // OWNER: this stage, which waits for it in `settle`.
        let task = Task { () -> Result<BuiltLayer, BuildFailure> in
            do throws(ImageError) {
                return .success(try await pool.run { () throws(ImageError) in try draft.measure() })
            } catch {
                return .failure(.image(error))
            }
        }
        pending = Pending(
            piece: tree.built.count - 1, draft: draft, record: record, keys: place.keys,
            isImported: place.isImported, range: step.isTrigger ? stage.range : step.range, task: task)
    }

    /// Waits for the layer that is being measured, and gives it its name.
    private mutating func settle() async throws(BuildFailure) {
        guard let waiting = pending else { return }
        pending = nil
        let (store, lease, records) = (builder.store, builder.lease, records)
        do throws(BuildFailure) {
            let layer = try await waiting.task.value.get()
            let path = try await builder.pool.run { () throws(BuildFailure) in
                let path = try storing { () throws(ImageError) in try store.keep(waiting.draft, layer, lease) }
                var record = waiting.record
                record.layer = layer
                try records.keep(record, for: waiting.keys, isImported: waiting.isImported)
                return path
            }
            tree.built[waiting.piece] = StageTree.Piece(path: path.path, layer: layer)
        } catch {
            throw error.at(waiting.range, of: graph.dockerfile)
        }
    }
}

extension Instruction {
    /// As it was written, its name in capitals: what Docker's classic builder shows of it.
    fileprivate var writtenTitle: String {
        keyword.text.uppercased() + source.dropFirst(keyword.text.count)
    }
}
