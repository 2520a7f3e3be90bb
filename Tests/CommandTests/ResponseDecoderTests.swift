import EngineClient
import Testing

@Suite struct ResponseDecoderTests {
    /// Everything a decoder says about an answer that comes in these pieces.
    private func decode(
        _ pieces: [ArraySlice<UInt8>], head: Bool = false, takenOver: Bool = false
    ) throws -> (head: ResponseHead?, body: String, ended: Bool) {
        var decoder = ResponseDecoder(headRequest: head, takenOver: takenOver)
        var found: ResponseHead?
        var body: [UInt8] = []
        for piece in pieces {
            let progress = try decoder.feed(piece)
            found = progress.head ?? found
            body += progress.body
        }
        return (found, String(decoding: body, as: UTF8.self), decoder.isEnded)
    }

    private func decode(_ text: String) throws -> (head: ResponseHead?, body: String, ended: Bool) {
        try decode([Array(text.utf8)[...]])
    }

    private static let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200\r\ncontent-LENGTH:  11 \r\nX-Other:\r\n\r\nhello world",
    ]

    @Test(arguments: answers) func takesAnswersCutAnywhere(_ answer: String) throws {
        let bytes = Array(answer.utf8)
        for cut in 0...bytes.count {
            let (head, body, ended) = try decode([bytes[..<cut], bytes[cut...]])
            #expect(head?.status == 200)
            #expect(body == "hello world")
            #expect(ended)
        }
    }

    @Test(arguments: answers) func takesAnswersByteByByte(_ answer: String) throws {
        let bytes = Array(answer.utf8)
        let (head, body, ended) = try decode(bytes.indices.map { bytes[$0...$0] })
        #expect(head?.status == 200)
        #expect(body == "hello world")
        #expect(ended)
    }

    @Test func readsToTheEndOfTheConnectionWithoutALength() throws {
        var decoder = ResponseDecoder()
        let progress = try decoder.feed(Array("HTTP/1.1 200 OK\r\n\r\nabc".utf8)[...])
        #expect(progress.body == Array("abc".utf8))
        #expect(!decoder.isEnded)
        try decoder.finish()
        #expect(decoder.isEnded)
    }

    @Test func hasNoBodyWhereHTTPSaysSo() throws {
        #expect(try decode("HTTP/1.1 204 No Content\r\n\r\n").ended)
        #expect(try decode("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").ended)
        let bytes = Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".utf8)
        #expect(try decode([bytes[...]], head: true).ended)
    }

    @Test func givesTheConnectionAfterAnUpgrade() throws {
        let text = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n0\r\n\r\nraw"
        let (head, body, ended) = try decode([Array(text.utf8)[...]], takenOver: true)
        #expect(head?.status == 101)
        #expect(body == "0\r\n\r\nraw")
        #expect(!ended)
    }

    @Test(arguments: [
        ("HTP/1.1 200 OK\r\n\r\n", HTTPFault.badStatusLine),
        ("HTTP/2.0 200 OK\r\n\r\n", .badStatusLine),
        ("HTTP/1.1 20 OK\r\n\r\n", .badStatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", .badStatusLine),
        ("HTTP/1.1 999 OK\r\n\r\n", .badStatusLine),
        ("\r\n\r\n", .badStatusLine),
        ("HTTP/1.1 101 UPGRADED\r\n\r\n", .badStatusLine),
        ("HTTP/1.1 200 OK\nContent-Length: 1\n\nx", .badHeader),
        ("HTTP/1.1 200 OK\r\nNo colon\r\n\r\n", .badHeader),
        ("HTTP/1.1 200 OK\r\n: empty\r\n\r\n", .badHeader),
        ("HTTP/1.1 200 OK\r\n Folded: x\r\n\r\n", .badHeader),
        ("HTTP/1.1 200 OK\r\nName : x\r\n\r\n", .badHeader),
        ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", .badHeader),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", .badContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", .badContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n", .badContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", .badContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .badContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .lengthAndChunked),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", .badTransferEncoding),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", .badChunkSize),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", .badChunkSize),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 2\r\n", .badChunkSize),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", .badChunkSize),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", .badChunkEnd),
    ]) func refusesWhatIsNotHTTP(_ text: String, _ fault: HTTPFault) {
        #expect(throws: fault) { try decode(text) }
    }

    @Test func limitsTheHead() {
        let line = "X-Long: " + String(repeating: "a", count: 40_000) + "\r\n"
        #expect(throws: HTTPFault.headTooLong) { try decode("HTTP/1.1 200 OK\r\n\(line)\r\n") }
        #expect(throws: HTTPFault.headTooLong) { try decode(String(repeating: "a", count: 40_000)) }
        let many = String(repeating: "A: b\r\n", count: 101)
        #expect(throws: HTTPFault.tooManyHeaders) { try decode("HTTP/1.1 200 OK\r\n\(many)\r\n") }
        let chunk = "5;" + String(repeating: "a", count: 5000)
        #expect(throws: HTTPFault.chunkLineTooLong) {
            try decode("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(chunk)\r\n")
        }
    }

    @Test(arguments: [
        "", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ]) func noticesAnswersThatWereCut(_ text: String) throws {
        var decoder = ResponseDecoder()
        _ = try decoder.feed(Array(text.utf8)[...])
        #expect(throws: HTTPFault.endedEarly) { try decoder.finish() }
    }
}
