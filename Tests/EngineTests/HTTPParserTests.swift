import NIOCore
import Testing

@testable import EngineAPI

@Suite struct HTTPParserTests {
    private func parse(_ text: String) throws -> HTTPRequestHead? {
        var buffer = ByteBuffer(string: text)
        var parser = HTTPHeadParser()
        return try parser.parse(&buffer)
    }

    @Test func takesOneHeadAndNoByteMore() throws {
        var buffer = ByteBuffer(
            string: "\r\nPOST /x HTTP/1.1\r\nHost:\r\nA:  b c \t\r\nContent-Length: 3\r\n\r\nabcGET")
        var parser = HTTPHeadParser()
        let head = try #require(try parser.parse(&buffer))
        #expect(head.method == "POST")
        #expect(head.target == "/x")
        #expect(head.headers["a"] == "b c")
        #expect(head.headers["HOST"] == "")
        #expect(head.framing == .fixed(3))
        #expect(head.keepsAlive)
        #expect(String(buffer: buffer) == "abcGET")
    }

    @Test func takesAHeadByteByByte() throws {
        var buffer = ByteBuffer()
        var parser = HTTPHeadParser()
        let text = "GET / HTTP/1.1\r\nA: b\r\n\r\n"
        for (index, byte) in text.utf8.enumerated() {
            buffer.writeInteger(byte)
            let head = try parser.parse(&buffer)
            #expect((head != nil) == (index == text.utf8.count - 1))
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1 \r\n\r\n",
        "GET /\r\n\r\n", "G@T / HTTP/1.1\r\n\r\n", " GET / HTTP/1.1\r\n\r\n", "GET /\u{7F} HTTP/1.1\r\n\r\n",
        "GET /é HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA : b\r\n\r\n", "GET / HTTP/1.1\r\n A: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "GET / HTTP/1.1\r\n: b\r\n\r\n", "GET / HTTP/1.1\r\nA\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "GET / HTTP/1.1\r\nA: \u{0}\r\n\r\n", "\rGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: +3\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ])
    func refusesWhatIsMalformedOrAmbiguous(text: String) {
        #expect(throws: HTTPError.self) { try parse(text) }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 501),
        ("GET / HTTP/2.0\r\n\r\n", 505), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET /" + String(repeating: "a", count: HTTPLimits.headByteCountMax), 431),
        ("GET / HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: HTTPLimits.headerCountMax + 1) + "\r\n", 431),
    ])
    func namesTheStatus(text: String, status: Int) {
        #expect { try parse(text) } throws: { ($0 as? HTTPError)?.status == status }
    }

    /// All steps of a body that arrives in pieces of `stride` bytes.
    private func decode(
        _ framing: HTTPRequestHead.Framing, _ text: String, stride count: Int
    ) throws -> (body: String, rest: String, ended: Bool) {
        var decoder = HTTPBodyDecoder(framing)
        var buffer = ByteBuffer()
        var body: [UInt8] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, through: max(bytes.count - 1, 0), by: count) {
            buffer.writeBytes(bytes[start..<min(start + count, bytes.count)])
            steps: while true {
                switch try decoder.next(&buffer) {
                case .piece(let piece): body += piece
                case .needsMore: break steps
                case .end:
                    buffer.writeBytes(bytes[min(start + count, bytes.count)...])
                    return (String(decoding: body, as: UTF8.self), String(buffer: buffer), true)
                }
            }
        }
        return (String(decoding: body, as: UTF8.self), String(buffer: buffer), false)
    }

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func decodesBodies(stride: Int) throws {
        let fixed = try decode(.fixed(5), "helloGET", stride: stride)
        #expect(fixed == ("hello", "GET", true))
        let chunked = try decode(
            .chunked, "5\r\nhello\r\nA;x=\"y\"\r\n, world: 1\r\n0\r\nTrailer: t\r\n\r\nGET", stride: stride)
        #expect(chunked == ("hello, world: 1", "GET", true))
        #expect(try decode(.chunked, "5\r\nhel", stride: stride).ended == false)
        #expect(try decode(.none, "GET", stride: stride) == ("", "GET", true))
    }

    @Test(arguments: [
        "\r\n", "x\r\n", "5\nhello", "5\r\nhelloX\r\n", "-1\r\n", "0x5\r\n", "5 5\r\n", "5\r\r\nhello",
        "fffffffffffffffff\r\n", String(repeating: "0", count: 300), "5;" + String(repeating: "x", count: 300),
        "0\r\n" + String(repeating: "Trailer: " + String(repeating: "t", count: 200) + "\r\n", count: 50),
    ])
    func refusesMalformedChunks(text: String) {
        #expect(throws: HTTPError.self) { try decode(.chunked, text, stride: 1_000) }
    }

    @Test func randomBytesNeverTrap() {
        var random = SystemRandomNumberGenerator()
        let pieces = [
            "GET ", "/ ", "HTTP/1.1", "\r\n", "\n", "Content-Length: 5", ":", "Transfer-Encoding: chunked", "0", "ff",
            ";",
            "\u{0}", "é", " ", "x",
        ]
        for _ in 0..<5_000 {
            let text = (0..<Int.random(in: 0..<20, using: &random)).map { _ in
                pieces.randomElement(using: &random) ?? ""
            }
            .joined()
            // Either outcome is right: what is tested is that there is one.
            _ = try? parse(text + "\r\n\r\n")
            // Whether it fails does not matter here, only that it does not trap.
            _ = try? decode(.chunked, text, stride: 3)
            // Whether it fails does not matter here, only that it does not trap.
            _ = try? HTTPRequest(method: "GET", target: text)
        }
    }
}
