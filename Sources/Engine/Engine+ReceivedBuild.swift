import CLinux
import EngineWire
import Glibc
import Images
import LinuxSystem
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
        return start(batch, holding: [draft])
    }

    private nonisolated static func folder(_ name: String, of draft: LayerDraft) throws(EngineError) -> String {
        guard !name.isEmpty, name.allSatisfy(\.isNumber) else {
            throw .badRequest("'\(name)' is no folder of the archive")
        }
        let path = "\(draft.upper)/\(name)"
        do throws(SystemError) {
            // A link in its place could lead anywhere.
            _ = try FileDescriptor.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW)
        } catch {
            throw .badRequest("folder '\(name)' did not come with the request")
        }
        return path
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
        return start(
            BuildBatch(builds: [build]), credentials: request.credentials, settings: .dockers, holding: held)
    }
}
