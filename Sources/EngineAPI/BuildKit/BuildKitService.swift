import BuildKitProtocol
import Engine

/// The services `moby.buildkit.v1.Control` and `moby.buildkit.v1.frontend.LLBBridge`.
struct BuildKitService: Sendable {
    private static let control = "/moby.buildkit.v1.Control/"
    private static let gateway = "/moby.buildkit.v1.frontend.LLBBridge/"
    /// Names the job that a client's own code belongs to.
    private static let jobHeader = "buildkit-controlapi-buildid"

    let engine: Engine
    let sessions = Arrivals<BuildSession>()
    private let jobs = BuildJobs()
    private let worker: BuildWorker

    init(engine: Engine, version: String) {
        self.engine = engine
        worker = BuildWorker(id: "gantry", architecture: Self.architecture, version: version)
    }

    private static var architecture: String {
        #if arch(arm64)
            "arm64"
        #else
            "amd64"
        #endif
    }

    func server() -> GRPCServer {
        var server = GRPCServer()
        server.onUnary(Self.control + "Info") { _, _ in worker.infoResponse }
        server.onUnary(Self.control + "ListWorkers") { _, _ in worker.listResponse }
        server.onUnary(Self.control + "Solve") { message, _ in try await solve(try SolveRequest(message)) }
        server.on(Self.control + "Status") { call in
            guard let message = try await call.next() else { return }
            let job = try await jobs.job(try statusRequestRef(message))
            var index = 0
            while let news = await job.news(index) {
                try await call.send(news.bytes)
                index += 1
            }
        }
        server.onUnary(Self.gateway + "Ping") { _, head in
            _ = try await job(head)
            return gatewayPong(worker)
        }
        server.onUnary(Self.gateway + "Solve") { message, head in
            let request = try GatewaySolveRequest(message)
            guard !request.hasDefinition else { throw Self.noDefinitions }
            let job = try await job(head)
            let image = try await build(request.frontend, request.options, job)
            return gatewaySolveResponse(ref: job.add(image: image), metadata: [:])
        }
        server.onUnary(Self.gateway + "Return") { message, head in
            try await job(head).end(try GatewayReturn(message))
            return []
        }
        return server
    }

    private static let noDefinitions = GRPCStatus(
        .unimplemented, "builds from LLB are not served: this engine builds Dockerfiles")

    private func job(_ head: GRPCCall.Head) async throws -> BuildJob {
        guard let ref = head[Self.jobHeader] else { throw GRPCStatus(.invalidArgument, "no \(Self.jobHeader)") }
        return try await jobs.job(ref)
    }

    private func solve(_ request: SolveRequest) async throws -> [UInt8] {
        let job = try jobs.begin(request)
        do {
            guard !request.hasDefinition else { throw Self.noDefinitions }
            // Before anything is built.
            _ = try FrontendOptions.tags(request.exporters)
            let image =
                request.frontend.isEmpty
                ? try await job.returned() : try await build(request.frontend, request.frontendAttributes, job)
            jobs.end(job)
            guard let image else { return solveResponse([:]) }
            var response = ["containerimage.digest": image, "containerimage.config.digest": image]
            response["image.name"] = request.exporters.first?.attributes["name"]
            return solveResponse(response)
        } catch {
            jobs.end(job)
            throw error
        }
    }

    private func build(_ frontend: String, _ options: [String: String], _ job: BuildJob) async throws -> String {
        // `# syntax=` and BUILDKIT_SYNTAX name versions of the same language.
        let isDockerfile = options["source"]?.hasPrefix("docker/dockerfile") ?? false
        guard frontend == "dockerfile.v0" || (frontend == "gateway.v0" && isDockerfile) else {
            throw GRPCStatus(.unimplemented, "frontend \(frontend) is not served: this engine builds Dockerfiles")
        }
        guard let session = await sessions.find(job.request.session) else {
            throw GRPCStatus(.unavailable, "no active session for \(job.request.session)")
        }
        return try await SessionBuild(engine: engine, session: session, job: job).run(options)
    }
}
