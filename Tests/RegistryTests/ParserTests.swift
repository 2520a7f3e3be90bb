import Images
import Testing

@testable import Registry

struct ParserTests {
    @Test(arguments: [
        (
            "Bearer realm=\"https://auth.docker.io/token\",service=\"docker\",scope=\"repository:a/b:pull\"",
            [
                Challenge(
                    scheme: "bearer",
                    parameters: [
                        "realm": "https://auth.docker.io/token", "service": "docker",
                        "scope": "repository:a/b:pull",
                    ])
            ]
        ),
        ("Basic", [Challenge(scheme: "basic")]),
        (
            "Negotiate, Basic realm=x",
            [Challenge(scheme: "negotiate"), Challenge(scheme: "basic", parameters: ["realm": "x"])]
        ),
        (
            "NTLM abc==, BASIC Realm = \"a, \\\"b\\\"\" ,,",
            [Challenge(scheme: "ntlm"), Challenge(scheme: "basic", parameters: ["realm": "a, \"b\""])]
        ),
        ("", []),
    ])
    func challengesAreRead(text: String, expected: [Challenge]) {
        #expect(Challenge.parse([text]) == expected)
    }

    @Test(arguments: [
        "Bearer realm=\"https://x", "Bearer a=b, realm=", "Bearer realm=\"a\" b", "=x",
        "Bearer realm=\"a\",realm=\"b\"",
        "Bearer realm=\"a\u{1}\"", "Basic\u{0}", "\"quoted\"", String(repeating: "a", count: 9000),
    ])
    func malformedChallengesAreRefused(text: String) {
        #expect(Challenge.parse([text]) == nil)
    }

    @Test func severalFieldsAreSeveralChallenges() {
        #expect(Challenge.parse(["Basic realm=a", "Bearer realm=b"])?.map(\.scheme) == ["basic", "bearer"])
    }

    @Test func scopesCover() throws {
        let push = ScopeSet(parsing: "repository:a/b:pull,push registry:catalog:*")
        #expect(push.covers(ScopeSet([.repository("a/b", ["pull"])])))
        #expect(push.covers(ScopeSet([.catalog])))
        #expect(!push.covers(ScopeSet([.repository("a/b", ["delete"])])))
        #expect(!push.covers(ScopeSet([.repository("a/c", ["pull"])])))
        #expect(push.scopes.map(\.description) == ["registry:catalog:*", "repository:a/b:pull,push"])
        #expect(TokenScope("repository:host:5000/a:pull")?.resource == "repository:host:5000/a")
        #expect(TokenScope("pull") == nil)
    }

    @Test(arguments: [
        ("https://Reg.Example:443/v2", "https://reg.example/v2"), ("HTTP://[::1]:5000", "http://[::1]:5000"),
        ("https://a/b?c=d&e", "https://a/b?c=d&e"), ("http://a:80/", "http://a/"),
    ])
    func addressesAreRead(text: String, expected: String) {
        #expect(RegistryURL(text)?.description == expected)
    }

    @Test(arguments: [
        "ftp://a", "https://", "https://user@host/", "https://good.test\\@evil.test/", "https://a b/", "https://a:0/",
        "https://a:65536/", "https://a:/", "https://[x]/", "https://a/\u{7f}", "//a", "/a", "https://a/#b",
        "https://ä.test/", "https://a:+1/",
    ])
    func otherAddressesAreRefused(text: String) {
        #expect(RegistryURL(text) == nil)
    }

    @Test(arguments: [
        ("/v2/x", "https://r.test:5000/v2/x"), ("x?y=1", "https://r.test:5000/v2/a/x?y=1"),
        ("../x", "https://r.test:5000/v2/x"),
        ("../../../../x/.", "https://r.test:5000/x/"), ("//other.test/z", "https://other.test/z"),
        ("http://o.test/z#f", "http://o.test/z"), ("?q", "https://r.test:5000/v2/a/b?q"),
    ])
    func locationsAreResolved(reference: String, expected: String) throws {
        let base = try #require(RegistryURL("https://r.test:5000/v2/a/b?old=1"))
        #expect(base.resolving(reference)?.description == expected)
    }

    @Test(arguments: ["javascript:alert(1)", "file:///etc/passwd", "", "a\r\nb", "https://u:p@h/"])
    func otherLocationsAreRefused(reference: String) throws {
        let base = try #require(RegistryURL("https://r.test/v2/a"))
        #expect(base.resolving(reference) == nil)
    }

    @Test func ranges() {
        #expect(ContentRange("bytes 5-9/10")?.first == 5)
        #expect(ContentRange("bytes 5-9/*")?.total == nil)
        for bad in [
            "bytes 5-9", "bytes 9-5/10", "bytes 5-10/10", "bytes -5-9/10", "bytes +5-9/10", "5-9/10", "bytes */10", "",
        ] {
            #expect(ContentRange(bad) == nil, "\(bad)")
        }
        #expect(ContentRange.parseUpload("0-99")?.last == 99)
        #expect(ContentRange.parseUpload("bytes=0-99")?.last == 99)
        #expect(ContentRange.parseUpload("99999999999999999999-1") == nil)
    }

    @Test func links() {
        #expect(LinkHeader.next(["</v2/_catalog?n=1&last=a>; rel=\"next\""]) == "/v2/_catalog?n=1&last=a")
        #expect(LinkHeader.next(["<a>; rel=prev, <b>; title=\"x\"; rel=next"]) == "b")
        #expect(LinkHeader.next(["<a>; rel=\"prev\""]) == nil)
        #expect(LinkHeader.next(["<a; rel=next", "rel=next", ""]) == nil)
    }

    @Test func serversTextIsHarmless() {
        #expect(harmless("a\u{1b}[31mb\nc\u{202e}") == "a\\u{1b}[31mb c\\u{202e}")
        #expect(harmless(String(repeating: "x", count: 1000)).count == 301)
        let body = #"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown\u001b[2J"}]}"#
        #expect(ErrorDocument.details(Array(body.utf8)).first?.message == "manifest unknown\\u{1b}[2J")
        #expect(ErrorDocument.details(Array("<html>".utf8)).isEmpty)
    }

    @Test(arguments: [
        #"{"schemaVersion":1}"#, #"{"schemaVersion":2}"#, #"{"schemaVersion":2,"layers":[]}"#,
        #"{"schemaVersion":2,"manifests":[],"#
            + #""config":{"mediaType":"a","size":1,"digest":"sha256:\#(zeros)"},"layers":[]}"#,
        #"{"schemaVersion":2,"config":{"mediaType":"a","size":-1,"digest":"sha256:\#(zeros)"},"layers":[]}"#,
        #"{"schemaVersion":2,"config":{"mediaType":"a","size":1,"digest":"sha256:../../etc"},"layers":[]}"#,
        #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
        "[]", "", "null",
    ])
    func badManifestsAreRefused(text: String) {
        #expect(throws: RegistryError.self) {
            try ManifestDocument.parse(Array(text.utf8), contentType: nil, host: "r.test")
        }
    }

    @Test func aManifestIsWhatItIsSentAs() throws {
        let index = Array(#"{"schemaVersion":2,"manifests":[]}"#.utf8)
        #expect(try ManifestDocument.parse(index, contentType: MediaTypes.index, host: "r").isIndex)
        #expect(throws: RegistryError.self) {
            try ManifestDocument.parse(index, contentType: MediaTypes.image, host: "r")
        }
    }

    @Test func platforms() throws {
        func entry(_ platform: String?, _ digit: Character) throws -> ContentDescriptor {
            let digest = try #require(Digest(hex: String(repeating: digit, count: 64)))
            var entry = ContentDescriptor(mediaType: MediaTypes.image, digest: digest, size: 1)
            entry.platform = try platform.map { try ImagePlatform(parsing: $0) }
            return entry
        }
        let all = [
            try entry("linux/arm/v6", "1"), try entry("linux/amd64/v3", "2"), try entry("linux/amd64", "3"),
            try entry("unknown/unknown", "4"), try entry("linux/arm/v7", "5"), try entry("linux/amd64/v2", "6"),
        ]
        func chosen(_ platform: String) throws -> Character? {
            try ImagePlatform.choose(ImagePlatform(parsing: platform), among: all).digest.hex.first
        }
        #expect(try chosen("linux/amd64/v4") == "2")
        #expect(try chosen("linux/amd64/v2") == "6")
        #expect(try chosen("linux/x86_64") == "3")
        #expect(try chosen("linux/arm/v7") == "5")
        #expect(try chosen("linux/arm/v6") == "1")
        #expect(throws: RegistryError.self) { try chosen("linux/arm/v5") }
        #expect(throws: RegistryError.self) { try chosen("unknown/unknown") }
        #expect(throws: RegistryError.self) { try ImagePlatform(parsing: "linux") }
        #expect(throws: RegistryError.self) { try ImagePlatform(parsing: "linux/\u{1b}") }
        #expect(try ImagePlatform.choose(.host, among: [entry(nil, "7")]).digest.hex.first == "7")
        #expect(ImagePlatform.variant(ofFlags: "flags : fpu") == "v1")
    }
}

private let zeros = String(repeating: "0", count: 64)
