import Engine
import Images
import Registry

/// Images from and to registries: `POST /images/create?fromImage=` and `POST /images/{name}/push`.
struct ImageTransferRoutes {
    let engine: Engine

    func pull(_ image: String, _ request: HTTPRequest) throws -> HTTPReply {
        var pull = PullRequest(try reference(image, tag: request.queryValue("tag")))
        pull.credential = try credential(request)
        if let platform = request.queryValue("platform"), !platform.isEmpty {
            pull.platform = try refusing { () throws(RegistryError) in try ImagePlatform(parsing: platform) }
        }
        return reply(engine.startPull(pull))
    }

    func push(_ name: String, _ request: HTTPRequest) throws -> HTTPReply {
        let image = try reference(name, tag: request.queryValue("tag"))
        return reply(engine.startPush(image, credential: try credential(request)))
    }

    private func reply(_ transfer: ImageTransfer) -> HTTPReply {
        .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
            for await message in transfer.messages { try await writer.writeLine(message) }
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

/// A tag, or a digest, may come apart from the name.
func reference(_ name: String, tag: String?) throws(HTTPError) -> ImageReference {
    var text = name
    if let tag, !tag.isEmpty { text += tag.contains(":") ? "@\(tag)" : ":\(tag)" }
    do throws(ImageError) {
        return try ImageReference(parsing: text)
    } catch {
        throw HTTPError(400, error.description)
    }
}
