import Engine
import Images
import Registry

/// `POST /images/create` and `POST /images/{name}/push`.
struct ImageTransferRoutes {
    let engine: Engine

    func add(to router: inout Router) {
        router.on("POST", "/images/create") { request, _ in
            guard let image = request.queryValue("fromImage"), !image.isEmpty else {
                throw HTTPError(400, "fromImage is missing: images are made of archives by /images/load")
            }
            var pull = PullRequest(try reference(image, tag: request.queryValue("tag")))
            pull.credential = try credential(request)
            if let platform = request.queryValue("platform"), !platform.isEmpty {
                pull.platform = try refusing { () throws(RegistryError) in try ImagePlatform(parsing: platform) }
            }
            return reply(engine.startPull(pull))
        }
        router.on("POST", "/images/{name...}") { request, parameters in
            let suffix = "/push"
            guard parameters["name"].hasSuffix(suffix) else { throw HTTPError(404, "page not found") }
            let name = String(parameters["name"].dropLast(suffix.count))
            let image = try reference(name, tag: request.queryValue("tag"))
            return reply(engine.startPush(image, credential: try credential(request)))
        }
    }

    private func reply(_ transfer: ImageTransfer) -> HTTPReply {
        .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
            for await message in transfer.messages { try await writer.writeLine(message) }
        }
    }

    /// A tag, or a digest, may come apart from the name.
    private func reference(_ name: String, tag: String?) throws(HTTPError) -> ImageReference {
        var text = name
        if let tag, !tag.isEmpty { text += tag.contains(":") ? "@\(tag)" : ":\(tag)" }
        do throws(ImageError) {
            return try ImageReference(parsing: text)
        } catch {
            throw HTTPError(400, error.description)
        }
    }

    private func credential(_ request: HTTPRequest) throws(HTTPError) -> RegistryCredential? {
        try refusing { () throws(RegistryError) in
            try RegistryCredential.parse(registryAuthHeader: request.headers["X-Registry-Auth"] ?? "")
        }
    }

    private func refusing<Value>(_ body: () throws(RegistryError) -> Value) throws(HTTPError) -> Value {
        do throws(RegistryError) {
            return try body()
        } catch {
            throw HTTPError(400, error.description)
        }
    }
}
