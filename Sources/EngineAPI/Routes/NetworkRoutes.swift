import Engine
import EngineWire
import FoundationEssentials

/// `/networks`, in Docker's shapes, and `/network-graph`.
struct NetworkRoutes {
    private static let bodyBytesMax = 1 << 20

    let engine: Engine

    func add(to router: inout Router) {
        router.on("GET", "/networks") { request, _ in
            try .json(try await engine.listNetworks(try request.networkFilters()))
        }
        router.on("GET", "/networks/{id}") { _, parameters in
            try .json(try await engine.inspectNetwork(parameters["id"]))
        }
        router.on("POST", "/networks/create") { request, _ in
            let body = try await request.decode(NetworkCreateRequest.self, byteCountMax: Self.bodyBytesMax)
            return try .json(try await engine.createNetwork(body), status: 201)
        }
        router.on("POST", "/networks/prune") { request, _ in
            let names = try await engine.pruneNetworks(try request.networkFilters())
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

extension HTTPRequest {
    /// `filters={"label":["a=b"],"dangling":["true"]}`; old clients send `{"label":{"a=b":true}}`.
    fileprivate func networkFilters() throws(HTTPError) -> NetworkFilters {
        guard let text = queryValue("filters"), !text.isEmpty else { return NetworkFilters() }
        let data = Data(text.utf8)
        do {
            return NetworkFilters(try JSONDecoder().decode([String: [String]].self, from: data))
        } catch {
            do {
                let old = try JSONDecoder().decode([String: [String: Bool]].self, from: data)
                return NetworkFilters(old.mapValues { $0.filter(\.value).keys.sorted() })
            } catch {
                throw HTTPError(400, "'filters' must be a JSON object of lists")
            }
        }
    }
}
