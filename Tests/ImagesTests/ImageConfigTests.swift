import FoundationEssentials
import Testing

@testable import Images

@Suite struct ImageConfigTests {
    private func decode(_ json: String) throws -> ImageConfig {
        try decodeJSON(ImageConfig.self, Array(json.utf8), what: "config")
    }

    @Test func readsEveryField() throws {
        let config = try decode(
            """
            {"architecture":"amd64","os":"linux","created":"2024-02-29T13:00:00.123456789+01:00","config":{"User":"1:2",
            "ExposedPorts":{"80/tcp":{},"53/udp":{}},"Env":["A=1","B="],"Entrypoint":["/e"],"Cmd":["c"],
            "Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"k":"v"},"StopSignal":"SIGQUIT","Shell":["/bin/ash"],
            "OnBuild":["RUN x"],"Healthcheck":{"Test":["CMD","x"],"Interval":1000000000,"Timeout":2,"Retries":3,
            "StartPeriod":4,"StartInterval":5}},"rootfs":{"type":"layers","diff_ids":[]},
            "history":[{"created_by":"x","empty_layer":true}]}
            """)
        #expect(config.createdSeconds == 1_709_208_000)
        #expect(config.config.exposedPorts == ["53/udp", "80/tcp"])
        #expect(config.config.volumes == ["/v"])
        #expect(config.config.env == ["A=1", "B="])
        #expect(config.config.stopSignal == "SIGQUIT")
        #expect(config.config.healthcheck?.interval == 1_000_000_000)
        #expect(config.config.healthcheck?.startInterval == 5)
        #expect(config.history.first?.emptyLayer == true)
        #expect(try decode(String(decoding: encodeJSON(config), as: UTF8.self)) == config)
    }

    @Test func takesNullsAndOldForms() throws {
        let config = try decode(
            """
            {"config":{"Env":null,"Entrypoint":null,"Cmd":"one","Volumes":null,"Labels":null,"OnBuild":null,
            "Healthcheck":null,"StopSignal":"","ExposedPorts":{"1/tcp":null}},"rootfs":{"diff_ids":null}}
            """)
        #expect(config.config.cmd == ["one"])
        #expect(config.config.entrypoint == nil)
        #expect(config.config.stopSignal == nil)
        #expect(config.config.exposedPorts == ["1/tcp"])
        #expect(config.rootfs.diffIDs == [])
        #expect(config.createdSeconds == 0)
    }

    @Test func anEmptyCommandIsNotNone() throws {
        #expect(try decode("{\"config\":{\"Cmd\":[]},\"rootfs\":{}}").config.cmd == [])
    }

    @Test(arguments: [
        "", "{", "[]", "null", "{\"rootfs\":{\"diff_ids\":[\"sha256:../../x\"]}}", "{\"rootfs\":{\"diff_ids\":[1]}}",
        "{}", "{\"rootfs\":{},\"config\":{\"Env\":\"x\"}}", String(repeating: "[", count: 100_000),
    ])
    func refuses(json: String) {
        #expect(throws: ImageError.self) { try decode(json) }
    }

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("0001-01-01T00:00:00Z", -62_135_596_800), ("2000-03-01T00:00:00Z", 951_868_800),
        ("9999-12-31T23:59:59Z", 253_402_300_799), ("2024-01-01T00:00:00-05:30", 1_704_087_000),
    ])
    func dates(text: String, seconds: Int64) { #expect(parseRFC3339(text) == seconds) }

    @Test(arguments: [
        "", "2024", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T25:00:00Z", "x024-01-01T00:00:00Z",
    ])
    func noDates(text: String) { #expect(parseRFC3339(text) == nil) }
}
