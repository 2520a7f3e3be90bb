import CLinux
import EngineWire
import Glibc
import Images
import LinuxSystem
import Registry
import StackModel

/// What `POST /build` asks for.
public struct ClassicBuildRequest: Sendable {
    /// Its context is what the client sends, unless `remote` says otherwise.
    public var build: BuildRequest
    /// A Git repository, an archive or a Dockerfile by its address.
    public var remote: String?
    /// Names of images. As with Docker, when there are some, and none of them is there, nothing comes from the cache.
    public var cacheSources: [String] = []
    /// Only the image's id is told.
    public var isQuiet = false
    public var removesContainers = true
    /// Of each step.
    public var resources = Resources()
    /// For registries, by host.
    public var credentials: [String: RegistryCredential] = [:]

    public init(_ build: BuildRequest) { self.build = build }
}

/// A build as Docker's classic builder tells it. Whoever ends its messages early cancels it.
public struct ClassicBuildLines: AsyncSequence, Sendable {
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var lines: AsyncStream<ClassicBuildMessage>.Iterator
        fileprivate let build: ClassicBuild

        public mutating func next() async -> ClassicBuildMessage? {
            guard let line = await lines.next() else { return nil }
            build.noteTaken(line)
            return line
        }
    }

    fileprivate let lines: AsyncStream<ClassicBuildMessage>
    fileprivate let build: ClassicBuild

    public func makeAsyncIterator() -> Iterator { Iterator(lines: lines.makeAsyncIterator(), build: build) }
}

extension Engine {
    /// Builds from the tar that `next` delivers, plain or packed; it is read to its end before this returns.
    public nonisolated func startClassicBuild(
        _ request: ClassicBuildRequest, from next: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws -> ClassicBuildLines {
        var request = request
        if await !hasAny(of: request.cacheSources) { request.build.noCache = true }
        var draft: LayerDraft?
        if let remote = request.remote {
            request.build.context = .url(remote)
        } else {
            let folder = try await receiveContext(from: next)
            draft = folder
            request.build.context = .folder(folder.upper)
            request.build.isTemporary = true
        }
        let (lines, continuation) = AsyncStream.makeStream(of: ClassicBuildMessage.self)
        let build = ClassicBuild(
            continuation, isQuiet: request.isQuiet, removesContainers: request.removesContainers,
            known: request.build.noCache ? nil : knownSettings)
        let (asked, held) = (request, draft)
        // OWNER: the lines, whose end cancels it.
        let task = Task { [self] in
            var run = BatchRun(
                self, BuildBatch(builds: [asked.build]), tell: { build.tell(Self.worded($0, asked)) },
                events: { build.tell($0) })
            run.credentials = asked.credentials
            run.settings = .dockers
            run.settings.resources = asked.resources
            await run.run()
            continuation.finish()
            withExtendedLifetime(held) {}
        }
        continuation.onTermination = { _ in task.cancel() }
        return ClassicBuildLines(lines: lines, build: build)
    }

    private func hasAny(of names: [String]) -> Bool {
        // One that cannot be found, for whatever reason, is no source.
        names.isEmpty || names.contains { (try? image($0)) != nil }
    }

    /// Its context lies where no client has ever looked: the Dockerfile is called as the client calls it.
    private static func worded(_ line: BuildLine, _ request: ClassicBuildRequest) -> BuildLine {
        guard case .failed(var diagnostics, let excerpt) = line, diagnostics.first?.code == "build.no-dockerfile" else {
            return line
        }
        let name = request.build.dockerfile ?? "Dockerfile"
        diagnostics[0].message = "Cannot locate specified Dockerfile: \(name)"
        return .failed(diagnostics, excerpt: excerpt)
    }

    nonisolated func receiveContext(
        from next: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws -> LayerDraft {
        let draft = try await onImages { images throws(ImageError) in try images.makeDraft() }
        let (reader, writer) = try archivePipe()
        guard let archive = writer.take().map({ IncomingArchive(writer: $0, pool: streams) }) else {
            throw EngineError.cancelled
        }
        async let feeding: Void = feedContext(archive, next)
        let isSingleID = options.rootless?.hasSingleID == true
        let result = await streams.run { () -> Result<Void, CopyError> in
            do throws(CopyError) {
                let root: SharedDescriptor
                do throws(SystemError) {
                    root = SharedDescriptor(try FileDescriptor.open(draft.upper, O_PATH | O_DIRECTORY))
                } catch {
                    throw .system(error)
                }
                guard let reader = reader.take() else { return .success(()) }
                var options = ExtractionOptions()
                options.allowsAnyPacking = true
                if isSingleID { options.owner = .own }
                try TreeExtraction(root: root, folder: "/", options: options).extract(from: reader.raw)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        archive.end()
        // A client that went away says more than the cut archive it left.
        try await feeding
        if case .failure(let error) = result {
            throw EngineError.badRequest("the build context cannot be read: \(error)")
        }
        return draft
    }

    private nonisolated func feedContext(
        _ archive: IncomingArchive, _ next: @Sendable () async throws -> [UInt8]?
    ) async throws {
        defer { archive.end() }
        while let piece = try await next() {
            guard await archive.write(piece) else { return }
        }
    }
}
