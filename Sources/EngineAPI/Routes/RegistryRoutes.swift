import Engine
import EngineWire
import Registry

/// `/auth` and `/distribution`: what registries are asked beside transfers.
struct RegistryRoutes {
    private static let bodyBytesMax = 256 << 10

    let engine: Engine

    func add(to router: inout Router) {
        router.on("POST", "/auth") { request, _ in
            let body = try await request.decode(AuthRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(try await engine.verifyLogin(body))
        }
        router.on("GET", "/distribution/{name...}/json") { request, parameters in
            let image = try reference(parameters["name"], tag: nil)
            return try .json(try await engine.distribution(image, try request.registryCredential()))
        }
    }
}

extension HTTPRequest {
    /// The header `X-Registry-Auth`; nil for nobody.
    func registryCredential() throws(HTTPError) -> RegistryCredential? {
        do throws(RegistryError) {
            return try RegistryCredential.parse(registryAuthHeader: headers["X-Registry-Auth"] ?? "")
        } catch {
            throw HTTPError(400, error.description)
        }
    }
}
