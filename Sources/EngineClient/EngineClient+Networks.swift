import EngineWire
import FoundationEssentials

extension EngineClient {
    /// `GET /networks`; values of `filters` by key.
    public func networks(filters: [String: [String]] = [:]) throws(EngineClientError) -> [NetworkInspect] {
        let request = HTTPRequest("GET", ["networks"], query: try filterQuery(filters))
        return try reply([NetworkInspect].self, request, "the list of networks")
    }

    /// `GET /networks/{id}`.
    public func network(_ reference: String) throws(EngineClientError) -> NetworkInspect {
        try reply(NetworkInspect.self, HTTPRequest("GET", ["networks", reference]), "the network")
    }

    /// `POST /networks/create`.
    public func createNetwork(_ body: NetworkCreateRequest) throws(EngineClientError) -> NetworkCreateReply {
        let request = HTTPRequest("POST", ["networks", "create"], body: try json(body))
        return try reply(NetworkCreateReply.self, request, "the new network")
    }

    /// `DELETE /networks/{id}`.
    public func removeNetwork(_ reference: String, force: Bool) throws(EngineClientError) {
        let query = force ? [(name: "force", value: "1")] : []
        try send(HTTPRequest("DELETE", ["networks", reference], query: query))
    }

    /// `POST /networks/prune`; answers the names of those removed.
    public func pruneNetworks(filters: [String: [String]]) throws(EngineClientError) -> [String] {
        let request = HTTPRequest("POST", ["networks", "prune"], query: try filterQuery(filters))
        return try reply(NetworkPruneReply.self, request, "the list of removed networks").NetworksDeleted ?? []
    }

    /// `POST /networks/{id}/connect`.
    public func connect(_ reference: String, _ body: NetworkConnectRequest) throws(EngineClientError) {
        try send(HTTPRequest("POST", ["networks", reference, "connect"], body: try json(body)))
    }

    /// `POST /networks/{id}/disconnect`.
    public func disconnect(_ reference: String, _ body: NetworkDisconnectRequest) throws(EngineClientError) {
        try send(HTTPRequest("POST", ["networks", reference, "disconnect"], body: try json(body)))
    }

    /// `GET /network-graph`.
    public func networkGraph() throws(EngineClientError) -> NetworkGraph {
        try reply(NetworkGraph.self, HTTPRequest("GET", ["network-graph"]), "the graph of the networks")
    }

    func filterQuery(
        _ filters: [String: [String]]
    ) throws(EngineClientError) -> [(name: String, value: String)] {
        guard !filters.isEmpty else { return [] }
        do {
            let text = String(decoding: try JSONEncoder().encode(filters), as: UTF8.self)
            return [(name: "filters", value: text)]
        } catch {
            throw .unexpectedAnswer("this request as JSON")
        }
    }
}
