import EngineWire

extension EngineClient {
    /// `GET /volumes`; values of `filters` by key.
    public func volumes(filters: [String: [String]] = [:]) throws(EngineClientError) -> [VolumeInspect] {
        let request = HTTPRequest("GET", ["volumes"], query: try filterQuery(filters))
        return try reply(VolumeListReply.self, request, "the list of volumes").Volumes
    }

    /// `GET /volumes/{name}`.
    public func volume(_ name: String) throws(EngineClientError) -> VolumeInspect {
        try reply(VolumeInspect.self, HTTPRequest("GET", ["volumes", name]), "the volume")
    }

    /// `POST /volumes/create`.
    public func createVolume(_ body: VolumeCreateRequest) throws(EngineClientError) -> VolumeInspect {
        let request = HTTPRequest("POST", ["volumes", "create"], body: try json(body))
        return try reply(VolumeInspect.self, request, "the new volume")
    }

    /// `DELETE /volumes/{name}`.
    public func removeVolume(_ name: String, force: Bool) throws(EngineClientError) {
        let query = force ? [(name: "force", value: "1")] : []
        try send(HTTPRequest("DELETE", ["volumes", name], query: query))
    }
}
