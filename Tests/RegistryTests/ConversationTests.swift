import Images
import Testing

@testable import Registry

/// What is asked in which order, against answers from memory.
struct ConversationTests {
    private let image: ImageReference
    private let empty = #"{"schemaVersion":2,"manifests":[]}"#

    init() throws { image = try ImageReference(parsing: "reg.test/a/b:1") }

    private static let bearer = (
        "www-authenticate", "Bearer realm=\"https://auth.test/token\",service=\"reg\",scope=\"repository:a/b:pull\""
    )

    @Test func aTokenIsAskedOnceAndKept() throws {
        let empty = empty
        let transport = FakeTransport { request, _ throws(RegistryError) in
            if request.url.host == "auth.test" { return answer(200, [], #"{"token":"T1","expires_in":300}"#) }
            guard request.headers["authorization"] == "Bearer T1" else { return answer(401, [Self.bearer]) }
            return answer(200, [], empty)
        }
        let clock = FakeClock()
        let client = RegistryClient.fake(
            transport, clock, credentials: ["reg.test": .password(username: "me", password: "pw")])
        _ = try client.manifest(image)
        _ = try client.manifest(image)
        #expect(transport.asked.map(\.url.host) == ["reg.test", "auth.test", "reg.test", "reg.test"])
        #expect(transport.asked[0].url.description == "https://reg.test/v2/a/b/manifests/1")
        #expect(transport.asked[0].headers["authorization"] == nil)
        let token = transport.asked[1]
        #expect(token.url.query == "service=reg&scope=repository%3Aa%2Fb%3Apull&account=me")
        #expect(token.headers["authorization"] == "Basic bWU6cHc=")
        clock.advance(milliseconds: 296_000)
        _ = try client.manifest(image)
        #expect(transport.asked.filter { $0.url.host == "auth.test" }.count == 2)
    }

    @Test func anIdentityTokenIsPosted() throws {
        let empty = empty
        let transport = FakeTransport { request, _ throws(RegistryError) in
            if request.url.host == "auth.test" { return answer(200, [], #"{"access_token":"T"}"#) }
            return request.headers["authorization"] == nil ? answer(401, [Self.bearer]) : answer(200, [], empty)
        }
        _ = try RegistryClient.fake(transport, credentials: ["reg.test": .identityToken("r/t")]).manifest(image)
        let post = transport.asked[1]
        #expect(post.method == "POST" && post.headers["authorization"] == nil)
        let form = (post.body as? MemorySupply).map { String(decoding: $0.bytes, as: UTF8.self) } ?? ""
        #expect(form.contains("grant_type=refresh_token") && form.contains("refresh_token=r%2Ft"))
    }

    @Test func aWiderTokenIsAskedOnce() throws {
        let wider = (
            "www-authenticate",
            "Bearer realm=\"https://auth.test/t\",scope=\"repository:a/b:pull repository:c/d:pull\","
                + "error=\"insufficient_scope\""
        )
        let transport = FakeTransport { request, _ throws(RegistryError) in
            if request.url.host == "auth.test" { return answer(200, [], #"{"token":"T"}"#) }
            return request.headers["authorization"] == nil ? answer(401, [Self.bearer]) : answer(403, [wider])
        }
        #expect(throws: RegistryError.denied(host: "reg.test", message: "")) {
            try RegistryClient.fake(transport).manifest(image)
        }
        let tokens = transport.asked.filter { $0.url.host == "auth.test" }
        #expect(tokens.count == 2 && tokens[1].url.query?.contains("c%2Fd") == true)
    }

    @Test func withoutCredentialsTheUserIsToldToLogIn() throws {
        let transport = FakeTransport { _, _ throws(RegistryError) in
            answer(401, [("www-authenticate", "Basic realm=x")])
        }
        let error = #expect(throws: RegistryError.self) { try RegistryClient.fake(transport).manifest(image) }
        #expect(error?.description == "unauthorized: log in with gantry login reg.test")
        #expect(transport.asked.count == 1)
    }

    @Test(arguments: ["http://auth.test/token", "ftp://x", "", "/relative", "https://u:p@auth.test/"])
    func passwordsDoNotGoJustAnywhere(realm: String) throws {
        let transport = FakeTransport { _, _ throws(RegistryError) in
            answer(401, [("www-authenticate", "Bearer realm=\"\(realm)\"")])
        }
        let client = RegistryClient.fake(transport, credentials: ["reg.test": .password(username: "a", password: "b")])
        #expect(throws: RegistryError.self) { try client.manifest(image) }
        #expect(transport.asked.count == 1)
    }

    @Test func aTokenCannotSplitAHeader() throws {
        let transport = FakeTransport { request, _ throws(RegistryError) in
            request.url.host == "auth.test" ? answer(200, [], #"{"token":"a\r\nx: y"}"#) : answer(401, [Self.bearer])
        }
        #expect(throws: RegistryError.self) { try RegistryClient.fake(transport).manifest(image) }
        #expect(transport.asked.count == 2)
    }

    @Test func redirectsLeaveTheCredentialsBehind() throws {
        let empty = empty
        let transport = FakeTransport { request, _ throws(RegistryError) in
            if request.url.host == "store.test" { return answer(200, [], empty) }
            guard request.headers["authorization"] != nil else {
                return answer(401, [("www-authenticate", "Basic realm=x")])
            }
            return answer(307, [("location", "https://store.test/x?signature=1")])
        }
        let client = RegistryClient.fake(transport, credentials: ["reg.test": .password(username: "a", password: "b")])
        _ = try client.manifest(image)
        let last = try #require(transport.asked.last)
        #expect(last.url.host == "store.test" && last.headers["authorization"] == nil)
    }

    @Test(arguments: ["http://reg.test/x", "https://reg.test/v2/a/b/manifests/1", "gopher://x", "\u{1}"])
    func badRedirectsEnd(location: String) throws {
        let transport = FakeTransport { _, _ throws(RegistryError) in answer(302, [("location", location)]) }
        #expect(throws: RegistryError.self) { try RegistryClient.fake(transport).manifest(image) }
        #expect(transport.asked.count <= 6)
    }

    @Test func whatPassesIsTriedAgain() throws {
        let empty = empty
        let transport = FakeTransport { _, index throws(RegistryError) in
            switch index {
            case 0: return answer(503)
            case 1: throw .unreachable(host: "reg.test", why: "reset", isPermanent: false)
            case 2: return answer(429, [("retry-after", "7")])
            default: return answer(200, [], empty)
            }
        }
        let clock = FakeClock()
        _ = try RegistryClient.fake(transport, clock).manifest(image)
        #expect(clock.slept == [375, 750, 7000])
    }

    @Test func patienceEnds() throws {
        let clock = FakeClock()
        let down = FakeTransport { _, _ throws(RegistryError) in answer(500, [], "<html>") }
        #expect(throws: RegistryError.status(host: "reg.test", code: 500, details: [])) {
            try RegistryClient.fake(down, clock).manifest(image)
        }
        #expect(down.asked.count == 5)
        let busy = FakeTransport { _, _ throws(RegistryError) in answer(429, [("retry-after", "3600")]) }
        #expect(throws: RegistryError.tooManyRequests(host: "reg.test", message: "", retryAfterSeconds: 3600)) {
            try RegistryClient.fake(busy, clock).manifest(image)
        }
        #expect(busy.asked.count == 1)
    }

    @Test func aMirrorComesFirstAndMayFail() throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "reg.test/hosts.toml", "[host.\"https://mirror.test\"]\n[host.\"https://mirror.test\".header]\nx = \"1\"\n")
        let empty = empty
        let transport = FakeTransport { request, _ throws(RegistryError) in
            request.url.host == "mirror.test" ? answer(404) : answer(200, [], empty)
        }
        let client = RegistryClient.fake(transport, hosts: RegistryHosts(folders: [folder.path]))
        _ = try client.manifest(image)
        #expect(
            transport.asked.map(\.url.description) == [
                "https://mirror.test/v2/a/b/manifests/1?ns=reg.test", "https://reg.test/v2/a/b/manifests/1",
            ])
        #expect(transport.asked.map { $0.headers["x"] } == ["1", nil])
    }

    @Test func whatTheDigestSaysIsWhatCounts() throws {
        let other = Digest.sha256(of: [1])
        let lying = FakeTransport { _, _ throws(RegistryError) in
            answer(200, [("docker-content-digest", other.description)], #"{"schemaVersion":2,"manifests":[]}"#)
        }
        #expect(throws: RegistryError.self) { try RegistryClient.fake(lying).manifest(image) }
        let pinned = try ImageReference(parsing: "reg.test/a/b@\(other)")
        let honest = FakeTransport { _, _ throws(RegistryError) in
            answer(200, [], #"{"schemaVersion":2,"manifests":[]}"#)
        }
        #expect(throws: RegistryError.self) { try RegistryClient.fake(honest).manifest(pinned) }
    }

    @Test func pagesStayWithTheRegistry() throws {
        let away = FakeTransport { _, _ throws(RegistryError) in
            answer(200, [("link", "<https://evil.test/next>; rel=\"next\"")], #"{"tags":["a"]}"#)
        }
        #expect(throws: RegistryError.self) { try RegistryClient.fake(away).tags(RepositoryName(image)) }
        let pages = FakeTransport { _, index throws(RegistryError) in
            index == 0
                ? answer(
                    200, [("link", "</v2/a/b/tags/list?last=b>; rel=\"next\"")], #"{"tags":["a","b\u0000","../c"]}"#)
                : answer(200, [], #"{"tags":["d"]}"#)
        }
        #expect(try RegistryClient.fake(pages).tags(RepositoryName(image)) == ["a", "d"])
    }

    @Test func cancellingEndsTheRetries() throws {
        let transport = FakeTransport { _, _ throws(RegistryError) in answer(503) }
        let client = RegistryClient.fake(transport)
        client.stop.cancel()
        #expect(throws: RegistryError.cancelled) { try client.manifest(image) }
        #expect(transport.asked.count == 1)
    }
}
