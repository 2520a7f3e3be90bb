import Engine
import EngineWire

/// `/volumes`, in Docker's shapes.
struct VolumeRoutes {
    private static let bodyBytesMax = 1 << 20

    let engine: Engine

    func add(to router: inout Router) {
        router.on("GET", "/volumes") { request, _ in
            try .json(try await engine.listVolumes(try request.filters()))
        }
        router.on("POST", "/volumes/create") { request, _ in
            let body = try await request.decodeIfPresent(VolumeCreateRequest?.self, byteCountMax: Self.bodyBytesMax)
            let volume = try await engine.createVolume(body?.flatMap { $0 } ?? VolumeCreateRequest())
            return try .json(volume, status: 201)
        }
        router.on("POST", "/volumes/prune") { request, _ in
            var filters = try request.filters()
            // Before 1.42 those with a name went, too.
            if request.isBelow(minor: 42) { filters["all"] = filters["all"] ?? ["true"] }
            return try .json(try await engine.pruneVolumes(filters))
        }
        router.on("GET", "/volumes/{name}") { _, parameters in
            try .json(try await engine.inspectVolume(parameters["name"]))
        }
        router.on("PUT", "/volumes/{name}") { _, _ in
            throw HTTPError(400, "volumes of a cluster are not supported: only these can be updated")
        }
        router.on("DELETE", "/volumes/{name}") { request, parameters in
            try await engine.removeVolume(parameters["name"], force: request.queryFlag("force"))
            return .empty(status: 204)
        }
    }
}
