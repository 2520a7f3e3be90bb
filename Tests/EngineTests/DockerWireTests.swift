import EngineWire
import Registry
import StackModel
import Testing

@testable import Engine
@testable import EngineAPI

/// What every client of Docker's API relies on, whatever it asks for.
@Suite struct DockerWireTests {
    private static func router() -> Router {
        var router = Router(versions: VersionPolicy(oldest: APIVersion(1, 24), newest: APIVersion(1, 44)))
        router.on("GET", "/_ping") { request, _ in .text(request.isBelow(minor: 42) ? "old" : "new") }
        return router
    }

    private func reply(_ method: String, _ target: String) async throws -> (status: Int, text: String) {
        let request = try HTTPRequest(method: method, target: target)
        guard case .full(let status, _, let bytes) = await Self.router().reply(to: request) else {
            throw HTTPError(599, "not a full reply")
        }
        return (status, String(decoding: bytes, as: UTF8.self))
    }

    @Test(arguments: [("/_ping", "new"), ("/v1.44/_ping", "new"), ("/v1.42/_ping", "new"), ("/v1.24/_ping", "old")])
    func speaksItsVersions(target: String, text: String) async throws {
        let reply = try await reply("GET", target)
        #expect(reply == (200, text))
    }

    @Test func refusesOtherVersionsInDockersWords() async throws {
        let new = try await reply("GET", "/v9.99/_ping")
        #expect(new.status == 400)
        #expect(new.text.contains("\"client version 9.99 is too new. Maximum supported API version is 1.44\""))
        let old = try await reply("GET", "/v1.12/_ping")
        #expect(old.status == 400)
        #expect(
            old.text == "client version 1.12 is too old. Minimum supported API version is 1.24, "
                + "please upgrade your client to a newer version\n")
        #expect(try await reply("GET", "/v9.99/nothing").status == 404)
        #expect(try await reply("OPTIONS", "/anything").status == 200)
    }

    @Test(arguments: [
        ("", [:]), ("?filters=", [:]), ("?filters=%7B%7D", [:]),
        ("?filters=%7B%22label%22%3A%5B%22a%3Db%22%2C%22c%22%5D%7D", ["label": ["a=b", "c"]]),
        ("?filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D", ["label": ["a=b"]]),
        (
            "?filters=%7B%22dangling%22%3A%7B%22true%22%3Afalse%7D%2C%22name%22%3A%5B%22x%22%5D%7D",
            ["dangling": ["true"], "name": ["x"]]
        ),
    ])
    func readsBothShapesOfFilters(query: String, filters: [String: [String]]) throws {
        #expect(try HTTPRequest(method: "GET", target: "/x\(query)").filters() == filters)
    }

    @Test(arguments: ["[]", "null", "%7B", "7", "%7B%22label%22%3A%22x%22%7D", "%7B%22a%22%3A%5B1%5D%7D"])
    func neverTakesAMalformedFilterForNone(text: String) throws {
        let request = try HTTPRequest(method: "GET", target: "/x?filters=\(text)")
        let error = #expect(throws: HTTPError.self) { try request.filters() }
        #expect(error?.status == 400)
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
    ])
    func writesDates(seconds: Int64, text: String) { #expect(HTTPDate.text(secondsSince1970: seconds) == text) }

    @Test(arguments: [
        ("web", "shop-web-1", true), ("^web$", "web", true), ("^web$", "web2", false), ("a|b", "xb", true),
        ("", "x", true), ("(", "x", false), ("a+c", "aac", true), ("((a{999}){999}){999}", "a", false),
    ])
    func matchesNames(pattern: String, name: String, matches: Bool) {
        #expect(SearchExpression(pattern).matches(name) == matches)
    }

    @Test func readsCredentialsOfBuilds() throws {
        // {"https://index.docker.io/v1/":{"username":"a","password":"b"},"localhost:5000":{"identitytoken":"t"},"x":{}}
        let text =
            "eyJodHRwczovL2luZGV4LmRvY2tlci5pby92MS8iOnsidXNlcm5hbWUiOiJhIiwicGFzc3dvcmQiOiJiIn0sImxvY2FsaG9zdDo1MDAw"
            + "Ijp7ImlkZW50aXR5dG9rZW4iOiJ0In0sIngiOnt9fQ=="
        let expected: [String: RegistryCredential] = [
            "docker.io": .password(username: "a", password: "b"), "localhost:5000": .identityToken("t"),
        ]
        #expect(try RegistryCredential.parse(registryConfigHeader: text) == expected)
        #expect(try RegistryCredential.parse(registryConfigHeader: "e30=") == [:])
        #expect(try RegistryCredential.parse(registryConfigHeader: "") == [:])
        #expect(throws: RegistryError.self) { try RegistryCredential.parse(registryConfigHeader: "bm9wZQ") }
    }
}

@Suite struct EventHubTests {
    private func event(_ number: Int) -> EngineEvent {
        EngineEvent(
            type: "container", action: "start", id: "\(number)", attributes: ["name": "n"], time: Int64(number))
    }

    @Test func remembersTheLastEvents() {
        var hub = EventHub()
        #expect(hub.past.isEmpty)
        for number in 0..<3 { hub.send(event(number)) }
        #expect(hub.past.map(\.id) == ["0", "1", "2"])
        for number in 3..<(EventHub.eventsKeptMax * 2 + 5) { hub.send(event(number)) }
        let first = EventHub.eventsKeptMax + 5
        #expect(hub.past.map(\.time) == (first..<(first + EventHub.eventsKeptMax)).map(Int64.init))
    }

    @Test func forgetsListeners() async {
        var hub = EventHub()
        let (number, events) = hub.listen()
        hub.send(event(1))
        #expect(hub.listenerCount == 1)
        hub.stopListening(number)
        #expect(hub.listenerCount == 0)
        var heard: [String] = []
        for await event in events { heard.append(event.id) }
        #expect(heard == ["1"])
    }

    @Test(arguments: [
        (["type": ["container"]], true), (["type": ["image", "container"]], true), (["type": ["image"]], false),
        (["event": ["health_status"]], true), (["event": ["health_status: healthy"]], true),
        (["event": ["health"]], false), (["container": ["abc"]], true), (["container": ["web"]], true),
        (["container": ["x"]], false), (["image": ["busybox"]], true), (["image": ["busybox:1"]], true),
        (["image": ["busy"]], false), (["label": ["team=blue"]], true), (["label": ["team=blue", "other"]], false),
        (["scope": ["local"]], true), (["scope": ["swarm"]], false), (["volume": ["abc"]], false),
        (["type": ["container"], "event": ["start"]], false),
    ])
    func filters(values: [String: [String]], matches: Bool) throws {
        let event = EngineEvent(
            type: "container", action: "health_status: healthy", id: "abcdef",
            attributes: ["name": "web-1", "image": "busybox:1", "team": "blue"], time: 1)
        #expect(try EventFilters(values).matches(event) == matches)
    }

    @Test func refusesUnknownFilters() {
        let error = #expect(throws: EngineError.self) { try EventFilters(["colour": ["red"]]) }
        #expect(error?.status == 400)
        #expect(error?.diagnostics.first?.message.hasPrefix("invalid filter 'colour'") == true)
    }
}
