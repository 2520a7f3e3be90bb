import CLinux
import Engine
import EngineWire

/// `/_ping`, `/version`, `/images`, `/events`.
struct SystemRoutes {
    /// The Docker Engine API whose shapes are followed.
    static let apiVersion = "1.43"
    static let apiVersionMin = "1.24"

    let engine: Engine
    let version: String
    let shutDown: @Sendable () -> Void

    func add(to router: inout Router) {
        let headers: HTTPHeaders = [
            "Api-Version": Self.apiVersion, "Server": "Gantry/\(version)", "Cache-Control": "no-cache",
        ]
        router.on("GET", "/_ping") { _, _ in .text("OK", headers: headers) }
        router.on("HEAD", "/_ping") { _, _ in .text("", headers: headers) }
        router.on("GET", "/version") { _, _ in try .json(versionReply()) }
        router.on("POST", "/engine/stop") { _, _ in
            shutDown()
            return .empty(status: 204)
        }
        router.on("GET", "/images/json") { _, _ in try .json(try await engine.imageSummaries()) }
        router.on("GET", "/images/{name...}") { _, parameters in
            let suffix = "/json"
            guard parameters["name"].hasSuffix(suffix) else { throw HTTPError(404, "page not found") }
            return try .json(try await engine.imageInspect(String(parameters["name"].dropLast(suffix.count))))
        }
        router.on("POST", "/images/load", bodyByteCountMax: .max) { request, _ in
            let loading = try await engine.startLoading()
            return .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
                try await feed(request.body, to: loading, writer)
            }
        }
        ImageTransferRoutes(engine: engine).add(to: &router)
        router.on("GET", "/events") { _, _ in
            .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
                let (number, events) = await engine.listen()
                do {
                    for await event in events { try await writer.writeLine(DockerEvent(event)) }
                } catch {
                    await engine.stopListening(number)
                    throw error
                }
                await engine.stopListening(number)
            }
        }
    }

    private func versionReply() -> VersionReply {
        var names = utsname()
        uname(&names)
        let release = withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        #if arch(arm64)
            let architecture = "arm64"
        #else
            let architecture = "amd64"
        #endif
        return VersionReply(
            Version: version, ApiVersion: Self.apiVersion, MinAPIVersion: Self.apiVersionMin, Os: "linux",
            Arch: architecture, KernelVersion: release, Rootless: engine.options.rootless == nil ? nil : true)
    }
}

/// Sends the request's body into the image store and its answers to the client, both as they come.
private func feed(_ body: BodyReader, to loading: ImageLoading, _ writer: BodyWriter) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            do {
                for try await chunk in body {
                    guard await loading.write(chunk) else { break }
                }
            } catch {
                await loading.finishWriting()
                throw error
            }
            await loading.finishWriting()
        }
        for await message in loading.messages { try await writer.writeLine(message) }
        try await group.waitForAll()
    }
}

/// One line of `GET /events`.
private struct DockerEvent: Encodable {
    struct Subject: Encodable {
        var ID: String
        var Attributes: [String: String]
    }
    var `Type`: String
    var Action: String
    var Actor: Subject
    var scope = "local"
    var time: Int64
    var timeNano: Int64

    init(_ event: EngineEvent) {
        `Type` = event.type
        Action = event.action
        Actor = Subject(ID: event.id, Attributes: event.attributes)
        time = event.time / 1_000_000_000
        timeNano = event.time
    }
}
