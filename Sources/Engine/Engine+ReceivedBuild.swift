import EngineWire
import Images
import Registry

/// A build whose files a client sends.
public struct ReceivedBuildRequest: Sendable {
    /// A tar, in pieces.
    public typealias Archive = @Sendable () async throws -> [UInt8]?

    public var build: BuildRequest
    /// `nil`: the context is where `build` says.
    public var context: Archive?
    /// Further contexts by name.
    public var contexts: [String: Archive] = [:]
    /// For registries, by host.
    public var credentials: [String: RegistryCredential] = [:]

    public init(_ build: BuildRequest) { self.build = build }
}

extension Engine {
    /// Builds whose folders are on the client's machine: `.sent` and `sent:` name folders of the archive, which is read
    /// to its end before this returns. Whoever ends reading the lines cancels the builds.
    public nonisolated func startSentBuild(
        _ batch: BuildBatch, from archive: @escaping ReceivedBuildRequest.Archive
    ) async throws -> BuildLines {
        let draft = try await receiveContext(from: archive)
        var batch = batch
        for index in batch.builds.indices {
            if case .sent(let name) = batch.builds[index].context {
                batch.builds[index].context = .folder(try Self.folder(name, of: draft))
                batch.builds[index].isTemporary = true
                batch.builds[index].isFiltered = true
            }
            for (name, text) in batch.builds[index].contexts where text.hasPrefix("sent:") {
                batch.builds[index].contexts[name] = try Self.folder(String(text.dropFirst("sent:".count)), of: draft)
            }
        }
        let (lines, queue) = BuildLineQueue.make()
        let asked = batch
        // OWNER: the lines, whose end cancels it.
        let task = Task { [self] in
            await BatchRun(self, asked, tell: { queue.send($0) }, events: { queue.tell($0) }).run()
            queue.finish()
            withExtendedLifetime(draft) {}
        }
        queue.onEnd { task.cancel() }
        return lines
    }

    private nonisolated static func folder(_ name: String, of draft: LayerDraft) throws(EngineError) -> String {
        guard !name.isEmpty, name.allSatisfy(\.isNumber) else {
            throw .badRequest("'\(name)' is no folder of the archive")
        }
        return "\(draft.upper)/\(name)"
    }

    /// The archives are read to their ends before this returns. Whoever ends reading the lines cancels the build.
    public nonisolated func startReceivedBuild(_ request: ReceivedBuildRequest) async throws -> BuildLines {
        var build = request.build
        var held: [LayerDraft] = []
        if let context = request.context {
            let draft = try await receiveContext(from: context)
            held.append(draft)
            build.context = .folder(draft.upper)
            build.isTemporary = true
        }
        for (name, archive) in request.contexts.sorted(by: { $0.key < $1.key }) {
            let draft = try await receiveContext(from: archive)
            held.append(draft)
            build.contexts[name] = draft.upper
        }
        let (lines, queue) = BuildLineQueue.make()
        let (asked, drafts, credentials) = (build, held, request.credentials)
        // OWNER: the lines, whose end cancels it.
        let task = Task { [self] in
            var run = BatchRun(
                self, BuildBatch(builds: [asked]), tell: { queue.send($0) }, events: { queue.tell($0) })
            run.credentials = credentials
            run.settings = .dockers
            await run.run()
            queue.finish()
            withExtendedLifetime(drafts) {}
        }
        queue.onEnd { task.cancel() }
        return lines
    }
}
