import Engine
import EngineWire

/// `/system/df`, and the prunes of containers and builds.
struct PruneRoutes {
    /// What `type` of `/system/df` may name.
    private static let kinds: Set<String> = ["container", "image", "volume", "build-cache"]

    let engine: Engine

    func add(to router: inout Router) {
        router.on("GET", "/system/df") { request, _ in
            let kinds = request.query["type"] ?? []
            if let unknown = kinds.first(where: { !Self.kinds.contains($0) }) {
                throw HTTPError(400, "unknown object type: \(unknown)")
            }
            var usage = try await engine.diskUsage()
            guard !kinds.isEmpty else { return try .json(usage) }
            if !kinds.contains("image") { (usage.Images, usage.LayersSize) = (nil, 0) }
            if !kinds.contains("container") { usage.Containers = nil }
            if !kinds.contains("volume") { usage.Volumes = nil }
            if !kinds.contains("build-cache") { usage.BuildCache = nil }
            return try .json(usage)
        }
        router.on("POST", "/containers/prune") { request, _ in
            try .json(try await engine.pruneContainers(try request.filters()))
        }
        router.on("POST", "/build/prune") { request, _ in
            let all = request.queryFlag("all")
            let keep = try request.byteCount("keep-storage")
            return try .json(try await engine.pruneBuilds(all: all, keepStorage: keep, try request.filters()))
        }
    }
}
