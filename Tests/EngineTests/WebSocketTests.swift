import Testing

@testable import EngineAPI

@Suite struct WebSocketTests {
    /// A client's frame.
    private static func masked(_ first: UInt8, _ payload: [UInt8], mask: [UInt8] = [1, 2, 3, 4]) -> [UInt8] {
        var bytes = WebSocketFrame(kind: .binary, payload: payload).bytes
        let header = bytes.count - payload.count
        bytes[0] = first
        bytes[1] |= 0x80
        return Array(bytes[..<header]) + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    /// The example of RFC 6455, section 1.3.
    @Test func handshake() {
        #expect(WebSocketHandshake.accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test(arguments: [0, 1, 125, 126, 65_535, 65_536, 1 << 20])
    func framesOfAnyLengthInAnyPieces(_ count: Int) throws {
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let bytes = Self.masked(0x82, payload) + Self.masked(0x88, [])
        for pieceCount in [1, 3, max(1, bytes.count / 2), bytes.count] where bytes.count / pieceCount < 10_000 {
            var decoder = WebSocketDecoder()
            var frames: [WebSocketFrame] = []
            for start in stride(from: 0, to: bytes.count, by: pieceCount) {
                decoder.append(Array(bytes[start..<min(start + pieceCount, bytes.count)]))
                while let frame = try decoder.next() { frames.append(frame) }
            }
            #expect(
                frames == [WebSocketFrame(kind: .binary, payload: payload), WebSocketFrame(kind: .close, payload: [])])
        }
    }

    @Test(
        arguments: [
            // Without mask; reserved bits; an unknown kind; a ping in pieces; a long ping.
            [0x82, 0x01, 0x00], [0xc2, 0x80], [0x83, 0x80], [0x09, 0x80], [0x89, 0xfe, 0x00, 0x7e],
            // Longer than anybody types.
            [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1],
        ] as [[UInt8]])
    func hostileFrames(_ bytes: [UInt8]) {
        var decoder = WebSocketDecoder()
        decoder.append(bytes)
        #expect(throws: WebSocketError.self) { try decoder.next() }
    }

    @Test(
        arguments: [
            ([], []), ([1, 0, 0, 0, 0, 0, 0, 2, 7, 8, 2, 0, 0, 0, 0, 0, 0, 1, 9], [7, 8, 9]),
            ([1, 0, 0, 0, 0, 0, 0, 9, 7], [7]),
        ] as [([UInt8], [UInt8])])
    func streamFramesAreTakenOff(_ framed: [UInt8], _ payload: [UInt8]) {
        #expect(WebSocketConnection.unframed(framed) == payload)
    }
}
