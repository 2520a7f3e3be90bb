import Engine
import EngineWire
import Synchronization

/// `POST /build/batch`: Gantry's own way to build.
struct BuildRoutes {
    /// Dockerfiles and secrets travel in the request.
    private static let bodyBytesMax = 64 << 20

    let engine: Engine

    func add(to router: inout Router) {
        router.on("POST", "/build/batch", bodyByteCountMax: Int64(Self.bodyBytesMax)) { request, _ in
            let batch = try await request.decode(BuildBatch.self, byteCountMax: Self.bodyBytesMax)
            return answer(engine.startBuild(batch))
        }
        router.on("POST", "/build/archive", bodyByteCountMax: .max) { request, _ in
            guard let count = try request.queryInteger("request"), (1...Self.bodyBytesMax).contains(count) else {
                throw HTTPError(400, "request= must say how many bytes of the body are the request")
            }
            let body = request.body
            var head: [UInt8] = []
            while head.count < count {
                guard let piece = try await body.next() else { throw HTTPError(400, "the request is cut off") }
                head += piece
            }
            let batch = try decodeRequest(BuildBatch.self, Array(head.prefix(count)))
            let rest = Mutex<[UInt8]?>(Array(head.dropFirst(count)))
            let lines = try await engine.startSentBuild(batch) {
                let first = rest.withLock { $0.take() }
                if let first, !first.isEmpty { return first }
                return try await body.next()
            }
            return answer(lines)
        }
    }

    private func answer(_ lines: BuildLines) -> HTTPReply {
        .stream(status: 200, headers: ["Content-Type": "application/x-ndjson"]) { writer in
            for await line in lines { try await writer.writeLine(line) }
        }
    }
}
