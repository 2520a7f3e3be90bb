import CLinux
import Dockerfile
import EngineWire
import Glibc
import ImageBuild
import Images
import LinuxSystem
import Logging
import Registry
import StackModel
import Synchronization

/// `POST /build/batch`.
extension Engine {
    /// How much of the disk the layers may take that only builds know.
    private static let cacheByteCountMax: UInt64 = 20 << 30
    /// Steps that nobody used for so long are forgotten.
    private static let cacheDaysMax: Int64 = 30

    /// Builds all images of the batch, side by side. Ending the lines early cancels it.
    public nonisolated func startBuild(_ batch: BuildBatch) -> BuildLines { start(batch) }

    /// - Parameter drafts: folders that stay until the build has ended.
    nonisolated func start(
        _ batch: BuildBatch, credentials: [String: RegistryCredential] = [:],
        settings: StepSettings = StepSettings(), holding drafts: [LayerDraft] = []
    ) -> BuildLines {
        let (lines, queue) = BuildLineQueue.make()
        // OWNER: the lines, whose end cancels it.
        let task = Task { [self] in
            var run = BatchRun(self, batch, tell: { queue.send($0) }, events: { queue.tell($0) })
            run.credentials = credentials
            run.settings = settings
            await run.run()
            queue.finish()
            withExtendedLifetime(drafts) {}
        }
        queue.onEnd { task.cancel() }
        return lines
    }

    /// What looks at everything that builds keep is not done after each of them.
    private static let cacheTrimSecondsMin: Int64 = 600

    /// Makes room when builds have left too much behind.
    func trimBuildCache() async {
        let now = Clock.now() / 1_000_000_000
        guard now < buildCacheTrimmedAt || now - buildCacheTrimmedAt >= Self.cacheTrimSecondsMin else { return }
        buildCacheTrimmedAt = now
        do throws(EngineError) {
            let oldest = now - Self.cacheDaysMax * 86_400
            var pruning = ImageStore.BuildPruning()
            (pruning.usedBefore, pruning.byteCountMax) = (oldest, Self.cacheByteCountMax)
            pruning.takesEither = true
            let removed = try await pruneBuilds(pruning, withFolders: true)
            if !removed.ids.isEmpty { await collectImageGarbage() }
            let (downloads, contexts) = ("\(options.imageRoot)/builds/downloads", options.buildContexts)
            try await onThread { () throws(EngineError) in
                do throws(BuildError) {
                    try HTTPSource.prune(cache: downloads, unusedForSeconds: Self.cacheDaysMax * 86_400)
                } catch {
                    throw .diagnostics(BuildFailure(error).diagnostics)
                }
                do throws(SystemError) { try removeFiles(in: contexts, before: oldest) } catch { throw .system(error) }
            }
        } catch {
            log.warning("build cache not trimmed", metadata: ["error": "\(error)"])
        }
    }
}

/// Removes a folder's files that were last changed before a moment (seconds since 1970). Blocks.
private func removeFiles(in folder: String, before moment: Int64) throws(SystemError) {
    for name in try FileSystem.list(folder) {
        var status = stat()
        let path = "\(folder)/\(name)"
        guard lstat(path, &status) == 0, Int64(status.st_mtim.tv_sec) < moment else { continue }
        unlink(path)
    }
}

/// The builds of one request.
struct BatchRun: Sendable {
    let engine: Engine
    let batch: BuildBatch
    let progress: BuildProgress
    /// For registries, as the client handed them in, by host.
    var credentials: [String: RegistryCredential] = [:]
    var settings = StepSettings()
    private let tell: @Sendable (BuildLine) -> Void
    private let dockerfiles = SharedDockerfiles()
    private let inputs: BuildInputs

    /// `tell` hears how it ends, `events` what goes on.
    init(
        _ engine: Engine, _ batch: BuildBatch, tell: @escaping @Sendable (BuildLine) -> Void,
        events: @escaping @Sendable (BuildEvent) -> Void
    ) {
        self.engine = engine
        inputs = BuildInputs(engine)
        self.batch = batch
        self.tell = tell
        progress = BuildProgress(events)
    }

    func run() async {
        do throws(BuildFailure) {
            if batch.checks {
                try await check()
            } else {
                try await build()
            }
            tell(.done)
        } catch {
            tell(.failed(error.diagnostics, excerpt: dockerfiles.excerpt(error.diagnostics.first)))
        }
        engine.inBackground { await engine.trimBuildCache() }
    }

    private typealias BuildTask = Task<Result<Image, BuildFailure>, Never>

    private func build() async throws(BuildFailure) {
        let order = try ordered()
        var tasks: [String: BuildTask] = [:]
        for request in order {
            let others = tasks
            // OWNER: this function, which waits for all of them before it returns.
            tasks[request.name] = Task {
                do throws(BuildFailure) {
                    return .success(try await build(request, others))
                } catch {
                    return .failure(error)
                }
            }
        }
        let all = order.compactMap { tasks[$0.name] }
        let failure: BuildFailure? = await withTaskCancellationHandler {
            await firstFailure(all)
        } onCancel: {
            for task in all { task.cancel() }
        }
        for task in all { _ = await task.value }
        if let failure { throw failure }
    }

    private func firstFailure(_ tasks: [BuildTask]) async -> BuildFailure? {
        await withTaskGroup(of: Result<Image, BuildFailure>.self) { group in
            for task in tasks { group.addTask { await task.value } }
            var cancelled: BuildFailure?
            for await result in group {
                guard case .failure(let error) = result else { continue }
                if case .cancelled = error {
                    cancelled = error
                    continue
                }
                for task in tasks { task.cancel() }
                return error
            }
            return cancelled
        }
    }

    /// Each behind those whose images it takes.
    private func ordered() throws(BuildFailure) -> [BuildRequest] {
        var names: Set<String> = []
        for request in batch.builds where !names.insert(request.name).inserted {
            throw .failed("name", "two builds of a batch have the name '\(request.name)'")
        }
        var ordered: [BuildRequest] = []
        var left = batch.builds
        while !left.isEmpty {
            let known = Set(ordered.map(\.name))
            let ready = left.filter { Self.services($0).allSatisfy { known.contains($0) } }
            guard !ready.isEmpty else {
                let names = left.map(\.name).sorted().joined(separator: ", ")
                throw .failed("cycle", "builds that wait for each other, or for one that is not built: \(names)")
            }
            ordered += ready
            left.removeAll { request in ready.contains { $0.name == request.name } }
        }
        return ordered
    }

    private static func services(_ request: BuildRequest) -> [String] {
        request.contexts.values.filter { $0.hasPrefix("service:") }.map { String($0.dropFirst("service:".count)) }
    }

    private func build(_ request: BuildRequest, _ others: [String: BuildTask]) async throws(BuildFailure) -> Image {
        var input = try await input(request)
        // What is wrong with stages that nobody needs does not matter here.
        if let error = check(input).lint { throw .diagnostics(error.diagnostics) }
        for (name, text) in request.contexts {
            input.contexts[name] = try await context(name, text, others)
        }
        let transfer = BuildCacheTransfer(engine: engine) { [tell] in tell(.warning($0)) }
        let lease = engine.images.makeLease()
        let brought = await transfer.bring(request.cacheFrom, lease)
        input.imported = brought.records
        let host = EngineBuildHost(engine, credentials: credentials, settings: settings)
        let builder = Builder(
            input, store: engine.images, host: host, caches: engine.buildCaches, pool: engine.pool, progress: progress,
            prefix: prefix(request))
        let result: Result<BuildOutput, BuildFailure>
        do throws(BuildFailure) {
            result = .success(try await builder.build())
        } catch {
            result = .failure(error)
        }
        await host.end()
        input.saveIndexes(engine.log)
        withExtendedLifetime(lease) {}
        await transfer.discard(brought)
        let output = try result.get()
        do throws(EngineError) {
            try await transfer.send(output, to: request.cacheTo)
        } catch {
            if case .cancelled = error { throw .cancelled }
            throw .diagnostics(error.diagnostics)
        }
        let image = output.image
        tell(.built(name: request.name, image: image.id.description, tags: request.tags))
        return image
    }

    private func prefix(_ request: BuildRequest) -> String {
        batch.builds.count == 1 || request.name.isEmpty ? "" : request.name + " "
    }

    private func input(_ request: BuildRequest) async throws(BuildFailure) -> BuildInput {
        let vertex = progress.start(
            "[\(prefix(request))internal] load build definition from "
                + FileSystem.lastComponent(of: request.dockerfile ?? "Dockerfile"))
        do throws(BuildFailure) {
            let inputs = inputs
            let result: Result<BuildInput, BuildFailure> = await withTaskCancellationHandler {
                do throws(BuildFailure) {
                    return .success(
                        try await engine.pool.run { () throws(BuildFailure) in try inputs.input(request) })
                } catch {
                    return .failure(error)
                }
            } onCancel: {
                inputs.stop.cancel()
            }
            let input = try result.get()
            dockerfiles.add(input.dockerfile)
            vertex.finish()
            return input
        } catch {
            vertex.fail(error)
            throw error
        }
    }

    private func context(
        _ name: String, _ text: String, _ others: [String: BuildTask]
    ) async throws(BuildFailure) -> NamedContext {
        func rest(_ prefix: String) -> String? {
            text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
        }
        if let service = rest("service:") {
            // Its own error is told by its own task.
            guard let task = others[service], case .success(let image) = await task.value else { throw .cancelled }
            return .built(image)
        }
        if let image = rest("docker-image://") { return .image(image) }
        guard !text.contains("://") else {
            // It may hold a password.
            throw .failed("context", "context \(name) is an address, and not a folder, an image or a service")
        }
        let inputs = inputs
        return try await engine.pool.run { () throws(BuildFailure) in try inputs.namedFolder(text, name: name) }
    }

    // MARK: - Checks

    private func check() async throws(BuildFailure) {
        var errors: [Diagnostic] = []
        for request in batch.builds {
            let input = try await input(request)
            let found = check(input)
            errors += found.errors + (found.lint?.diagnostics ?? [])
        }
        guard errors.isEmpty else { throw .diagnostics(errors) }
    }

    /// Tells what the checks find; the answer is what is impossible, and what `# check=error=true` refuses.
    private func check(_ input: BuildInput) -> (errors: [Diagnostic], lint: DockerfileError?) {
        let found = input.dockerfile.check(input.options) { name in
            // Not here: nothing is known of it.
            guard let image = try? engine.images.image(name) else { return nil }
            let defaults = image.config.config
            return BaseImage(
                environment: defaults.env, workingDirectory: defaults.workingDir, shell: defaults.shell ?? [])
        }
        for warning in found.warnings { tell(.warning(input.dockerfile.diagnostic(warning))) }
        return (found.errors, input.dockerfile.lintError(found.warnings))
    }
}

/// The Dockerfiles of a batch, for excerpts.
private final class SharedDockerfiles: Sendable {
    private static let linesAround = 2
    private let known = Mutex<[Dockerfile]>([])

    func add(_ dockerfile: Dockerfile) { known.withLock { $0.append(dockerfile) } }

    /// The instruction that a diagnostic is about, and the lines around it.
    func excerpt(_ diagnostic: Diagnostic?) -> BuildExcerpt? {
        guard let mark = diagnostic?.source, let file = known.withLock({ $0.first { $0.name == mark.file } }) else {
            return nil
        }
        let ranges = file.stages.flatMap { [$0.range] + $0.instructions.map(\.range) }
        let range = ranges.first { $0.start.line <= mark.line && mark.line <= $0.end.line }
        let marked = [range?.start.line ?? mark.line, range?.end.line ?? mark.line]
        let first = max(1, marked[0] - Self.linesAround)
        let last = min(file.lines.count, marked[1] + Self.linesAround)
        guard first <= last else { return nil }
        return BuildExcerpt(
            file: mark.file, firstLine: first, lines: Array(file.lines[(first - 1)..<last]), marked: marked)
    }
}

extension BuildInput {
    /// What was hashed need not be read again by the next build.
    fileprivate func saveIndexes(_ log: Logger) {
        var indexes = [context?.index]
        for case .folder(let context) in contexts.values { indexes.append(context.index) }
        for case let index? in indexes {
            do throws(BuildError) { try index.save() } catch {
                log.warning("digests of a build context not kept", metadata: ["error": "\(error)"])
            }
        }
    }
}
