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
        router.on("POST", "/build/prune") { request, _ in
            let all = request.queryFlag("all")
            let keep = try request.byteCount("keep-storage")
            return try .json(try await engine.pruneBuilds(all: all, keepStorage: keep, try request.filters()))
        }
        router.on("POST", "/volumes/prune") { request, _ in
            try .json(try await engine.pruneVolumes(try request.filters()))
        }
    }
}
