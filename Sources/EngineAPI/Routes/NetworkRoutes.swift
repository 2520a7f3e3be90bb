import Engine
import EngineWire

/// `/networks`, in Docker's shapes, and `/network-graph`.
struct NetworkRoutes {
    private static let bodyBytesMax = 1 << 20

    let engine: Engine

    func add(to router: inout Router) {
        router.on("GET", "/networks") { request, _ in
            try .json(try await engine.listNetworks(try request.filters()))
        }
        router.on("GET", "/networks/{id}") { _, parameters in
            try .json(try await engine.inspectNetwork(parameters["id"]))
        }
        router.on("POST", "/networks/create") { request, _ in
            let body = try await request.decode(NetworkCreateRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(try await engine.createNetwork(body), status: 201)
        }
        router.on("POST", "/networks/prune") { request, _ in
            let names = try await engine.pruneNetworks(try request.filters())
            return try .json(NetworkPruneReply(NetworksDeleted: names))
        }
        router.on("DELETE", "/networks/{id}") { request, parameters in
            try await engine.removeNetwork(parameters["id"], force: request.queryFlag("force"))
            return .empty(status: 204)
        }
        router.on("POST", "/networks/{id}/connect") { request, parameters in
            let body = try await request.decode(NetworkConnectRequest.self, byteCountMax: Self.bodyBytesMax)
            try await engine.connect(parameters["id"], body)
            return .empty(status: 200)
        }
        router.on("POST", "/networks/{id}/disconnect") { request, parameters in
            let body = try await request.decode(NetworkDisconnectRequest.self, byteCountMax: Self.bodyBytesMax)
            try await engine.disconnect(parameters["id"], body)
            return .empty(status: 200)
        }
        router.on("GET", "/network-graph") { _, _ in
            let graph = await engine.networkGraph()
            return try .json(graph)
        }
    }
}
