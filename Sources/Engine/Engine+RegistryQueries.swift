import EngineWire
import FoundationEssentials
import Images
import Registry

/// What a registry is asked beside transfers.
extension Engine {
    /// `POST /auth`: whether a registry takes these credentials.
    public nonisolated func verifyLogin(_ request: AuthRequest) async throws(EngineError) -> AuthReply {
        let host = try registryHost(request.serveraddress ?? "")
        let credential: RegistryCredential
        if let token = request.identitytoken, !token.isEmpty {
            credential = .identityToken(token)
        } else if let token = request.registrytoken, !token.isEmpty {
            credential = .registryToken(token)
        } else {
            credential = .password(username: request.username ?? "", password: request.password ?? "")
        }
        let client = RegistryClient(registries, credentials: GivenCredential(host: host, credential))
        try await ending(client) { () throws(RegistryError) in try client.verifyLogin(registry: host) }
        return AuthReply(Status: "Login Succeeded")
    }

    /// Docker's clients send the address of an API for Docker Hub, and hosts or addresses for others.
    private nonisolated func registryHost(_ text: String) throws(EngineError) -> String {
        var host = text[...]
        for scheme in ["https://", "http://"] where host.hasPrefix(scheme) { host = host.dropFirst(scheme.count) }
        host = host.prefix { $0 != "/" }
        if host.isEmpty || ["index.docker.io", "registry-1.docker.io", "docker.io"].contains(host) {
            return ImageReference.defaultRegistry
        }
        do throws(ImageError) {
            let registry = try ImageReference(parsing: "\(host)/any").registry
            guard registry == host else { throw .invalidReference(text: String(host), why: "it is no host") }
            return registry
        } catch {
            throw .badRequest("\(error)")
        }
    }

    /// `GET /distribution/{name}/json`: what the name stands for at its registry now, and for which machines.
    public nonisolated func distribution(
        _ reference: ImageReference, _ credential: RegistryCredential?
    ) async throws(EngineError) -> DistributionReply {
        let client = registryClient(reference, credential)
        return try await ending(client) { () throws(RegistryError) in
            let top = try client.manifest(reference)
            let descriptor = DistributionReply.Descriptor(
                mediaType: top.descriptor.mediaType, digest: top.descriptor.digest.description,
                size: top.descriptor.size)
            var platforms = (top.document.manifests ?? []).compactMap(\.platform).map { platform in
                DistributionReply.Platform(
                    architecture: platform.architecture, os: platform.os, variant: platform.variant)
            }
            if let config = top.document.config {
                let bytes = try client.blob(config, RepositoryName(reference))
                // A configuration of something else than an image names no machine.
                if let platform = try? JSONDecoder().decode(DistributionReply.Platform.self, from: Data(bytes)) {
                    platforms.append(platform)
                }
            }
            return DistributionReply(Descriptor: descriptor, Platforms: platforms)
        }
    }

    /// Runs what waits for a registry; it ends with the task that waits for it.
    private nonisolated func ending<Value: Sendable>(
        _ client: RegistryClient, _ body: @escaping @Sendable () throws(RegistryError) -> Value
    ) async throws(EngineError) -> Value {
        let outcome: Result<Value, EngineError> = await withTaskCancellationHandler {
            do throws(EngineError) {
                return .success(try await onRegistry(body))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            client.stop.cancel()
        }
        return try outcome.get()
    }

    /// All tags of a repository, in the registry's order.
    public nonisolated func remoteTags(
        _ reference: ImageReference, _ credential: RegistryCredential?
    ) async throws(EngineError) -> [String] {
        let client = registryClient(reference, credential)
        return try await ending(client) { () throws(RegistryError) in try client.tags(RepositoryName(reference)) }
    }
}
