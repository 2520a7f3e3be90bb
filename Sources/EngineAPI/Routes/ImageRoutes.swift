import Engine
import EngineWire
import Images

/// `/images`, in Docker's shapes.
struct ImageRoutes {
    let engine: Engine

    func add(to router: inout Router) {
        router.on("GET", "/images/json") { request, _ in
            try .json(
                try await engine.imageSummaries(
                    filters: try request.filters(), sharedSize: request.queryFlag("shared-size")))
        }
        router.on("GET", "/images/get") { request, _ in
            // Docker's command line repeats the parameter, others write a list.
            let names = (request.query["names"] ?? []).flatMap { $0.split(separator: ",").map(String.init) }
            return try await archive(names, request)
        }
        router.on("GET", "/images/{name...}/json") { _, parameters in
            try .json(try await engine.imageDetails(parameters["name"]))
        }
        router.on("GET", "/images/{name...}/history") { _, parameters in
            try .json(try await engine.imageHistory(parameters["name"]))
        }
        router.on("GET", "/images/{name...}/verify") { _, parameters in
            try .json(try await engine.verifyImage(parameters["name"]))
        }
        router.on("GET", "/images/{name...}/get") { request, parameters in
            try await archive([parameters["name"]], request)
        }
        router.on("DELETE", "/images/{name...}") { request, parameters in
            try .json(try await engine.removeImage(parameters["name"], force: request.queryFlag("force")))
        }
        addPosts(to: &router)
    }

    private func addPosts(to router: inout Router) {
        router.on("POST", "/images/load", bodyByteCountMax: .max) { request, _ in
            streamed(try await engine.startLoading(), request)
        }
        router.on("POST", "/images/create", bodyByteCountMax: .max) { request, _ in
            if let image = request.queryValue("fromImage"), !image.isEmpty {
                return try await ImageTransferRoutes(engine: engine).pull(image, request)
            }
            return try await importTree(request)
        }
        router.on("POST", "/images/prune") { request, _ in
            try .json(try await engine.pruneImages(try request.filters()))
        }
        router.on("POST", "/images/{name...}/push") { request, parameters in
            try await ImageTransferRoutes(engine: engine).push(parameters["name"], request)
        }
        router.on("POST", "/images/{name...}/tag") { request, parameters in
            guard let repository = request.queryValue("repo"), !repository.isEmpty else {
                throw HTTPError(400, "repo is missing: the new name")
            }
            try await engine.tagImage(parameters["name"], as: try reference(repository, tag: request.queryValue("tag")))
            return .empty(status: 201)
        }
    }

    /// `format` is Gantry's own: `docker-archive`, the default, or `oci-archive`.
    private func archive(_ names: [String], _ request: HTTPRequest) async throws -> HTTPReply {
        let form: ArchiveForm
        switch request.queryValue("format") ?? "" {
        case "", "docker-archive": form = .docker
        case "oci-archive": form = .oci
        case let other: throw HTTPError(400, "there is no format '\(other)'; use docker-archive or oci-archive")
        }
        let saving = try await engine.startSaving(names, as: form)
        // What fails at once is still an answer of its own.
        let first = try await saving.next()
        return .stream(status: 200, headers: ["Content-Type": "application/x-tar"]) { writer in
            var piece = first
            while let bytes = piece {
                try await writer.write(bytes)
                piece = try await saving.next()
            }
        }
    }

    private func importTree(_ request: HTTPRequest) async throws -> HTTPReply {
        guard let source = request.queryValue("fromSrc"), !source.isEmpty else {
            throw HTTPError(400, "fromImage and fromSrc are missing: what shall the image be made from?")
        }
        guard source == "-" else {
            throw HTTPError(400, "fromSrc must be -, with the tar as the body: nothing is fetched from URLs")
        }
        let repository = request.queryValue("repo") ?? ""
        let reference = repository.isEmpty ? nil : try reference(repository, tag: request.queryValue("tag"))
        let message = request.queryValue("message").flatMap { $0.isEmpty ? nil : $0 }
        let loading = try await engine.startImport(reference, message: message, changes: request.query["changes"] ?? [])
        return streamed(loading, request)
    }

    private func streamed(_ loading: ImageLoading, _ request: HTTPRequest) -> HTTPReply {
        .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
            try await feed(request.body, to: loading, writer)
        }
    }
}

/// Sends the request's body into the image store and its answers to the client, both as they come.
private func feed(_ body: BodyReader, to loading: ImageLoading, _ writer: BodyWriter) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            do {
                for try await chunk in body {
                    guard await loading.write(chunk) else { break }
                }
            } catch {
                await loading.finishWriting()
                throw error
            }
            await loading.finishWriting()
        }
        for await message in loading.messages { try await writer.writeLine(message) }
        try await group.waitForAll()
    }
}
