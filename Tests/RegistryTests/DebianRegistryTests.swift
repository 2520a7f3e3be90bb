import Glibc
import Images
import LinuxSystem
import Testing

@testable import Registry

/// Debian's docker-registry, plain and with everything it can ask for.
@Suite(.enabled(if: Tool.have(Tool.registry, Tool.openssl), "docker-registry is not installed"))
struct DebianRegistryTests {
    /// A small image: configuration, two layers, manifest, index.
    private struct SampleImage {
        let config = Array(
            #"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#.utf8)
        let layers: [[UInt8]]
        let manifest: [UInt8]
        let index: [UInt8]

        init(seed: UInt8) {
            // More than fits into one request.
            let page = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 * Int(seed) + $0 / 3) }
            layers = [Array(repeatElement(page, count: 45).joined()), [seed, 2, 3]]
            func entry(_ type: String, _ bytes: [UInt8], _ more: String = "") -> String {
                #"{"mediaType":"\#(type)","digest":"\#(Digest.sha256(of: bytes))","size":\#(bytes.count)\#(more)}"#
            }
            let list = layers.map { entry("application/vnd.oci.image.layer.v1.tar", $0) }.joined(separator: ",")
            let config = entry("application/vnd.oci.image.config.v1+json", config)
            manifest = Array(
                #"{"schemaVersion":2,"mediaType":"\#(MediaTypes.image)","config":\#(config),"layers":[\#(list)]}"#.utf8)
            let platform = #","platform":{"os":"linux","architecture":"\#(ImagePlatform.host.architecture)"}"#
            let only = entry(MediaTypes.image, manifest, platform)
            index = Array(#"{"schemaVersion":2,"mediaType":"\#(MediaTypes.index)","manifests":[\#(only)]}"#.utf8)
        }

        func descriptor(_ bytes: [UInt8]) -> ContentDescriptor {
            ContentDescriptor(mediaType: "a/b", digest: .sha256(of: bytes), size: Int64(bytes.count))
        }

        func push(_ client: RegistryClient, _ reference: ImageReference, chunkByteCount: Int64? = nil) throws {
            let name = RepositoryName(reference)
            for bytes in layers + [config] {
                _ = try client.pushBlob(
                    descriptor(bytes), name, chunkByteCount: chunkByteCount, supply: BytesSupply(bytes: bytes))
            }
            _ = try client.pushManifest(manifest, mediaType: MediaTypes.image, name, tag: nil)
            _ = try client.pushManifest(index, mediaType: MediaTypes.index, name, tag: reference.tag)
        }

        /// Loads everything and compares.
        func check(_ client: RegistryClient, _ reference: ImageReference) throws {
            let plan = try client.plan(reference, platform: .host)
            #expect(plan.image.bytes == manifest && plan.layers.count == 2)
            #expect(try client.blob(plan.config, RepositoryName(reference)) == config)
            for (descriptor, expected) in zip(plan.layers, layers) {
                #expect(try client.blob(descriptor, RepositoryName(reference)) == expected)
            }
        }
    }

    private func reference(_ registry: DebianRegistry, _ rest: String) throws -> ImageReference {
        try ImageReference(parsing: "\(registry.host)/\(rest)")
    }

    @Test func everythingOnAPlainRegistry() throws {
        let registry = try DebianRegistry()
        let client = RegistryClient.real()
        let image = SampleImage(seed: 5)
        let first = try reference(registry, "team/app:1")
        try image.push(client, first)
        try image.check(client, first)
        let resolved = try client.resolve(first)
        #expect(resolved.digest == .sha256(of: image.index) && resolved.mediaType == MediaTypes.index)
        let name = RepositoryName(first)
        // From one repository to another without sending.
        let other = RepositoryName(try reference(registry, "other/app:1"))
        let layer = image.descriptor(image.layers[0])
        let supply = BytesSupply(bytes: image.layers[0])
        #expect(try client.pushBlob(layer, other, mountingFrom: "team/app", supply: supply) == .mounted)
        #expect(try client.pushBlob(layer, other, supply: supply) == .wasThere)
        // In pieces.
        let pieces = try reference(registry, "pieces:1")
        try SampleImage(seed: 9).push(client, pieces, chunkByteCount: 1 << 20)
        try SampleImage(seed: 9).check(client, pieces)
        // Lists, several pages long.
        for tag in ["2", "3", "4"] {
            _ = try client.pushManifest(image.index, mediaType: MediaTypes.index, name, tag: tag)
        }
        #expect(try client.tags(name, pageSize: 2).sorted() == ["1", "2", "3", "4"])
        #expect(try client.catalog(registry.host, pageSize: 1).sorted() == ["other/app", "pieces", "team/app"])
        #expect(try client.referrers(of: resolved.digest, name).isEmpty)
        // This registry has no list of referrers: the tag stands in.
        _ = try client.pushManifest(
            image.index, mediaType: MediaTypes.index, name, tag: "sha256-\(resolved.digest.hex)")
        #expect(try client.referrers(of: resolved.digest, name).count == 1)
        #expect(try client.referrers(of: resolved.digest, name, artifactType: "x/y").isEmpty)
        try client.deleteManifest(resolved.digest, name)
        #expect(throws: RegistryError.notFound(what: "manifest unknown", message: first.familiar)) {
            try client.manifest(first)
        }
    }

    @Test func passwordsByHtpasswd() throws {
        let registry = try DebianRegistry { folder, _ in
            // `tester`, `secret`
            let hash = "$2y$05$Ibow5IVEk4jrwvc2ZPvO6eM5rrkjLNf0Lvti9dPCdo9rf8Iqn5tiK"
            let path = try folder.write("htpasswd", "tester:\(hash)\n")
            return ("auth:\n  htpasswd: {realm: test, path: \(path)}", "")
        }
        let image = try reference(registry, "app:1")
        let host = registry.host
        for credentials in [[:], [host: RegistryCredential.password(username: "tester", password: "wrong")]] {
            let client = RegistryClient.real(credentials: credentials)
            #expect(throws: RegistryError.unauthorized(host: host, message: "authentication required")) {
                try client.verifyLogin(registry: host)
            }
            #expect(throws: RegistryError.self) { try client.manifest(image) }
        }
        let client = RegistryClient.real(credentials: [host: .password(username: "tester", password: "secret")])
        try client.verifyLogin(registry: host)
        try SampleImage(seed: 3).push(client, image)
        try SampleImage(seed: 3).check(client, image)
    }

    /// A CA, and a certificate of it for `localhost`; paths without `.key` and `.crt`.
    private static func certificates(_ folder: TemporaryFolder) throws -> (authority: String, server: String) {
        let (authority, server) = ("\(folder.path)/ca", "\(folder.path)/server")
        let new = [Tool.openssl, "req", "-newkey", "rsa:2048", "-nodes", "-batch"]
        try Tool.run(
            new + [
                "-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", "\(authority).key", "-out",
                "\(authority).crt",
            ])
        try Tool.run(new + ["-subj", "/CN=localhost", "-keyout", "\(server).key", "-out", "\(server).csr"])
        try folder.write("names", "subjectAltName=DNS:localhost")
        try Tool.run([
            Tool.openssl, "x509", "-req", "-in", "\(server).csr", "-CA", "\(authority).crt", "-CAkey",
            "\(authority).key",
            "-CAcreateserial", "-days", "2", "-extfile", "\(folder.path)/names", "-out", "\(server).crt",
        ])
        return (authority, server)
    }

    @Test func certificatesOfAnOwnAuthority() throws {
        let folder = try TemporaryFolder()
        let (authority, server) = try Self.certificates(folder)
        let registry = try DebianRegistry { _, _ in
            ("", "  tls: {certificate: \(server).crt, key: \(server).key, clientcas: [\(authority).crt]}")
        }
        let host = registry.host
        let error = #expect(throws: RegistryError.self) { try RegistryClient.real().verifyLogin(registry: host) }
        guard case .certificate = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        let pem = String(decoding: try FileSystem.readFile("\(authority).crt"), as: UTF8.self)
        // This registry wants a certificate of its clients, too: without one it hangs up.
        try folder.write("only-ca/\(host)/ca.crt", pem)
        let onlyAuthority = RegistryHosts(folders: ["\(folder.path)/only-ca"])
        #expect(throws: RegistryError.self) {
            try RegistryClient.real(hosts: onlyAuthority, attempts: 1).verifyLogin(registry: host)
        }
        let certificate = String(decoding: try FileSystem.readFile("\(server).crt"), as: UTF8.self)
        let key = String(decoding: try FileSystem.readFile("\(server).key"), as: UTF8.self)
        for (file, text) in [("ca.crt", pem), ("client.cert", certificate), ("client.key", key)] {
            try folder.write("docker/\(host)/\(file)", text)
        }
        let docker = RegistryClient.real(hosts: RegistryHosts(folders: ["\(folder.path)/docker"]))
        let image = try reference(registry, "app:1")
        try SampleImage(seed: 7).push(docker, image)
        try folder.write(
            "containerd/\(host)/hosts.toml",
            "server = \"https://\(host)\"\nca = \"\(authority).crt\"\n"
                + "client = [[\"\(server).crt\", \"\(server).key\"]]\n")
        try SampleImage(seed: 7).check(.real(hosts: RegistryHosts(folders: ["\(folder.path)/containerd"])), image)
        try folder.write(
            "unverified/\(host)/hosts.toml",
            "skip_verify = true\nclient = [[\"\(server).crt\", \"\(server).key\"]]\n")
        try SampleImage(seed: 7).check(.real(hosts: RegistryHosts(folders: ["\(folder.path)/unverified"])), image)
    }

    @Test(.enabled(if: Tool.have(Tool.python), "python3 is not installed"))
    func tokensOfATokenServer() throws {
        let folder = try TemporaryFolder()
        let (_, server) = try Self.certificates(folder)
        let log = try folder.write("log", "")
        let port = try TestServer.freePort()
        let tokens = try TestServer(
            [Tool.python, Tool.server("token_server.py"), "\(port)", "\(server).key", "\(server).crt", log], port: port)
        let registry = try DebianRegistry { _, _ in
            let settings = "realm: http://127.0.0.1:\(tokens.port)/token, service: test, issuer: gantry-test"
            return ("auth:\n  token: {\(settings), rootcertbundle: \(server).crt}", "")
        }
        let host = registry.host
        func client(_ credential: RegistryCredential?) -> RegistryClient {
            .real(credentials: credential.map { [host: $0] } ?? [:])
        }
        func asked() throws -> [Substring] {
            try String(decoding: FileSystem.readFile(log), as: UTF8.self).split(separator: "\n")
        }
        let alice = client(.password(username: "alice", password: "wonderland"))
        let secret = try reference(registry, "team/app:1")
        let open = try reference(registry, "public/app:1")
        let image = SampleImage(seed: 11)
        try alice.verifyLogin(registry: host)
        try image.push(alice, secret)
        try image.check(alice, secret)
        #expect(try asked() == ["alice ", "alice repository:team/app:pull,push"])
        try image.push(alice, open)
        // One more token for both repositories.
        let layer = image.descriptor(image.layers[0])
        let other = RepositoryName(try reference(registry, "team/other:1"))
        let supply = BytesSupply(bytes: image.layers[0])
        #expect(try alice.pushBlob(layer, other, mountingFrom: "team/app", supply: supply) == .mounted)
        #expect(try alice.catalog(host) == ["public/app", "team/app", "team/other"])

        let bob = client(.password(username: "bob", password: "builder"))
        try image.check(bob, secret)
        #expect(throws: RegistryError.denied(host: host, message: "authentication required")) {
            try image.push(bob, RepositoryNameSample.tagged(secret, "2"))
        }
        try image.check(client(nil), open)
        let refused = RegistryError.unauthorized(host: host, message: "authentication required")
        #expect(throws: refused) { try image.check(client(nil), secret) }
        let wrong = RegistryError.unauthorized(host: host, message: "incorrect username or password")
        #expect(throws: wrong) {
            try client(.password(username: "alice", password: "x")).verifyLogin(registry: host)
        }
        try image.check(client(.identityToken("alices-refresh-token")), secret)
        #expect(throws: RegistryError.self) { try image.check(client(.identityToken("stolen")), secret) }
    }

    @Test(.enabled(if: Tool.have(Tool.skopeo), "skopeo is not installed"))
    func skopeoAsCounterpart() throws {
        let registry = try DebianRegistry()
        let client = RegistryClient.real()
        let image = SampleImage(seed: 13)
        let ours = try reference(registry, "ours:1")
        try image.push(client, ours)
        let options = ["--src-tls-verify=false", "--dest-tls-verify=false"]
        // What we push it can read and copy, in both families of media types; what it pushes we can read.
        let copied = try Tool.run([Tool.skopeo, "inspect", "--tls-verify=false", "docker://\(registry.host)/ours:1"])
        #expect(copied.contains(Digest.sha256(of: image.layers[0]).description))
        for format in ["oci", "v2s2"] {
            try Tool.run(
                [
                    Tool.skopeo, "--insecure-policy", "copy", "--quiet", "--format", format, "--dest-compress-format",
                    "gzip",
                ]
                    + options + ["docker://\(registry.host)/ours:1", "docker://\(registry.host)/theirs:\(format)"])
            let theirs = try reference(registry, "theirs:\(format)")
            let plan = try client.plan(theirs, platform: .host)
            #expect(plan.layers.count == 2)
            #expect(try client.blob(plan.config, RepositoryName(theirs)).count == Int(plan.config.size))
            for layer in plan.layers { _ = try client.blob(layer, RepositoryName(theirs)) }
        }
        try Tool.run(
            [
                Tool.skopeo, "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false",
                "docker://\(registry.host)/ours:1", "dir:\(registry.folder.path)/copy",
            ])
        let blob = Digest.sha256(of: image.layers[0]).hex
        #expect(try FileSystem.readFile("\(registry.folder.path)/copy/\(blob)") == image.layers[0])
    }
}

private enum RepositoryNameSample {
    static func tagged(_ reference: ImageReference, _ tag: String) throws -> ImageReference {
        try ImageReference(parsing: "\(reference.familiarName):\(tag)")
    }
}
