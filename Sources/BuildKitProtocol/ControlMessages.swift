// Messages of `moby.buildkit.v1.Control` (moby/buildkit, api/services/control/control.proto), as far as they are acted
// on. Times are nanoseconds since 1970.

/// `SolveRequest`: what is to be built, and what becomes of it.
public struct SolveRequest: Equatable, Sendable {
    public struct Exporter: Equatable, Sendable {
        /// `moby`, `image`, `local`, `tar`, `oci`, `docker`, `cacheonly`.
        public var type = ""
        public var attributes: [String: String] = [:]
    }

    public var ref = ""
    public var session = ""
    /// Empty where the client's own code asks for what it wants, through the gateway.
    public var frontend = ""
    public var frontendAttributes: [String: String] = [:]
    public var exporters: [Exporter] = []
    public var entitlements: [String] = []
    public var hasDefinition = false

    public init(_ bytes: [UInt8]) throws(ProtobufError) {
        var older = Exporter()
        for field in try protobufFields(bytes[...]) {
            switch field.number {
            case 1: ref = field.text
            case 2: hasDefinition = !field.bytes.isEmpty
            case 3: older.type = field.text
            case 4: try Self.take(field, into: &older.attributes)
            case 5: session = field.text
            case 6: frontend = field.text
            case 7: try Self.take(field, into: &frontendAttributes)
            case 9: entitlements.append(field.text)
            case 13: exporters.append(try Self.exporter(field))
            default: break
            }
        }
        // Clients say it both ways, for older daemons.
        if exporters.isEmpty, !older.type.isEmpty { exporters = [older] }
    }

    private static func exporter(_ field: ProtobufField) throws(ProtobufError) -> Exporter {
        var exporter = Exporter()
        for field in try field.fields() {
            if field.number == 1 { exporter.type = field.text }
            if field.number == 2 { try take(field, into: &exporter.attributes) }
        }
        return exporter
    }

    static func take(_ field: ProtobufField, into map: inout [String: String]) throws(ProtobufError) {
        let (key, value) = try field.entry()
        map[key] = String(decoding: value, as: UTF8.self)
    }
}

/// `SolveResponse`.
public func solveResponse(_ exporterResponse: [String: String]) -> [UInt8] {
    ProtobufWriter.bytes { $0.map(1, exporterResponse) }
}

/// `StatusRequest`: whose progress.
public func statusRequestRef(_ bytes: [UInt8]) throws(ProtobufError) -> String {
    try protobufFields(bytes[...]).first { $0.number == 1 }?.text ?? ""
}

/// `StatusResponse`: news of a build.
public struct StatusResponse: Equatable, Sendable {
    public struct Vertex: Equatable, Sendable {
        public var digest: String
        public var name: String
        public var isCached = false
        public var startedAt: Int64?
        public var completedAt: Int64?
        public var error = ""

        public init(digest: String, name: String) { (self.digest, self.name) = (digest, name) }
    }

    public struct Log: Equatable, Sendable {
        public var vertex: String
        public var at: Int64
        /// 1 or 2.
        public var stream: Int64
        public var bytes: [UInt8]

        public init(vertex: String, at: Int64, stream: Int64, bytes: [UInt8]) {
            (self.vertex, self.at, self.stream, self.bytes) = (vertex, at, stream, bytes)
        }
    }

    public struct Warning: Equatable, Sendable {
        public var vertex: String
        public var short: String
        public var url: String

        public init(vertex: String, short: String, url: String = "") {
            (self.vertex, self.short, self.url) = (vertex, short, url)
        }
    }

    public var vertices: [Vertex] = []
    public var logs: [Log] = []
    public var warnings: [Warning] = []

    public init() {}

    public var bytes: [UInt8] {
        ProtobufWriter.bytes { writer in
            for vertex in vertices {
                writer.message(1) { message in
                    message.text(1, vertex.digest)
                    message.text(3, vertex.name)
                    message.flag(4, vertex.isCached)
                    message.time(5, vertex.startedAt)
                    message.time(6, vertex.completedAt)
                    message.text(7, vertex.error)
                }
            }
            for log in logs {
                writer.message(3) { message in
                    message.text(1, log.vertex)
                    message.time(2, log.at)
                    message.number(3, log.stream)
                    message.data(4, log.bytes)
                }
            }
            for warning in warnings {
                writer.message(4) { message in
                    message.text(1, warning.vertex)
                    message.number(2, 1)
                    message.text(3, warning.short)
                    message.text(5, warning.url)
                }
            }
        }
    }
}

extension ProtobufWriter {
    /// `google.protobuf.Timestamp`.
    mutating func time(_ field: Int, _ nanoseconds: Int64?) {
        guard let nanoseconds else { return }
        message(field) { message in
            message.number(1, nanoseconds / 1_000_000_000)
            message.number(2, nanoseconds % 1_000_000_000)
        }
    }
}

/// What builds: `WorkerRecord` and `BuildkitVersion` (api/types/worker.proto).
public struct BuildWorker: Equatable, Sendable {
    public var id: String
    /// OCI's name: `amd64`.
    public var architecture: String
    public var version: String

    public init(id: String, architecture: String, version: String) {
        (self.id, self.architecture, self.version) = (id, architecture, version)
    }

    /// `ListWorkersResponse`.
    public var listResponse: [UInt8] { ProtobufWriter.bytes { $0.message(1, write) } }

    /// `InfoResponse`.
    public var infoResponse: [UInt8] { ProtobufWriter.bytes { $0.message(1, writeVersion) } }

    func write(_ message: inout ProtobufWriter) {
        message.text(1, id)
        message.map(2, ["org.mobyproject.buildkit.worker.executor": "gantry"])
        message.message(3) { platform in
            platform.text(1, architecture)
            platform.text(2, "linux")
        }
        message.message(5, writeVersion)
    }

    private func writeVersion(_ message: inout ProtobufWriter) {
        message.text(1, "gantry")
        message.text(2, version)
    }
}
