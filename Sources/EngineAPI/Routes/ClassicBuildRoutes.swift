import DockerTranslation
import Engine
import EngineWire
import Images
import JSONDocument
import Registry
import StackModel

/// `POST /build`: the classic builder's protocol, over our own builder.
struct ClassicBuildRoutes {
    let engine: Engine

    func add(to router: inout Router) {
        router.on("POST", "/build", bodyByteCountMax: .max) { request, _ in
            guard request.queryValue("version") != "2" else {
                throw HTTPError(400, "this engine builds without BuildKit's protocol: set DOCKER_BUILDKIT=0")
            }
            let build = try classicRequest(request)
            let (body, ignored) = (request.body, try ignoredParameters(request))
            let lines = try await engine.startClassicBuild(build) { try await body.next() }
            let first = await lines.first { _ in true }
            if let status = first?.failureStatus { throw HTTPError(status, first?.error ?? "") }
            return .stream(status: 200, headers: ["Content-Type": "application/json"]) { writer in
                for name in ignored where !build.isQuiet {
                    let warning = ClassicBuildMessage(stream: "[Warning] \(name) is not supported, and has no effect\n")
                    try await writer.writeLine(warning, isProgress: true)
                }
                if let first { try await writer.writeLine(first, isProgress: true) }
                for await line in lines { try await writer.writeLine(line, isProgress: true) }
            }
        }
    }

    private func ignoredParameters(_ request: HTTPRequest) throws -> [String] {
        var names = ["", "0"].contains(request.queryValue("cpusetmems") ?? "") ? [] : ["cpusetmems"]
        if request.queryFlag("squash") { names.append("squash") }
        return names
    }

    private func classicRequest(_ request: HTTPRequest) throws -> ClassicBuildRequest {
        var build = BuildRequest(context: .none)
        build.arguments = (try request.queryJSON([String: String?].self, "buildargs") ?? [:]).compactMapValues { $0 }
        build.labels = (try request.queryJSON([String: String?].self, "labels") ?? [:]).mapValues { $0 ?? "" }
        build.target = text("target", request)
        build.noCache = request.queryFlag("nocache")
        build.pull = request.queryFlag("pull")
        build.network = text("networkmode", request)
        if let platform = text("platform", request) { build.platforms = [platform] }
        build.shmSize = try request.queryInteger("shmsize").flatMap { $0 > 0 ? Int64($0) : nil }
        if let name = text("dockerfile", request) {
            // Inside of the context, whatever it says.
            let parts = name.split(separator: "/").filter { $0 != "." }
            guard !parts.contains("..") else {
                throw HTTPError(400, "Forbidden path outside the build context: \(name)")
            }
            build.dockerfile = parts.joined(separator: "/")
        }
        for name in (request.query["t"] ?? []).flatMap({ $0.split(separator: ",") }) {
            build.tags.append(try reference(String(name), tag: nil).familiar)
        }
        build.ulimits = try ulimits(request)
        build.extraHosts = try extraHosts(request)
        var classic = ClassicBuildRequest(build)
        classic.resources = try resources(request)
        classic.remote = text("remote", request)
        classic.cacheSources = try request.queryJSON([String].self, "cachefrom") ?? []
        classic.isQuiet = request.queryFlag("q")
        classic.removesContainers = request.queryFlag("rm", default: true) || request.queryFlag("forcerm")
        do throws(RegistryError) {
            classic.credentials = try RegistryCredential.parse(
                registryConfigHeader: request.headers["X-Registry-Config"] ?? "")
        } catch {
            throw HTTPError(400, error.description)
        }
        return classic
    }

    /// What a step may take.
    private func resources(_ request: HTTPRequest) throws(HTTPError) -> Resources {
        var members: [String: JSONValue] = [:]
        for name in ["Memory", "MemSwap", "CpuShares", "CpuPeriod", "CpuQuota", "CpusetCpus"] {
            members[name == "MemSwap" ? "MemorySwap" : name] = text(name.lowercased(), request).map { .string($0) }
        }
        do throws(TranslationError) {
            return try Resources(docker: Fields(members))
        } catch {
            throw HTTPError(400, error.description)
        }
    }

    private func text(_ name: String, _ request: HTTPRequest) -> String? {
        request.queryValue(name).flatMap { $0.isEmpty ? nil : $0 }
    }

    private struct UlimitParameter: Decodable {
        var Name: String
        var Soft: Int64
        var Hard: Int64
    }

    private func ulimits(_ request: HTTPRequest) throws -> [String: Ulimit] {
        let all = try request.queryJSON([UlimitParameter].self, "ulimits") ?? []
        return Dictionary(all.map { ($0.Name, Ulimit(soft: $0.Soft, hard: $0.Hard)) }) { $1 }
    }

    /// `NAME:ADDRESS`, repeated, or all in one, separated by commas.
    private func extraHosts(_ request: HTTPRequest) throws -> [ExtraHost] {
        try (request.query["extrahosts"] ?? []).flatMap { $0.split(separator: ",") }.map { entry in
            let parts = entry.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw HTTPError(400, "bad format for add-host: \"\(entry)\"") }
            return ExtraHost(name: parts[0], address: parts[1])
        }
    }
}
