/// What Docker's engine has and this one has not: each is refused in the words that clients know, so that they go on.
struct AbsentRoutes {
    private static let swarmMessage =
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to "
        + "swarm and try again."
    private static let swarmObjects = ["nodes", "services", "tasks", "secrets", "configs"]

    func add(to router: inout Router) {
        addSwarm(to: &router)
        addPlugins(to: &router)
        router.on("GET", "/images/search") { _, _ in
            throw HTTPError(
                501, "searching is not supported: it needs Docker Hub's own search service; look at hub.docker.com")
        }
        router.on("POST", "/build/cancel") { _, _ in .empty(status: 204) }
    }

    private func addSwarm(to router: inout Router) {
        let refusal: Router.Handler = { _, _ in throw HTTPError(503, Self.swarmMessage) }
        for method in ["GET", "POST", "DELETE"] {
            for name in Self.swarmObjects {
                router.on(method, "/\(name)", handler: refusal)
                router.on(method, "/\(name)/{path...}", handler: refusal)
            }
        }
        router.on("GET", "/swarm", handler: refusal)
        router.on("GET", "/swarm/unlockkey", handler: refusal)
        for action in ["init", "join", "leave", "update", "unlock"] {
            router.on("POST", "/swarm/\(action)", bodyByteCountMax: 1 << 20) { _, _ in
                if action == "init" || action == "join" {
                    throw HTTPError(501, "swarm mode is not supported: this engine serves one host")
                }
                throw HTTPError(503, action == "leave" ? "This node is not part of a swarm" : Self.swarmMessage)
            }
        }
    }

    private func addPlugins(to router: inout Router) {
        router.on("GET", "/plugins") { _, _ in try .json([String]()) }
        router.on("GET", "/plugins/privileges") { _, _ in throw HTTPError(501, "plugins are not supported") }
        router.on("GET", "/plugins/{name...}") { request, parameters in
            var name = parameters["name"]
            if name.hasSuffix("/json") { name.removeLast("/json".count) }
            throw HTTPError(404, "plugin \"\(name)\" not found")
        }
        router.on("DELETE", "/plugins/{name...}") { _, parameters in
            throw HTTPError(404, "plugin \"\(parameters["name"])\" not found")
        }
        router.on("POST", "/plugins/{name...}") { _, _ in throw HTTPError(501, "plugins are not supported") }
    }
}
