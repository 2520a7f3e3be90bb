import Testing

@testable import BuildKitProtocol

@Suite struct ProtobufTests {
    @Test func whatIsWrittenIsRead() throws {
        let bytes = ProtobufWriter.bytes { writer in
            writer.text(1, "ref")
            writer.number(2, -1)
            writer.flag(3, true)
            writer.map(7, ["target": "app"])
            writer.number(900, 300)
        }
        let fields = try protobufFields(bytes[...])
        #expect(fields.map(\.number) == [1, 2, 3, 7, 900])
        #expect(fields[0].text == "ref" && fields[1].integer == -1 && fields[2].flag && fields[4].integer == 300)
        let entry = try fields[3].entry()
        #expect(entry.key == "target" && entry.value == Array("app".utf8))
    }

    /// The example of the encoding's own description.
    @Test func readsTheEncodingsOwnExample() throws {
        let fields = try protobufFields([0x08, 0x96, 0x01])
        #expect(fields == [ProtobufField(number: 1, value: .number(150))])
        #expect(ProtobufWriter.bytes { $0.number(1, 150) } == [0x08, 0x96, 0x01])
    }

    @Test(arguments: [
        ([0x08], ProtobufError.truncated), ([0x0A, 5, 1], .truncated), ([0x09, 1, 2], .truncated),
        ([0x00, 1], .malformed), ([0x0B], .malformed), ([UInt8](repeating: 0xFF, count: 11), .malformed),
        ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], .truncated),
    ]) func whatIsCutOrWrongIsRefused(_ bytes: [UInt8], _ error: ProtobufError) {
        #expect(throws: error) { try protobufFields(bytes[...]) }
    }

    /// Any bytes either are a message or are refused.
    @Test func anyBytesAreRefusedOrRead() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            _ = try? SolveRequest(bytes)  // What it makes of them is of no interest here.
            _ = try? SyncPacket(bytes)  // As above.
            _ = try? GatewayReturn(bytes)  // As above.
        }
    }
}
