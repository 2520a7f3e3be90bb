import Engine
import EngineWire

/// `POST /build/batch`: Gantry's own way to build.
struct BuildRoutes {
    /// Dockerfiles and secrets travel in the request.
    private static let bodyBytesMax = 64 << 20

    let engine: Engine

    func add(to router: inout Router) {
        router.on("POST", "/build/batch", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, _ in
            let batch = try await request.decode(BuildBatch.self, byteCountMax: Self.bodyBytesMax)
            let lines = engine.startBuild(batch)
            return .stream(status: 200, headers: ["Content-Type": "application/x-ndjson"]) { writer in
                for await line in lines { try await writer.writeLine(line) }
            }
        }
    }
}
