import Testing

@testable import EngineClient

@Suite struct StreamDecodingTests {
    @Test func takesFramesCutAnywhere() throws {
        let bytes = frame(1, "out") + frame(2, "") + frame(2, "error") + frame(0, "in")
        for cut in 0...bytes.count {
            var decoder = FrameDecoder(raw: false)
            let frames = try decoder.feed(bytes[..<cut]) + decoder.feed(bytes[cut...])
            let output = frames.filter { $0.channel == .output }.flatMap(\.bytes)
            let errors = frames.filter { $0.channel == .error }.flatMap(\.bytes)
            #expect(String(decoding: output, as: UTF8.self) == "outin")
            #expect(String(decoding: errors, as: UTF8.self) == "error")
            try decoder.finish()
        }
    }

    @Test func refusesBadFrames() {
        #expect(throws: HTTPFault.badFrame) {
            var decoder = FrameDecoder(raw: false)
            _ = try decoder.feed([3, 0, 0, 0, 0, 0, 0, 1])
        }
        #expect(throws: HTTPFault.badFrame) {
            var decoder = FrameDecoder(raw: false)
            _ = try decoder.feed([1, 0, 1, 0, 0, 0, 0, 1])
        }
        #expect(throws: HTTPFault.frameTooLong) {
            var decoder = FrameDecoder(raw: false)
            _ = try decoder.feed([1, 0, 0, 0, 255, 255, 255, 255])
        }
        #expect(throws: HTTPFault.endedEarly) {
            var decoder = FrameDecoder(raw: false)
            _ = try decoder.feed(frame(1, "abc").dropLast())
            try decoder.finish()
        }
    }

    @Test func passesATerminalThrough() throws {
        var decoder = FrameDecoder(raw: true)
        #expect(try decoder.feed([1, 0, 0]) == [StreamFrame(.output, [1, 0, 0])])
        #expect(try decoder.feed([]) == [])
    }

    @Test func splitsLines() throws {
        var splitter = LineSplitter()
        #expect(try splitter.feed(Array("a\r\n\n{\"b\"".utf8)) == [Array("a".utf8)])
        #expect(try splitter.feed(Array(":1}\nrest".utf8)) == [Array("{\"b\":1}".utf8)])
        #expect(splitter.finish() == Array("rest".utf8))
        #expect(splitter.finish() == nil)
        #expect(throws: HTTPFault.lineTooLong) {
            try splitter.feed(repeatElement(UInt8(0x61), count: LineSplitter.lineByteCountMax + 1))
        }
    }

    @Test func writesRequests() {
        let get = HTTPRequest("GET", ["containers", "a/b c", "logs"], query: [(name: "since", value: "1.5&x=é")])
        #expect(
            String(decoding: get.bytes, as: UTF8.self)
                == "GET /containers/a%2Fb%20c/logs?since=1.5%26x%3D%C3%A9 HTTP/1.1\r\nHost: gantry\r\n"
                + "User-Agent: gantry\r\nConnection: close\r\n\r\n")
        let post = HTTPRequest("POST", ["exec", "1", "start"], body: .json(Array("{}".utf8)), takesOver: true)
        #expect(
            String(decoding: post.bytes, as: UTF8.self)
                == "POST /exec/1/start HTTP/1.1\r\nHost: gantry\r\nUser-Agent: gantry\r\nConnection: Upgrade\r\n"
                + "Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        let empty = HTTPRequest("POST", ["containers", "1", "start"])
        #expect(String(decoding: empty.bytes, as: UTF8.self).contains("Content-Length: 0\r\n"))
    }

    @Test func choosesTheHost() throws {
        let environment = ["GANTRY_HOST": "unix:///a", "DOCKER_HOST": "npipe:////./pipe/docker"]
        #expect(try EngineHost.choose(option: "unix:///o", environment: environment).socketPath == "/o")
        #expect(try EngineHost.choose(option: nil, environment: environment).socketPath == "/a")
        #expect(try EngineHost.choose(option: nil, environment: ["GANTRY_HOST": ""], userID: 0) == EngineHost.standard)
        #expect(throws: EngineHostError.unsupportedScheme("npipe")) {
            try EngineHost.choose(option: nil, environment: ["DOCKER_HOST": "npipe:////./pipe/docker"])
        }
        #expect(throws: EngineHostError.noScheme("/run/x.sock")) { try EngineHost(parsing: "/run/x.sock") }
        #expect(throws: EngineHostError.relativePath("unix://x.sock")) { try EngineHost(parsing: "unix://x.sock") }
        let long = "/" + String(repeating: "a", count: 107)
        #expect(throws: EngineHostError.pathTooLong(long)) { try EngineHost(parsing: "unix://\(long)") }
    }

    @Test(arguments: [
        ("box", ["--", "box"]), ("ada@box", ["-l", "ada", "--", "box"]),
        ("ada@box:2222/", ["-l", "ada", "-p", "2222", "--", "box"]),
        ("[fe80::1%eth0]:22", ["-p", "22", "--", "fe80::1%eth0"]),
    ]) func machinesByName(text: String, arguments: [String]) throws {
        let destination = try #require(SSHDestination(parsing: text))
        #expect(
            destination.arguments(controlFolder: nil)
                == ["ssh", "-T", "-o", "ConnectTimeout=30"] + arguments + ["gantry", "dial-stdio"])
        #expect(try EngineHost(parsing: "ssh://\(text)").socketPath == nil)
    }

    @Test func theSocketThereMayBeNamed() throws {
        let destination = try #require(SSHDestination(parsing: "box/run/other.sock"))
        #expect(destination.arguments(controlFolder: nil).suffix(2) == ["--host", "unix:///run/other.sock"])
        #expect(destination.description == "box/run/other.sock")
    }

    /// Options of ssh (CVE-2017-1000117), words of the other machine's shell.
    @Test(arguments: [
        "", "-oProxyCommand=sh", "-l@box", "@box", "box:", "box:0", "box:99999", "box:22x", "a b", "box/run/x;reboot",
        "box/$(id)", "box`id`", "[::1", "[::1]22", "box\n",
    ]) func whatIsNoMachine(text: String) {
        #expect(throws: EngineHostError.invalidDestination("ssh://\(text)")) {
            try EngineHost(parsing: "ssh://\(text)")
        }
    }
}
