import LinuxSystem
import TLSTransport
import Testing

@testable import EngineClient

/// `tcp://` hosts, and what is said about TLS beside them.
@Suite struct TCPHostTests {
    @Test(arguments: [
        ("box", "box", 2376, false), ("box.example:1234", "box.example", 1234, false),
        ("127.0.0.1:1", "127.0.0.1", 1, true),
        ("[::1]:2375", "::1", 2375, true), ("[2001:db8::1]", "2001:db8::1", 2376, false),
        ("localhost:80/", "localhost", 80, true), ("127.1.2.3", "127.1.2.3", 2376, true),
        ("127.0.0.1.example", "127.0.0.1.example", 2376, false),
    ]) func places(text: String, host: String, port: Int, isLoopback: Bool) throws {
        let place = try #require(TCPDestination(parsing: text))
        #expect((place.host, Int(place.port), place.isLoopback) == (host, port, isLoopback))
        #expect(try EngineHost(parsing: "tcp://\(text)").isLocal == false)
        #expect(TCPDestination(parsing: "\(place)") == place)
    }

    @Test(arguments: [
        "", ":1", "box:", "box:0", "box:65536", "box:x", "a b", "::1", "[::1", "[box]:1", "box/path", "b\r\nx",
    ])
    func noPlaces(text: String) {
        #expect(throws: EngineHostError.invalidAddress("tcp://\(text)")) { try EngineHost(parsing: "tcp://\(text)") }
    }

    @Test func optionsAndVariables() throws {
        #expect(ClientTLS().options(["DOCKER_CERT_PATH": "/c"]) == nil)
        #expect(ClientTLS().options(["DOCKER_TLS_VERIFY": "", "DOCKER_TLS": ""]) == nil)
        let verified = try #require(ClientTLS().options(["DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nosuch"]))
        #expect(verified.verifies)
        // A certificate that nobody names need not be there; the authority is what everything rests on.
        #expect(verified.files == TLSFiles(authority: "/nosuch/ca.pem"))
        let unverified = try #require(ClientTLS(isOn: true).options(["HOME": "/h"]))
        #expect(!unverified.verifies && unverified.files.authority == "/h/.docker/ca.pem")
        let named = try #require(
            ClientTLS(verifies: true, authority: "/a", certificate: "/b", key: "/k").options(["DOCKER_CERT_PATH": "/c"])
        )
        #expect(named.files == TLSFiles(authority: "/a", certificate: "/b", key: "/k"))
    }

    @Test func anotherMachineNeedsTLS() throws {
        let far = EngineClient(host: try EngineHost(parsing: "tcp://192.0.2.7:2375"))
        #expect(throws: EngineClientError.notSecured(host: "tcp://192.0.2.7:2375")) { try far.version() }
    }

    @Test func requestsSayWhomTheyAreFor() {
        var request = HTTPRequest("GET", ["_ping"])
        request.host = "box:2376"
        #expect(String(decoding: request.bytes, as: UTF8.self).contains("\r\nHost: box:2376\r\n"))
    }
}
