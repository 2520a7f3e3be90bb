/// What `POST /images/create` and `POST /images/{name}/push` say, line by line.
public struct TransferLine: Equatable, Sendable {
    public var status: String
    /// What it is about, mostly a layer; empty for the image.
    public var id: String
    /// Bytes so far and in all.
    public var current: Int64?
    public var total: Int64?
    public var error: String?
}

extension EngineClient {
    /// `POST /images/create`; `registryAuth` is the content of X-Registry-Auth.
    public func pullImage(
        _ image: String, platform: String?, registryAuth: String?, report: (TransferLine) throws -> Void
    ) throws {
        var query = [(name: "fromImage", value: image)]
        if Self.isBare(image) { query.append((name: "tag", value: "latest")) }
        if let platform { query.append((name: "platform", value: platform)) }
        var request = HTTPRequest("POST", ["images", "create"], query: query)
        request.registryAuth = registryAuth
        try transfer(request, report)
    }

    /// `POST /images/{name}/push`.
    public func pushImage(_ image: String, registryAuth: String?, report: (TransferLine) throws -> Void) throws {
        let query = Self.isBare(image) ? [(name: "tag", value: "latest")] : []
        var request = HTTPRequest("POST", ["images", image, "push"], query: query)
        request.registryAuth = registryAuth
        try transfer(request, report)
    }

    /// Neither tag nor digest: there the API means every tag.
    private static func isBare(_ image: String) -> Bool {
        !image.contains("@") && !image[(image.lastIndex(of: "/") ?? image.startIndex)...].contains(":")
    }

    private func transfer(_ request: HTTPRequest, _ report: (TransferLine) throws -> Void) throws {
        let lines = LineStream(try open(request))
        while let batch = try lines.receive() {
            for line in try batch.map(Self.transferLine) where !line.status.isEmpty || line.error != nil {
                try report(line)
            }
        }
    }

    static func transferLine(_ line: [UInt8]) throws(EngineClientError) -> TransferLine {
        struct Line: Decodable {
            struct Progress: Decodable {
                var current: Int64?
                var total: Int64?
            }
            var status: String?
            var id: String?
            var progressDetail: Progress?
            var error: String?
        }
        let message = try decodeJSON(Line.self, line, "a message of a transfer")
        return TransferLine(
            status: message.status ?? "", id: message.id ?? "", current: message.progressDetail?.current,
            total: message.progressDetail?.total, error: message.error)
    }
}
