import Metrics
import Testing

@testable import EngineAPI

@Suite struct RequestMeterTests {
    private let meter = RequestMeter()

    private func ask(_ method: String, _ target: String) async throws {
        var router = Router()
        router.meter = meter
        router.on("GET", "/containers/{id}/json") { _, parameters in
            guard parameters["id"] != "none" else { throw HTTPError(404, "no such container") }
            return .text("found")
        }
        router.on("GET", "/events") { _, _ in .stream(status: 200, headers: [:]) { _ in } }
        router.on("POST", "/attach") { _, _ in .hijack(contentType: "x") { _ in } }
        _ = await router.reply(to: try HTTPRequest(method: method, target: target))
    }

    private var lines: [String] {
        var text = MetricsText()
        meter.write(to: &text)
        return String(decoding: text.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func requestsAreCountedByPattern() async throws {
        for id in ["a", "b", "c"] { try await ask("GET", "/containers/\(id)/json") }
        try await ask("GET", "/v1.43/containers/none/json")
        try await ask("HEAD", "/containers/a/json")
        try await ask("GET", "/events")
        try await ask("POST", "/attach")
        let found = lines
        for line in [
            #"gantry_api_requests_total{route="/containers/{id}/json",method="GET",code="200"} 3"#,
            #"gantry_api_requests_total{route="/containers/{id}/json",method="GET",code="404"} 1"#,
            #"gantry_api_requests_total{route="/containers/{id}/json",method="HEAD",code="200"} 1"#,
            #"gantry_api_requests_total{route="/events",method="GET",code="200"} 1"#,
            #"gantry_api_requests_total{route="/attach",method="POST",code="101"} 1"#,
            #"gantry_api_request_duration_seconds_count{route="/containers/{id}/json",method="GET"} 4"#,
        ] { #expect(found.contains(line), "\(line)") }
    }

    /// However many things are asked for that are not there, and by whatever methods.
    @Test func whatHasNoRouteIsOneSeries() async throws {
        for number in 0..<100 { try await ask("GET", "/nothing/\(number)") }
        for number in 0..<100 { try await ask("M\(number)", "/events") }
        let found = lines.filter { $0.hasPrefix("gantry_api_requests_total") }
        #expect(
            found == [
                #"gantry_api_requests_total{route="unmatched",method="other",code="404"} 100"#,
                #"gantry_api_requests_total{route="unmatched",method="other",code="405"} 100"#,
            ])
    }

    @Test(
        arguments: [
            ("127.0.0.1:9323", "127.0.0.1:9323"), ("[::1]:0", "[::1]:0"), ("0.0.0.0:80", "0.0.0.0:80"),
            ("localhost:80", nil), ("127.0.0.1", nil), (":80", nil), ("::1:80", nil), ("[127.0.0.1]:80", nil),
            ("127.0.0.1:65536", nil), ("127.0.0.1:-1", nil), ("1.2.3:80", nil), ("", nil),
        ] as [(String, String?)])
    func addressesAreNumbers(text: String, expected: String?) {
        #expect(TCPAddress(text)?.description == expected)
    }
}
