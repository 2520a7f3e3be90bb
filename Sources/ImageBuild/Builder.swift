import Dockerfile
import Images
import LinuxSystem
import Registry
import StackModel

/// Carries out one Dockerfile: the stages that the target needs, independent ones side by side, each step from the
/// cache where nothing that it depends on has changed.
public struct Builder: Sendable {
    let store: ImageStore
    let host: any BuildHost
    let caches: CacheMounts
    /// For what blocks.
    let pool: BlockingPool
    let progress: BuildProgress
    let input: BuildInput
    /// A service and a blank, in steps' names, where several images are built at a time.
    let prefix: String
    let lease: BuildLease
    let stop = Cancellation()

    /// Files that ADD fetched.
    var downloads: String { "\(store.root)/builds/downloads" }

    public init(
        _ input: BuildInput, store: ImageStore, host: any BuildHost, caches: CacheMounts, pool: BlockingPool,
        progress: BuildProgress, prefix: String = ""
    ) {
        self.input = input
        self.store = store
        self.host = host
        self.caches = caches
        self.pool = pool
        self.progress = progress
        self.prefix = prefix
        lease = store.makeLease()
    }

    /// Builds the target; the answer is in the store, with its names.
    public func build() async throws(BuildFailure) -> BuildOutput {
        var graph = try reading { () throws(DockerfileError) in try BuildGraph(input.dockerfile, input.options) }
        tellWarnings(graph)
        try refusePlatforms(graph)
        for case .built(let image) in input.contexts.values { lease.hold(image) }
        tellStages(graph)
        let images = try await baseImages(&graph)
        tellStages(graph)
        let records = StepRecords(store: store, lease: lease, imported: input.imported)
        let outcome: StageOutcome
        do throws(BuildFailure) {
            outcome = try await runStages(graph, images, records)
        } catch {
            // What was made stays for the next attempt, which is no reason to tell another error, or not to end.
            do throws(BuildFailure) {
                try await pool.run { () throws(BuildFailure) in try records.flush() }
            } catch let other {
                progress.warn(other)
            }
            throw error
        }
        return BuildOutput(image: try await export(outcome, records), records: records.all, lease: lease)
    }

    func onPool<Value: Sendable>(
        _ body: @escaping @Sendable () throws(BuildFailure) -> Value
    ) async throws(BuildFailure) -> Value {
        if Task.isCancelled { throw .cancelled }
        return try await pool.run(body)
    }

    private func tellStages(_ graph: BuildGraph) {
        progress.tell(
            .stages(
                graph.needed.map { stage in
                    let node = graph.nodes[stage]
                    return BuildStagePlan(stage: stage, stepCount: node.isReplaced ? 1 : node.instructions.count + 1)
                }))
    }

    private func tellWarnings(_ graph: BuildGraph) {
        for name in graph.unusedArguments {
            progress.tell(
                .warning(
                    Diagnostic(
                        .warning, code: "build.unused-argument",
                        "build argument '\(name)' was given, but the Dockerfile has no ARG of this name")))
        }
    }

    /// There is no emulation: what is not for this machine cannot run.
    private func refusePlatforms(_ graph: BuildGraph) throws(BuildFailure) {
        for stage in graph.needed {
            guard let platform = graph.nodes[stage].platform, platform != input.options.buildPlatform else { continue }
            let range = input.dockerfile.stages[stage].range
            throw BuildFailure.failed(
                "platform", "platform \(platform) cannot be built on this machine (\(input.options.buildPlatform))",
                hint: "leave out --platform, or build on a machine of that kind"
            ).at(range, of: input.dockerfile)
        }
    }

    // MARK: - Base images

    /// Every image that the needed stages name. Triggers of base images may name more.
    private func baseImages(_ graph: inout BuildGraph) async throws(BuildFailure) -> [String: Image] {
        var images: [String: Image] = [:]
        var triggered: Set<Int> = []
        while true {
            let wanted = imageNames(graph).filter { images[$0.name] == nil }
            if wanted.isEmpty { return images }
            for (name, image) in try await fetch(wanted) { images[name] = image }
            for stage in graph.needed where triggered.insert(stage).inserted {
                guard !graph.nodes[stage].isReplaced, let image = baseImage(graph.nodes[stage].base, graph, images)
                else { continue }
                try addTriggers(of: image, to: stage, &graph)
            }
        }
    }

    /// nil for what has no triggers: nothing, a folder, a stage that the Dockerfile itself has.
    private func baseImage(_ source: BuildGraph.Source, _ graph: BuildGraph, _ images: [String: Image]) -> Image? {
        switch source {
        case .image(let name): return images[name]
        case .stage(let number) where graph.nodes[number].isReplaced:
            return baseImage(graph.nodes[number].base, graph, images)
        case .context(let name):
            switch input.contexts[name] {
            case .built(let image): return image
            case .image(let text): return images[text]
            case .folder, nil: return nil
            }
        case .stage, .scratch: return nil
        }
    }

    /// Each is a step at least; people have a handful.
    private static let triggerCountMax = 1000

    private func addTriggers(of image: Image, to stage: Int, _ graph: inout BuildGraph) throws(BuildFailure) {
        let expressions = image.config.config.onBuild
        guard !expressions.isEmpty else { return }
        guard expressions.count <= Self.triggerCountMax else {
            throw BuildFailure.failed(
                "limit", "the image has \(expressions.count) ONBUILD triggers, more than \(Self.triggerCountMax)"
            ).at(input.dockerfile.stages[stage].base.range, of: input.dockerfile)
        }
        let title = input.dockerfile.stages[stage].base.text
        do throws(DockerfileError) {
            try graph.add(triggers: try Dockerfile.triggers(expressions, image: title), to: stage)
        } catch {
            throw .diagnostics(error.diagnostics)
        }
    }

    private struct WantedImage: Sendable {
        var name: String
        var range: SourceRange
        var nearStage: String?
    }

    private func imageNames(_ graph: BuildGraph) -> [WantedImage] {
        var wanted: [WantedImage] = []
        var seen: Set<String> = []
        func add(_ source: BuildGraph.Source, _ range: SourceRange, _ near: String?) {
            switch source {
            case .image(let name):
                if seen.insert(name).inserted { wanted.append(WantedImage(name: name, range: range, nearStage: near)) }
            case .context(let name):
                guard case .image(let image) = input.contexts[name] else { return }
                if seen.insert(image).inserted {
                    wanted.append(WantedImage(name: image, range: range, nearStage: nil))
                }
            case .scratch, .stage: break
            }
        }
        for stage in graph.needed {
            let node = graph.nodes[stage]
            add(node.base, input.dockerfile.stages[stage].base.range, node.nearBase)
            for dependency in node.dependencies { add(dependency.source, dependency.word.range, dependency.nearStage) }
        }
        return wanted
    }

    private func fetch(_ wanted: [WantedImage]) async throws(BuildFailure) -> [(String, Image)] {
        let results = await withTaskGroup(of: (Int, Result<Image, BuildFailure>).self) { group in
            for (index, image) in wanted.enumerated() {
                group.addTask { (index, await fetch(image)) }
            }
            var found: [(Int, Result<Image, BuildFailure>)] = []
            for await result in group { found.append(result) }
            return found.sorted { $0.0 < $1.0 }
        }
        var images: [(String, Image)] = []
        for (index, result) in results { images.append((wanted[index].name, try result.get())) }
        for (_, image) in images { lease.hold(image) }
        return images
    }

    private func fetch(_ wanted: WantedImage) async -> Result<Image, BuildFailure> {
        let vertex = progress.start("[\(prefix)internal] load metadata for \(fullName(wanted.name))")
        do throws(BuildFailure) {
            let image = try await host.image(wanted.name, pulls: input.pulls) { vertex.output($0) }
            vertex.finish()
            return .success(image)
        } catch {
            var error = error
            if let near = wanted.nearStage, case .diagnostics(var diagnostics) = error,
                let last = diagnostics.indices.last
            {
                diagnostics[last].hint = "did you mean stage '\(near)'?"
                error = .diagnostics(diagnostics)
            }
            vertex.fail(error)
            return .failure(error.at(wanted.range, of: input.dockerfile))
        }
    }

    func fullName(_ name: String) -> String {
        // What is no reference is refused where it is fetched.
        (try? ImageReference(parsing: name))?.canonical ?? name
    }

    // MARK: - Stages

    private func runStages(
        _ graph: BuildGraph, _ images: [String: Image], _ records: StepRecords
    ) async throws(BuildFailure) -> StageOutcome {
        var tasks: [Int: StageTask] = [:]
        for stage in graph.needed {
            let (others, graph) = (tasks, graph)
            // OWNER: this function, which waits for all of them before it returns.
            tasks[stage] = Task {
                do throws(BuildFailure) {
                    var run = try await StageRun(self, graph, stage, images, others, records)
                    return .success(try await run.finish())
                } catch {
                    return .failure(error)
                }
            }
        }
        let all = Array(tasks.values)
        let result = await withTaskCancellationHandler {
            await firstFailure(graph, tasks)
        } onCancel: {
            stop.cancel()
            for task in all { task.cancel() }
        }
        for task in all { _ = await task.value }
        return try result.get()
    }

    /// The target's outcome, or why a stage could not be built: then the others are ended.
    private func firstFailure(_ graph: BuildGraph, _ tasks: [Int: StageTask]) async -> Result<
        StageOutcome, BuildFailure
    > {
        await withTaskGroup(of: Result<StageOutcome, BuildFailure>.self) { group in
            for task in tasks.values { group.addTask { await task.value } }
            for await result in group {
                guard case .failure(let error) = result else { continue }
                if case .cancelled = error, !Task.isCancelled { continue }
                stop.cancel()
                for task in tasks.values { task.cancel() }
                return .failure(error)
            }
            return await tasks[graph.target]?.value ?? .failure(.cancelled)
        }
    }

    // MARK: - The image

    private func export(_ outcome: StageOutcome, _ records: StepRecords) async throws(BuildFailure) -> Image {
        let vertex = progress.start(prefix.isEmpty ? "exporting to image" : "[\(prefix)exporting to image]")
        var config = outcome.config
        config.config.labels.merge(input.labels) { _, new in new }
        config.config.env = outcome.scope.imageEnvironment.environment
        config.created = config.history.last?.created ?? config.created
        let (made, tree, store) = (config, outcome.tree, store)
        let references = input.references
        do throws(BuildFailure) {
            let image = try await onPool { () throws(BuildFailure) in
                try records.flush()
                return try storing { () throws(ImageError) in
                    try store.addBuilt(made, on: tree.base, layers: tree.layers, references: references)
                }
            }
            vertex.output(Array("writing image \(image.id)\n".utf8))
            for reference in references { vertex.output(Array("naming to \(reference.canonical)\n".utf8)) }
            vertex.finish()
            return image
        } catch {
            vertex.fail(error)
            throw error
        }
    }
}

/// What a build has made.
public struct BuildOutput: Sendable {
    public var image: Image
    /// Its steps, by their keys.
    public var records: [Digest: BuildRecord]
    /// Keeps the layers of `records`.
    public let lease: BuildLease
}

typealias StageTask = Task<Result<StageOutcome, BuildFailure>, Never>
