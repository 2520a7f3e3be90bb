import CLinux
import Engine
import EngineWire

/// `/_ping`, `/version`, `/info`.
struct SystemRoutes {
    /// The Docker Engine API whose shapes are followed.
    static let apiVersion = APIVersion(1, 44)
    static let apiVersionMin = APIVersion(1, 24)

    let engine: Engine
    let version: String
    let shutDown: @Sendable () -> Void

    /// Of every answer: clients take the version that they may speak, and the kind of the engine's system, from them.
    static func commonHeaders(_ version: String) -> HTTPHeaders {
        [
            "Api-Version": apiVersion.description, "Docker-Experimental": "false", "Ostype": "linux",
            "Server": "Gantry/\(version) (linux)",
        ]
    }

    func add(to router: inout Router) {
        let headers: HTTPHeaders = [
            "Builder-Version": "1", "Swarm": "inactive", "Cache-Control": "no-cache, no-store, must-revalidate",
            "Pragma": "no-cache",
        ]
        router.on("GET", "/_ping") { _, _ in .text("OK", headers: headers) }
        router.on("HEAD", "/_ping") { _, _ in .text("", headers: headers) }
        router.on("GET", "/version") { _, _ in try .json(versionReply()) }
        router.on("GET", "/info") { _, _ in try .json(try await engine.info(version: version)) }
        router.on("POST", "/engine/stop") { _, _ in
            shutDown()
            return .empty(status: 204)
        }
        ImageRoutes(engine: engine).add(to: &router)
        PruneRoutes(engine: engine).add(to: &router)
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
        let (newest, oldest) = (Self.apiVersion.description, Self.apiVersionMin.description)
        var reply = VersionReply(
            Version: version, ApiVersion: newest, MinAPIVersion: oldest, Os: "linux", Arch: architecture,
            KernelVersion: release, Rootless: engine.options.rootless == nil ? nil : true)
        reply.Platform = VersionReply.Platform(Name: "Gantry")
        reply.Components = [
            VersionReply.Component(
                Name: "Engine", Version: version,
                Details: [
                    "ApiVersion": newest, "MinAPIVersion": oldest, "Os": "linux", "Arch": architecture,
                    "KernelVersion": release, "Experimental": "false", "GitCommit": "", "GoVersion": "",
                    "BuildTime": "",
                ])
        ]
        (reply.GitCommit, reply.GoVersion, reply.BuildTime) = ("", "", "")
        return reply
    }
}
