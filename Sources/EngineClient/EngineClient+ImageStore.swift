import EngineWire
import LinuxSystem

extension EngineClient {
    /// `GET /images/json`; values of `filters` by key.
    public func images(filters: [String: [String]]) throws(EngineClientError) -> [ImageSummary] {
        let request = HTTPRequest("GET", ["images", "json"], query: try filterQuery(filters))
        return try reply([ImageSummary].self, request, "the list of images")
    }

    /// `GET /images/{name}/json`, as the engine writes it.
    public func imageDocument(_ name: String) throws(EngineClientError) -> [UInt8] {
        try open(HTTPRequest("GET", ["images", name, "json"])).readAll(byteCountMax: Self.replyByteCountMax)
    }

    /// `GET /images/{name}/history`, newest step first.
    public func imageHistory(_ name: String) throws(EngineClientError) -> [ImageHistoryItem] {
        try reply([ImageHistoryItem].self, HTTPRequest("GET", ["images", name, "history"]), "the image's history")
    }

    /// `GET /images/{name}/verify`: takes as long as reading the image and unpacking it.
    public func verifyImage(_ name: String) throws(EngineClientError) -> ImageVerifyReply {
        try reply(ImageVerifyReply.self, HTTPRequest("GET", ["images", name, "verify"]), "what the verification found")
    }

    /// `POST /images/{name}/tag`; `new` is a name with or without a tag.
    public func tagImage(_ name: String, as new: String) throws(EngineClientError) {
        try send(HTTPRequest("POST", ["images", name, "tag"], query: [(name: "repo", value: new)]))
    }

    /// `DELETE /images/{name}`.
    public func removeImage(
        _ name: String, force: Bool, noPrune: Bool
    ) throws(EngineClientError) -> [ImageDeletion] {
        var query: [(name: String, value: String)] = []
        if force { query.append((name: "force", value: "1")) }
        if noPrune { query.append((name: "noprune", value: "1")) }
        let request = HTTPRequest("DELETE", ["images", name], query: query)
        return try reply([ImageDeletion].self, request, "the list of what was removed")
    }

    /// `POST /images/prune`.
    public func pruneImages(filters: [String: [String]]) throws(EngineClientError) -> ImagePruneReply {
        let request = HTTPRequest("POST", ["images", "prune"], query: try filterQuery(filters))
        return try reply(ImagePruneReply.self, request, "the list of removed images")
    }

    /// `POST /containers/prune`.
    public func pruneContainers(filters: [String: [String]]) throws(EngineClientError) -> ContainerPruneReply {
        let request = HTTPRequest("POST", ["containers", "prune"], query: try filterQuery(filters))
        return try reply(ContainerPruneReply.self, request, "the list of removed containers")
    }

    /// `POST /volumes/prune`.
    public func pruneVolumes(filters: [String: [String]]) throws(EngineClientError) -> VolumePruneReply {
        let request = HTTPRequest("POST", ["volumes", "prune"], query: try filterQuery(filters))
        return try reply(VolumePruneReply.self, request, "the list of removed volumes")
    }

    /// `GET /system/df`.
    public func diskUsage() throws(EngineClientError) -> DiskUsageReply {
        try reply(DiskUsageReply.self, HTTPRequest("GET", ["system", "df"]), "the disk usage")
    }

    /// `GET /images/get`: the archive comes as the stream's body.
    ///
    /// - Parameter format: `docker-archive` or `oci-archive`.
    public func saveImages(_ names: [String], format: String) throws(EngineClientError) -> EngineStream {
        let query = names.map { (name: "names", value: $0) } + [(name: "format", value: format)]
        return try open(HTTPRequest("GET", ["images", "get"], query: query))
    }

    /// `POST /images/create?fromSrc=-`: an image from the tar of a root file system.
    ///
    /// - Parameters:
    ///   - length: bytes when known, as of a regular file.
    ///   - name: `nil` for an image without one.
    ///   - changes: instructions of a Dockerfile.
    public func importImage(
        from archive: borrowing FileDescriptor, length: UInt64?, name: String?, message: String?, changes: [String],
        report: (LoadMessage) -> Void
    ) throws(EngineClientError) {
        var query = [(name: "fromSrc", value: "-")]
        if let name { query.append((name: "repo", value: name)) }
        if let message { query.append((name: "message", value: message)) }
        query += changes.map { (name: "changes", value: $0) }
        let request = HTTPRequest("POST", ["images", "create"], query: query, body: .tar(length: length))
        try send(request, archive, length: length, report)
    }
}
