import Engine
import EngineClient
import EngineWire
import Images
import StackFile
import StackModel

/// `SERVICE HASH` lines by name, of the services in `list`: names with commas between, or `*`.
func hashes(_ list: String, of loaded: LoadedDocument) throws -> String {
    guard let services = loaded.stack?.services else {
        throw CommandFailure.usage(
            "hashes are made of the whole stack",
            hint: "leave out --no-interpolate, --no-normalize and --no-consistency")
    }
    let names = list == "*" ? Array(services.keys) : list.split(separator: ",").map(String.init)
    return try names.sorted().map { name in
        guard let service = services[name] else { throw noSuchService(name, loaded) }
        return "\(name) \(try configHash(of: service))\n"
    }.joined()
}

private func noSuchService(_ name: String, _ loaded: LoadedDocument) -> CommandFailure {
    if loaded.disabledServices.contains(name) {
        return CommandFailure(
            code: "stack.reference", "no such service: \(name): disabled",
            hint: "activate one of its profiles with --profile")
    }
    let near = nearestName(to: name, among: loaded.serviceNames)
    return CommandFailure(
        code: "stack.reference", "no such service: \(name): not found", hint: near.map { "did you mean '\($0)'?" })
}

/// Images by service as `docker.io/library/NAME:TAG@sha256:…`, with the digests of the engine's images. What has a
/// digest already keeps it.
func imagesByDigest(_ images: [String: String], engine: EngineClient) throws -> [String: String] {
    var result: [String: String] = [:]
    for (service, image) in images.sorted(by: { $0.key < $1.key }) {
        let reference: ImageReference
        do throws(ImageError) {
            reference = try ImageReference(parsing: image)
        } catch {
            throw CommandFailure(code: "image.invalid", "services.\(service).image: \(error)")
        }
        result[service] =
            reference.digest == nil
            ? "\(reference.canonical)@\(try digest(of: image, reference, service, engine))" : reference.canonical
    }
    return result
}

private func digest(
    of image: String, _ reference: ImageReference, _ service: String, _ engine: EngineClient
) throws -> String {
    do throws(EngineClientError) {
        let names = try engine.image(image).RepoDigests
        // Another name of the image may have come with another digest: its index's.
        let own = names.first { $0.hasPrefix("\(reference.familiarName)@") } ?? names.first
        if let digest = own?.split(separator: "@").last { return String(digest) }
        throw EngineClientError.unexpectedAnswer("the digest of \(image)")
    } catch {
        guard case .refused(404, _) = error else { throw error }
        throw CommandFailure(
            code: "image.not-found", "image '\(image)' of service '\(service)' is not in the engine's store",
            hint: "`gantry pull` gets it from its registry, `gantry load -i FILE` from an archive")
    }
}
