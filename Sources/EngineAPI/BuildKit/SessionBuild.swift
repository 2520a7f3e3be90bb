import BuildKitProtocol
import Engine
import EngineWire
import Registry
import StackModel

/// Carries out what the Dockerfile frontend is asked for, with the files of a client's session.
struct SessionBuild: Sendable {
    /// Of pieces of an archive that were received and not yet taken.
    private static let piecesMax = 16
    /// Docker Hub's name in clients' files of credentials.
    private static let hubHost = "registry-1.docker.io"

    let engine: Engine
    let session: BuildSession
    let job: BuildJob

    /// - Returns: the image's id.
    func run(_ options: [String: String]) async throws -> String {
        let asked = try FrontendOptions(options)
        var build = asked.build
        build.tags = try FrontendOptions.tags(job.request.exporters)
        if job.request.entitlements.contains("security.insecure") { build.allow.append("security.insecure") }
        if job.request.entitlements.contains("network.host") { build.allow.append("network.host") }
        var request = ReceivedBuildRequest(build)
        if case .none = build.context {
            let texts = try await dockerfile(asked)
            guard let text = texts.dockerfile else {
                throw GRPCStatus(
                    .unknown, "failed to read dockerfile: open \(asked.dockerfile): no such file or directory")
            }
            request.build.dockerfileText = String(decoding: text, as: UTF8.self)
            request.build.dockerfile = asked.dockerfile
            try await askFor(DockerfileWants(request.build.dockerfileText ?? ""), &request)
            request.context = archive(of: asked.contextFolder, ignoring: texts.ignored)
        } else if asked.dockerfile != "Dockerfile" {
            request.build.dockerfile = asked.dockerfile
        }
        for (name, context) in asked.contexts {
            switch context {
            case .local(let folder): request.contexts[name] = archive(of: folder, ignoring: [])
            case .other(let place): request.build.contexts[name] = place
            }
        }
        return try await follow(try await engine.startReceivedBuild(request))
    }

    // MARK: - What the client has

    private func dockerfile(_ asked: FrontendOptions) async throws -> (dockerfile: [UInt8]?, ignored: [UInt8]) {
        let (name, own) = (asked.dockerfile, "\(asked.dockerfile).dockerignore")
        let texts = try await SessionFiles(session: session, folder: asked.dockerfileFolder).texts([name, own])
        if let ignored = texts[own] { return (texts[name], ignored) }
        let general = ".dockerignore"
        let inContext = try await SessionFiles(session: session, folder: asked.contextFolder).texts([general])
        return (texts[name], inContext[general] ?? [])
    }

    /// Secrets that it does not have, and credentials that it does not give, are left out: the step that needs them
    /// says so.
    private func askFor(_ wants: DockerfileWants, _ request: inout ReceivedBuildRequest) async throws {
        let secretPath = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
        for id in wants.secrets.sorted() where session.offers(secretPath) {
            do {
                let bytes = try secret(in: try await session.ask(secretPath, secretRequest(id: id)))
                request.build.secrets.append(BuildRequest.Secret(id: id, bytes: bytes))
            } catch let status as GRPCStatus where status.code != GRPCStatus.Code.unavailable.rawValue {
                continue
            }
        }
        let authPath = "/moby.filesync.v1.Auth/Credentials"
        for host in wants.registries.union([Self.hubHost]).sorted() where session.offers(authPath) {
            do {
                let found = try credentials(in: try await session.ask(authPath, credentialsRequest(host: host)))
                guard !found.secret.isEmpty else { continue }
                request.credentials[host == Self.hubHost ? "docker.io" : host] =
                    found.username.isEmpty
                    ? .identityToken(found.secret) : .password(username: found.username, password: found.secret)
            } catch let status as GRPCStatus where status.code != GRPCStatus.Code.unavailable.rawValue {
                continue
            }
        }
    }

    /// - Parameter ignoring: the content of a `.dockerignore`; the client leaves out what it names.
    private func archive(of folder: String, ignoring: [UInt8]) -> ReceivedBuildRequest.Archive {
        let files = SessionFiles(session: session, folder: folder)
        let patterns = String(decoding: ignoring, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
            .map { $0.trimmingPrefix { $0.isWhitespace } }.map { String($0) }.filter {
                !$0.isEmpty && !$0.hasPrefix("#")
            }
        let pieces = PieceQueue(countMax: Self.piecesMax)
        // OWNER: the archive's reader: with it, what was not read is given up.
        let task = Task {
            do {
                try await files.archive(excluding: patterns) { try await pieces.put($0) }
                pieces.end(.success(()))
            } catch {
                pieces.end(.failure(error))
            }
        }
        let reader = PieceReader(pieces, task)
        return { try await reader.next() }
    }

    // MARK: - Progress

    /// - Returns: the image's id.
    private func follow(_ lines: BuildLines) async throws -> String {
        var progress = BuildProgressNews(ref: job.request.ref)
        var image = ""
        for await line in lines {
            if let news = progress.news(line) { job.tell(news) }
            switch line {
            case .built(_, let id, _): image = id
            case .failed(let diagnostics, let excerpt):
                throw GRPCStatus(.unknown, Self.text(diagnostics.map(\.message), excerpt))
            default: break
            }
        }
        guard !image.isEmpty else { throw GRPCStatus(.cancelled, "the build was cut off") }
        return image
    }

    private static func text(_ messages: [String], _ excerpt: BuildExcerpt?) -> String {
        var text = messages.joined(separator: "; ")
        guard let excerpt else { return text }
        text += "\n\(excerpt.file):\(excerpt.marked.first ?? excerpt.firstLine)\n--------------------\n"
        for (offset, line) in excerpt.lines.enumerated() {
            let number = excerpt.firstLine + offset
            let isMarked =
                excerpt.marked.count == 2
                && (excerpt.marked[0]...max(excerpt.marked[0], excerpt.marked[1])).contains(number)
            text += "\(number) | \(isMarked ? ">>>" : "   ") \(line)\n"
        }
        return text + "--------------------"
    }
}
