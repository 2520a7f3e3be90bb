import Engine
import Images
import Registry

/// Images from and to registries: `POST /images/create?fromImage=` and `POST /images/{name}/push`.
struct ImageTransferRoutes {
    let engine: Engine

    /// Without tag and digest it is every tag of the repository (`docker pull -a`).
    func pull(_ image: String, _ request: HTTPRequest) async throws -> HTTPReply {
        let tag = request.queryValue("tag")
        let wanted = try reference(image, tag: tag)
        // A damaged header is nobody, as with Docker: what is public can be had.
        let credential: RegistryCredential? = try? request.registryCredential()
        var pull = PullRequest(wanted)
        pull.credential = credential
        if let platform = request.queryValue("platform"), !platform.isEmpty {
            pull.platform = try refusing { () throws(RegistryError) in try ImagePlatform(parsing: platform) }
        }
        guard (tag ?? "").isEmpty, isBare(image) else {
            return try await reply(engine.startPull(pull)) { status, why in
                switch status {
                case 404 where why.hasPrefix("access denied"):
                    "pull access denied for \(wanted.familiarName), repository does not exist or may require "
                        + "'docker login': \(why)"
                case 404: "manifest for \(wanted.familiar) not found: manifest unknown: \(why)"
                default: why
                }
            }
        }
        let tags = try await engine.remoteTags(wanted, credential)
        let pulls = try tags.map { tag in
            var one = pull
            one.reference = try reference(image, tag: tag)
            return one
        }
        return .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
            for one in pulls {
                for await message in engine.startPull(one).messages {
                    try await writer.writeLine(message, isProgress: true)
                }
            }
        }
    }

    /// Neither tag nor digest.
    private func isBare(_ image: String) -> Bool {
        !image.contains("@") && !image[(image.lastIndex(of: "/") ?? image.startIndex)...].contains(":")
    }

    /// Without a tag it is every tag of the name (`docker push -a`).
    func push(_ name: String, _ request: HTTPRequest) async throws -> HTTPReply {
        let tag = request.queryValue("tag")
        let image = try reference(name, tag: tag)
        let credential = try request.registryCredential()
        guard (tag ?? "").isEmpty, isBare(name) else {
            return try await reply(engine.startPush(image, credential: credential))
        }
        let all = try await engine.localTags(image)
        guard !all.isEmpty else {
            throw HTTPError(404, "An image does not exist locally with the tag: \(image.familiarName)")
        }
        return .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
            for one in all {
                for await message in engine.startPush(one, credential: credential).messages {
                    try await writer.writeLine(message, isProgress: true)
                }
            }
        }
    }

    /// What fails before anything was done is an answer of its own: clients tell a missing image by its status.
    private func reply(
        _ transfer: ImageTransfer, wording: (Int, String) -> String = { $1 }
    ) async throws -> HTTPReply {
        let lines = transfer.messages
        var first: [TransferMessage] = []
        for await message in lines {
            if let status = message.failureStatus {
                // To 401 Docker's command line does not show the message, but asks for a password.
                throw HTTPError(status == 401 ? 500 : status, wording(status, message.error ?? ""))
            }
            first.append(message)
            // The line that names the image says nothing about it.
            if first.count == 2 { break }
        }
        let begun = first
        return .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
            for message in begun { try await writer.writeLine(message, isProgress: true) }
            for await message in lines { try await writer.writeLine(message, isProgress: true) }
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
