import CLinux
import Engine
import EngineWire

/// `/_ping`, `/version`, `/events`.
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
        ImageRoutes(engine: engine).add(to: &router)
        PruneRoutes(engine: engine).add(to: &router)
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
