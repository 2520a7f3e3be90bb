import EngineAPI
import EngineWire
import Testing

@Suite struct HTTPRouterTests {
    private static func router() -> Router {
        var router = Router()
        router.on("GET", "/containers/{id}/json") { _, parameters in .text("inspect \(parameters["id"])") }
        router.on("GET", "/containers/{id}") { _, parameters in .text("one \(parameters["id"])") }
        router.on("GET", "/containers/json") { _, _ in .text("list") }
        router.on("DELETE", "/containers/{id}") { _, parameters in .text("delete \(parameters["id"])") }
        router.on("GET", "/images/{name...}") { _, parameters in .text("image \(parameters["name"])") }
        router.on("GET", "/_ping") { _, _ in .text("OK") }
        router.on("POST", "/fails/{how}") { _, parameters in
            switch parameters["how"] {
            case "conflict": throw HTTPError(409, "name is in use")
            default: throw SomeError.broken
            }
        }
        router.on("POST", "/json") { request, _ in try .json(try await request.decode(ExecCreateRequest.self)) }
        router.on("POST", "/small", bodyByteCountMax: 4) { request, _ in
            .text(String(decoding: try await request.body.collect(byteCountMax: 100), as: UTF8.self))
        }
        return router
    }

    private enum SomeError: Error { case broken }

    private func reply(
        _ method: String, _ target: String, body: String = ""
    ) async throws -> (status: Int, text: String, headers: HTTPHeaders) {
        let request = try HTTPRequest(method: method, target: target, body: BodyReader(Array(body.utf8)))
        guard case .full(let status, let headers, let bytes) = await Self.router().reply(to: request) else {
            throw HTTPError(599, "not a full reply")
        }
        return (status, String(decoding: bytes, as: UTF8.self), headers)
    }

    @Test(arguments: [
        ("/_ping", "OK"), ("/v1.43/_ping", "OK"), ("http://docker/v1.24/_ping", "OK"),
        ("/containers/json", "list"), ("/containers/abc", "one abc"), ("/containers/abc/json", "inspect abc"),
        ("/containers/a%2Fb%20c", "one a/b c"), ("/images/library/alpine:3", "image library/alpine:3"),
        ("/images/x", "image x"),
    ])
    func findsTheMostSpecificRoute(target: String, text: String) async throws {
        #expect(try await reply("GET", target).text == text)
    }

    @Test func headUsesTheGetRoute() async throws {
        #expect(try await reply("HEAD", "/_ping").status == 200)
    }

    @Test(arguments: ["/", "/nothing", "/containers", "/containers/", "/containers//json", "/images", "/v1.43"])
    func answers404(target: String) async throws {
        let reply = try await reply("GET", target)
        #expect(reply.status == 404)
        #expect(reply.text.contains("\"message\":\"page not found\""))
        #expect(reply.headers["content-type"] == "application/json")
    }

    @Test func answers405WithTheMethodsThereAre() async throws {
        let reply = try await reply("PUT", "/containers/abc")
        #expect(reply.status == 405)
        #expect(reply.headers["Allow"] == "DELETE, GET")
    }

    @Test func rendersFailures() async throws {
        let conflict = try await reply("POST", "/fails/conflict")
        #expect(conflict.status == 409)
        #expect(conflict.text.contains("\"message\":\"name is in use\""))
        let other = try await reply("POST", "/fails/otherwise")
        #expect(other.status == 500)
        #expect(other.text.contains("\"message\":\"broken\""))
    }

    @Test(arguments: [
        ("{\"Cmd\":[\"a\"],\"Unknown\":1,\"Tty\":null}", 200, "\"Cmd\":[\"a\"]"),
        ("", 400, "it is empty"), ("{}", 400, "Cmd is missing"), ("{\"Cmd\":[1]}", 400, "Cmd[0] is not of type String"),
        ("{\"Cmd\":null}", 400, "Cmd must not be null"), ("{", 400, "malformed JSON"),
        ("\u{0}", 400, "malformed JSON"),
    ])
    func decodesJSON(body: String, status: Int, text: String) async throws {
        let reply = try await reply("POST", "/json", body: body)
        #expect(reply.status == status)
        #expect(reply.text.contains(text), "\(reply.text)")
    }

    @Test func deeplyNestedJSONIsRefused() async throws {
        let body = String(repeating: "[", count: 100_000)
        #expect(try await reply("POST", "/json", body: body).status == 400)
    }

    @Test func refusesADeclaredBodyAboveTheRoutesLimit() async throws {
        #expect(try await reply("POST", "/small", body: "four").text == "four")
        #expect(try await reply("POST", "/small", body: "fives").status == 413)
    }

    @Test(arguments: ["/%", "/%2", "/%zz", "/%ff", "/a%00b", "/x?a=%g0", "nopath", ""])
    func refusesMalformedTargets(target: String) {
        #expect(throws: HTTPError.self) { try HTTPRequest(method: "GET", target: target) }
    }

    @Test func decodesTheQuery() throws {
        let request = try HTTPRequest(
            method: "GET", target: "/v1.43/x?filters=%7B%22a%22%3A1%7D&t=a+b&t=%2B&follow&stdout=1&tty=False&n=7&m=x")
        #expect(request.version == APIVersion(1, 43))
        #expect(request.path == ["x"])
        #expect(request.queryValue("filters") == "{\"a\":1}")
        #expect(request.query["t"] == ["a b", "+"])
        #expect(!request.queryFlag("follow"))
        #expect(request.queryFlag("stdout"))
        #expect(!request.queryFlag("tty", default: true))
        #expect(request.queryFlag("absent", default: true))
        #expect(try request.queryInteger("n") == 7)
        #expect(try request.queryInteger("absent") == nil)
        #expect(throws: HTTPError.self) { try request.queryInteger("m") }
    }

    @Test func limitsTheTarget() {
        #expect(throws: HTTPError.self) {
            try HTTPRequest(method: "GET", target: String(repeating: "/a", count: HTTPLimits.pathSegmentCountMax + 1))
        }
        #expect(throws: HTTPError.self) {
            try HTTPRequest(
                method: "GET", target: "/?" + String(repeating: "a&", count: HTTPLimits.queryPairCountMax + 1))
        }
    }
}

@Suite struct RoutePatternTests {
    private static func router() -> Router {
        var router = Router()
        router.on("DELETE", "/images/{name...}") { _, parameters in .text("delete \(parameters["name"])") }
        router.on("GET", "/images/json") { _, _ in .text("list") }
        for verb in ["json", "get"] {
            router.on("GET", "/images/{name...}/\(verb)") { _, parameters in .text("\(verb) \(parameters["name"])") }
        }
        return router
    }

    @Test(arguments: [
        ("GET", "/images/json", "list"), ("GET", "/images/a/json", "json a"),
        ("GET", "/images/a/json/get", "get a/json"),
        ("GET", "/images/r:5000/a/b:1/json", "json r:5000/a/b:1"), ("DELETE", "/images/a/json", "delete a/json"),
        ("GET", "/images/json/json", "json json"), ("DELETE", "/images/json", "delete json"),
    ])
    func literalsBehindNames(method: String, target: String, text: String) async throws {
        let reply = await Self.router().reply(to: try HTTPRequest(method: method, target: target))
        guard case .full(_, _, let bytes) = reply else { throw HTTPError(599, "not a full reply") }
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }

    @Test func tableIsWhatIsServed() {
        let table = Self.router().table.map { "\($0.method) \($0.pattern)" }
        #expect(
            table == ["GET /images/json", "DELETE /images/{name}", "GET /images/{name}/get", "GET /images/{name}/json"])
    }
}
