import Engine
import EngineWire
import FoundationEssentials
import Images

/// A container's files: `/containers/{id}/archive`, `/changes`, `/export`, and `/commit`.
struct ArchiveRoutes {
    private static let configByteCountMax = 1 << 20
    let engine: Engine

    func add(to router: inout Router) {
        router.on("HEAD", "/containers/{id}/archive") { request, parameters in
            let status = try await engine.pathStatus(parameters["id"], path: try path(request))
            return .empty(status: 200, headers: try headers(status))
        }
        router.on("GET", "/containers/{id}/archive") { request, parameters in
            let (status, archive) = try await engine.archive(parameters["id"], path: try path(request))
            return stream(archive, headers: try headers(status))
        }
        router.on("PUT", "/containers/{id}/archive", bodyByteCountMax: .max) { request, parameters in
            var extraction = Engine.Extraction(
                path: try path(request), keepsKinds: request.queryFlag("noOverwriteDirNonDir"),
                ownedByUser: request.queryFlag("copyUIDGID"))
            // Gantry's own: Docker's API removes nothing.
            extraction.whiteoutsRemove = request.queryFlag("whiteoutsRemove")
            let (body, wanted) = (request.body, extraction)
            try await engine.extract(parameters["id"], wanted) { try await body.next() }
            return .empty(status: 200)
        }
        router.on("GET", "/containers/{id}/changes") { _, parameters in
            let changes = try await engine.changes(parameters["id"])
            return try .json(changes.map { ChangeReply(Path: $0.path, Kind: $0.kind.number) })
        }
        router.on("GET", "/containers/{id}/export") { _, parameters in
            stream(try await engine.export(parameters["id"]), headers: [:])
        }
        router.on("POST", "/commit") { request, _ in
            guard let container = request.queryValue("container"), !container.isEmpty else {
                throw HTTPError(400, "container is missing: of which is an image to be made?")
            }
            let id = try await engine.commit(container, try await commitOptions(request))
            return try .json(IdReply(Id: id), status: 201)
        }
    }

    private func path(_ request: HTTPRequest) throws(HTTPError) -> String {
        guard let path = request.queryValue("path"), !path.isEmpty else { throw HTTPError(400, "path is missing") }
        guard !path.utf8.contains(0) else { throw HTTPError(400, "path has a NUL in it") }
        return path
    }

    private func headers(_ status: PathStatus) throws -> HTTPHeaders {
        let nanoseconds = status.modifiedSeconds.multipliedReportingOverflow(by: 1_000_000_000)
        let stat = ContainerPathStat(
            name: status.name, size: status.byteCount, mode: GoFileMode.from(status.mode),
            // Beyond the year 2262 the header tells the first of 1970, as for files without a time.
            mtime: rfc3339(nanoseconds.overflow ? 0 : nanoseconds.partialValue &+ status.modifiedNanoseconds),
            linkTarget: status.linkTarget)
        return [ContainerPathStat.header: try JSONEncoder().encode(stat).base64EncodedString()]
    }

    private func stream(_ archive: OutgoingArchive, headers: HTTPHeaders) -> HTTPReply {
        var headers = headers
        headers.set("Content-Type", "application/x-tar")
        return .stream(status: 200, headers: headers) { writer in
            while let piece = try await archive.next() { try await writer.write(piece) }
        }
    }

    private func commitOptions(_ request: HTTPRequest) async throws -> CommitOptions {
        var options = CommitOptions()
        let text = { (name: String) in request.queryValue(name).flatMap { $0.isEmpty ? nil : $0 } }
        options.author = text("author")
        options.comment = text("comment")
        options.pause = request.queryFlag("pause", default: true)
        do throws(ImageError) {
            if let repository = text("repo") {
                options.reference = try ImageReference(
                    parsing: text("tag").map { "\(repository):\($0)" } ?? repository)
            }
            // One parameter may hold several lines.
            for change in (request.query["changes"] ?? []).flatMap({ $0.split(separator: "\n") })
            where !change.allSatisfy(\.isWhitespace) {
                options.changes.append(try ConfigInstruction(parsing: String(change)))
            }
        } catch {
            throw HTTPError(400, error.description)
        }
        options.config = try await request.decodeIfPresent(
            ContainerDefaults?.self, byteCountMax: Self.configByteCountMax
        ).flatMap { $0 }
        return options
    }
}

extension ContainerChange.Kind {
    /// Docker's numbers.
    fileprivate var number: Int {
        switch self {
        case .changed: 0
        case .added: 1
        case .deleted: 2
        }
    }
}
