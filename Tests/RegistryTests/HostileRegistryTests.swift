import Images
import Testing

@testable import Registry

/// A registry that wants our credentials, our requests to others, our patience or our memory.
struct HostileRegistryTests {
    private let image: ImageReference
    private let password = ["reg.test": RegistryCredential.password(username: "a", password: "b")]

    init() throws { image = try ImageReference(parsing: "reg.test/a/b:1") }

    private func descriptor(_ text: String, type: String = MediaTypes.image, _ more: String = "") -> String {
        let bytes = Array(text.utf8)
        return #"{"mediaType":"\#(type)","size":\#(bytes.count),"digest":"\#(Digest.sha256(of: bytes))"\#(more)}"#
    }

    /// Nobody but `hosts` was asked anything, and nobody but the registry with credentials.
    private func check(_ transport: FakeTransport, onlyAsked hosts: Set<String>) {
        for request in transport.asked {
            #expect(hosts.contains(request.url.host), "\(request.url)")
            #expect(request.url.host == "reg.test" || request.headers["authorization"] == nil, "\(request.url)")
        }
    }

    // MARK: - Requests to others

    /// Addresses in a manifest are never asked (CVE-2020-15157): one kind of layer is refused, the rest are the
    /// registry's.
    @Test(arguments: [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ])
    func addressesOfLayersAreNotAsked(type: String) throws {
        let urls = #","urls":["http://169.254.169.254/latest","https://evil.test/x","file:///etc/passwd"]"#
        let layer = descriptor("layer", type: type, urls)
        let config = descriptor("{}", type: "application/vnd.oci.image.config.v1+json")
        let manifest = #"{"schemaVersion":2,"config":\#(config),"layers":[\#(layer)]}"#
        let transport = FakeTransport { request, _ throws(RegistryError) in
            guard request.headers["authorization"] != nil else {
                return answer(401, [("www-authenticate", "Basic realm=x")])
            }
            if request.url.path.contains("/manifests/") { return answer(200, [], manifest) }
            return answer(404)
        }
        let client = RegistryClient.fake(transport, credentials: password)
        let plan = try? client.plan(image, platform: .host)  // The one kind is refused already here.
        #expect((plan == nil) == type.contains("foreign"))
        if let plan {
            #expect(throws: RegistryError.self) { try client.blob(plan.layers[0], RepositoryName(image)) }
        }
        check(transport, onlyAsked: ["reg.test"])
    }

    /// Uploads may be sent elsewhere, as blob stores do it: without what the registry knows us by.
    @Test func uploadsElsewhereHaveNoCredentials() throws {
        let bytes: [UInt8] = [1, 2, 3]
        let blob = ContentDescriptor(mediaType: "a/b", digest: .sha256(of: bytes), size: 3)
        for location in ["https://evil.test/upload", "//evil.test/upload", "https://reg.test.evil.test/x"] {
            let transport = FakeTransport { request, _ throws(RegistryError) in
                guard request.url.host == "reg.test" else { return answer(201) }
                guard request.headers["authorization"] != nil else {
                    return answer(401, [("www-authenticate", "Basic realm=x")])
                }
                return request.method == "POST" ? answer(202, [("location", location)]) : answer(404)
            }
            let client = RegistryClient.fake(transport, credentials: password)
            _ = try? client.pushBlob(blob, RepositoryName(image), supply: BytesSupply(bytes: bytes))  // Or refused.
            check(transport, onlyAsked: ["reg.test", "evil.test", "reg.test.evil.test"])
        }
        let downgrade = FakeTransport { request, _ throws(RegistryError) in
            request.method == "POST" ? answer(202, [("location", "http://reg.test/upload")]) : answer(404)
        }
        #expect(throws: RegistryError.self) {
            try RegistryClient.fake(downgrade).pushBlob(
                blob, RepositoryName(image), supply: BytesSupply(bytes: bytes))
        }
        #expect(downgrade.asked.allSatisfy { $0.url.scheme == .https })
    }

    /// The server that gives tokens is asked with a password, and cannot hand it on.
    @Test(arguments: [302, 307, 308]) func tokenServersCannotRedirect(status: Int) throws {
        let transport = FakeTransport { request, _ throws(RegistryError) in
            switch request.url.host {
            case "auth.test": return answer(status, [("location", "https://evil.test/token")])
            case "evil.test": return answer(200, [], #"{"token":"T"}"#)
            default: return answer(401, [("www-authenticate", "Bearer realm=\"https://auth.test/token\"")])
            }
        }
        #expect(throws: RegistryError.self) {
            try RegistryClient.fake(transport, credentials: password).manifest(image)
        }
        #expect(!transport.asked.contains { $0.url.host == "evil.test" && $0.headers["authorization"] != nil })
    }

    /// A redirect's target that asks for credentials gets none, and names no token server either.
    @Test func whoWasRedirectedToLearnsNothing() throws {
        let transport = FakeTransport { request, _ throws(RegistryError) in
            switch request.url.host {
            case "reg.test":
                return request.headers["authorization"] == nil
                    ? answer(401, [("www-authenticate", "Basic realm=x")])
                    : answer(307, [("location", "https://evil.test/blob")])
            default:
                return answer(401, [("www-authenticate", "Basic realm=x, Bearer realm=\"https://evil.test/token\"")])
            }
        }
        #expect(throws: RegistryError.self) {
            try RegistryClient.fake(transport, credentials: password).manifest(image)
        }
        check(transport, onlyAsked: ["reg.test", "evil.test"])
        #expect(!transport.asked.contains { $0.url.path == "/token" })
    }

    // MARK: - Patience

    @Test func indexesInIndexesEnd() throws {
        let config = descriptor("{}", type: "application/vnd.oci.image.config.v1+json")
        var documents = [#"{"schemaVersion":2,"config":\#(config),"layers":[]}"#]
        for _ in 0..<20 {
            let inner = descriptor(documents[documents.count - 1], type: MediaTypes.index)
            documents.append(#"{"schemaVersion":2,"manifests":[\#(inner)]}"#)
        }
        let byDigest = Dictionary(
            uniqueKeysWithValues: documents.map { (Digest.sha256(of: Array($0.utf8)).description, $0) })
        let top = documents[documents.count - 1]
        let transport = FakeTransport { request, _ throws(RegistryError) in
            let last = request.url.path.split(separator: "/").last.map(String.init) ?? ""
            return answer(200, [], byDigest[last] ?? top)
        }
        #expect(throws: RegistryError.self) { try RegistryClient.fake(transport).plan(image, platform: .host) }
        #expect(transport.asked.count <= 4)
    }

    @Test func pagesEnd() throws {
        let endless = FakeTransport { _, index throws(RegistryError) in
            answer(200, [("link", "</v2/a/b/tags/list?last=\(index)>; rel=\"next\"")], #"{"tags":["a"]}"#)
        }
        #expect(throws: RegistryError.self) { try RegistryClient.fake(endless).tags(RepositoryName(image)) }
        #expect(endless.asked.count <= 1000)
        let many = #"{"tags":["# + Array(repeating: #""a""#, count: 50_000).joined(separator: ",") + "]}"
        let full = FakeTransport { _, index throws(RegistryError) in
            answer(200, [("link", "</v2/a/b/tags/list?last=\(index)>; rel=\"next\"")], many)
        }
        #expect(throws: RegistryError.self) { try RegistryClient.fake(full).tags(RepositoryName(image)) }
        #expect(full.asked.count <= 10)
    }

    /// A registry that says after each piece that it has one byte.
    @Test(arguments: ["0-0", "0-1", "bytes=0-0"]) func uploadsThatDoNotGoOnEnd(range: String) throws {
        let bytes = [UInt8](repeating: 7, count: 100)
        let blob = ContentDescriptor(mediaType: "a/b", digest: .sha256(of: bytes), size: 100)
        let transport = FakeTransport { request, index throws(RegistryError) in
            switch request.method {
            case "HEAD": return answer(404)
            case "POST": return answer(202, [("location", "/v2/a/b/blobs/uploads/1")])
            case "PATCH" where index > 2000: throw .content("it was asked without end")
            default: return answer(202, [("location", "/v2/a/b/blobs/uploads/1"), ("range", range)])
            }
        }
        let error = #expect(throws: RegistryError.self) {
            try RegistryClient.fake(transport).pushBlob(
                blob, RepositoryName(image), chunkByteCount: 10, supply: BytesSupply(bytes: bytes))
        }
        #expect(error != .content("it was asked without end"))
        #expect(transport.asked.count < 100)
    }

    // MARK: - Documents

    @Test func deepDocumentsAreRefused() {
        for (open, close) in [("[", "]"), (#"{"a":"#, "}"), (#"{"annotations":"#, "}")] {
            let depth = 100_000
            let deep = String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
            for text in [deep, String(repeating: open, count: depth), #"{"schemaVersion":2,"manifests":\#(deep)}"#] {
                #expect(throws: RegistryError.self) {
                    try ManifestDocument.parse(Array(text.utf8), contentType: nil, host: "h")
                }
                _ = ErrorDocument.details(Array(text.utf8))
                #expect(throws: RegistryError.self) { try CredentialFile(path: "f", parsing: Array(text.utf8)) }
            }
        }
    }

    /// Of two equal keys both of our readers take the same one: what was chosen is what is stored.
    @Test func duplicateKeysAreReadOneWay() throws {
        let config = descriptor("{}", type: "application/vnd.oci.image.config.v1+json")
        let (one, two) = (descriptor("1"), descriptor("2"))
        let text = #"{"schemaVersion":2,"config":\#(config),"layers":[\#(one)],"layers":[\#(two)]}"#
        let again = #"{"schemaVersion":2,"config":\#(config),"layers":[\#(one)],"layers":[\#(two)],"manifests":[]}"#
        var seen: Set<String> = []
        for _ in 0..<20 {
            do {
                let read = try ManifestDocument.parse(Array(text.utf8), contentType: nil, host: "h")
                seen.insert(read.layers?.map(\.digest.hex).joined() ?? "")
            } catch {
                seen.insert("refused")
            }
        }
        #expect(seen.count == 1)
        #expect(throws: RegistryError.self) {
            try ManifestDocument.parse(Array(again.utf8), contentType: nil, host: "h")
        }
    }

    @Test func sizesThatAreNone() {
        for size in ["-1", "9223372036854775808", "1e400", "1.5", "\"1\"", "null", "true", "-9223372036854775809"] {
            let layer = #"{"mediaType":"a","size":\#(size),"digest":"\#(Digest.sha256(of: []))"}"#
            let config = descriptor("{}", type: "application/vnd.oci.image.config.v1+json")
            let text = #"{"schemaVersion":2,"config":\#(config),"layers":[\#(layer)]}"#
            #expect(throws: RegistryError.self, "\(size)") {
                try ManifestDocument.parse(Array(text.utf8), contentType: nil, host: "h")
            }
        }
    }

    /// Names, tags and digests that climb never become a request.
    @Test(arguments: [
        "reg.test/../../v2/_catalog:1", "reg.test/a/..:1", "reg.test/a/b:..", "reg.test/a/b:../x", "reg.test/a%2fb:1",
        "reg.test/a/b@sha256:../../../x", "reg.test/a/b?x=y:1", "reg.test/a/b#x", "reg.test@evil.test/a:1",
        "reg.test\\@evil.test/a", "reg.test/a b", "reg.test/a\r\nHost: evil.test", "user:password@reg.test/a",
    ])
    func namesThatClimb(text: String) {
        #expect(throws: ImageError.self) { try ImageReference(parsing: text) }
    }
}
