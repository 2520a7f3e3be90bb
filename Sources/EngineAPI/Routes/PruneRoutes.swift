import Engine
import EngineWire

/// `/system/df`, and the prunes beside those of images and networks.
struct PruneRoutes {
    let engine: Engine

    func add(to router: inout Router) {
        router.on("GET", "/system/df") { _, _ in try .json(try await engine.diskUsage()) }
        router.on("POST", "/containers/prune") { request, _ in
            try .json(try await engine.pruneContainers(try request.filters()))
        }
        // Nothing is built here, so there is nothing to prune; `docker system prune` asks all the same.
        router.on("POST", "/build/prune") { _, _ in try .json(BuildPruneReply()) }
        router.on("POST", "/volumes/prune") { request, _ in
            try .json(try await engine.pruneVolumes(try request.filters()))
        }
    }
}

private struct BuildPruneReply: Encodable {
    var CachesDeleted: [String] = []
    var SpaceReclaimed = 0
}
