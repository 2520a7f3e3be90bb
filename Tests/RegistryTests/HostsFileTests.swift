import Testing

@testable import Registry

struct HostsFileTests {
    private func endpoints(_ text: String, registry: String = "reg.test:5000") throws -> [RegistryEndpoint] {
        let folder = try TemporaryFolder()
        try folder.write("\(registry)/hosts.toml", text)
        try folder.write("\(registry)/own.pem", "PEM")
        return try RegistryHosts(folders: ["/nonexistent", folder.path]).endpoints(registry)
    }

    @Test func mirrorsInOrderThenTheRegistry() throws {
        let found = try endpoints(
            """
            # comment
            server = "https://reg.test:5000"
            [host."https://zeta.test/base"]
              capabilities = ["pull", "resolve"] # more
              ca = "own.pem"
              skip_verify = false
              [host."https://zeta.test/base".header]
                x-one = "1"
                x-two = ["2", '3']
            [host.'alpha.test/v2/']
              client = [["a.cert", "/b.key"]]
              override_path = true
            """)
        #expect(
            found.map(\.url.description) == [
                "https://zeta.test/base/v2", "https://alpha.test/v2", "https://reg.test:5000/v2",
            ])
        #expect(found.map(\.isOrigin) == [false, false, true])
        #expect(found[0].capabilities == [.pull, .resolve])
        #expect(found[0].headers == ["x-one": ["1"], "x-two": ["2", "3"]])
        #expect(found[0].tls.authorities == Array("PEM\n".utf8))
        #expect(found[1].tls.clientCertificate?.hasSuffix("/reg.test:5000/a.cert") == true)
        #expect(found[1].tls.clientKey == "/b.key")
        #expect(!found[2].tls.skipsVerification)
    }

    @Test func withoutTLSWhereTheFileSaysSo() throws {
        let found = try endpoints("server = \"http://10.0.0.1:5000\"\nskip_verify = true\n")
        #expect(found.map(\.url.description) == ["http://10.0.0.1:5000/v2"])
        #expect(found[0].isOrigin && found[0].credentialHost == "reg.test:5000" && !found[0].mayBePlain)
    }

    @Test(arguments: [
        ("server = 1", 1), ("\n\nserver = \"ftp://a\"", 3), ("[host]\nx = 1\n", 2), ("[[host]]", 1), ("a = \"", 1),
        ("skip_verify = \"yes\"", 1), ("skip_verfy = true", 1), ("capabilities = [\"pul\"]", 1),
        ("server = \"https://a\"\nserver = \"https://b\"", 2), ("x = 1.5", 1), ("x = 2020-01-01", 1),
        ("a.b.c.d.e.f.g.h.i = 1", 1), ("ca = [[[[[[[[[[1]]]]]]]]]]", 1), ("[header]\nx = \"a\\nb\"", 2),
        ("[a]\n[a]\n", 2), ("server = \"https://a\" junk", 1), ("ca = \"\"\"a\"\"\"", 1), ("=1", 1), ("ca = [1", 1),
    ])
    func mistakesAreToldWithTheirLine(text: String, line: Int) throws {
        let error = #expect(throws: RegistryError.self) { try endpoints(text) }
        guard case .configuration(let path, let found, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(path.hasSuffix("hosts.toml") && found == line)
    }

    @Test func theFirstFolderDecides() throws {
        let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
        try second.write("reg.test_5000_/hosts.toml", "server = \"https://second.test\"")
        try second.write("_default/hosts.toml", "[host.\"https://mirror.test\"]")
        let hosts = RegistryHosts(folders: [first.path, second.path])
        #expect(try hosts.endpoints("reg.test:5000").map(\.url.host) == ["second.test"])
        #expect(try hosts.endpoints("docker.io").map(\.url.host) == ["mirror.test", "registry-1.docker.io"])
        try first.write("reg.test:5000/ca.crt", "CA")
        try first.write("reg.test:5000/client.cert", "C")
        #expect(throws: RegistryError.self) { try hosts.endpoints("reg.test:5000") }
        try first.write("reg.test:5000/client.key", "K")
        let found = try hosts.endpoints("reg.test:5000")
        #expect(found.map(\.url.host) == ["reg.test"])
        #expect(found[0].tls.authorities == Array("CA\n".utf8))
        #expect(found[0].tls.clientKey == "\(first.path)/reg.test:5000/client.key")
    }

    @Test func plainOnlyForThisMachine() throws {
        let hosts = RegistryHosts(folders: [])
        for host in ["localhost:5000", "127.0.0.1", "[::1]:5000"] {
            #expect(try hosts.endpoints(host)[0].mayBePlain, "\(host)")
        }
        for host in ["reg.test", "127.0.0.1.evil.test", "128.0.0.1", "localhost.evil.test"] {
            #expect(try !hosts.endpoints(host)[0].mayBePlain, "\(host)")
        }
        for host in ["..", "a/b", "a@b", ""] {
            #expect(throws: RegistryError.self) { try hosts.endpoints(host) }
        }
    }
}
