import Testing

@testable import BuildKitProtocol

@Suite struct MessageTests {
    @Test func aSolveRequestIsRead() throws {
        let request = try SolveRequest(
            ProtobufWriter.bytes { writer in
                writer.text(1, "ref")
                writer.text(3, "older")
                writer.text(5, "session")
                writer.map(7, ["target": "app", "no-cache": ""])
                writer.text(9, "network.host")
                writer.message(13) { exporter in
                    exporter.text(1, "moby")
                    exporter.map(2, ["name": "a,b"])
                }
            })
        #expect(request.ref == "ref" && request.session == "session" && request.frontend.isEmpty)
        #expect(request.frontendAttributes == ["target": "app", "no-cache": ""])
        #expect(request.exporters.map(\.type) == ["moby"] && request.exporters[0].attributes == ["name": "a,b"])
        #expect(request.entitlements == ["network.host"] && !request.hasDefinition)
    }

    @Test func whatACodeOfTheClientsReturnsIsRead() throws {
        let good = try GatewayReturn(
            ProtobufWriter.bytes { $0.message(1) { $0.message(3) { $0.text(1, "ref-0") } } })
        #expect(good.refs == ["ref-0"] && good.error == nil)
        let bad = try GatewayReturn(
            ProtobufWriter.bytes { writer in
                writer.message(2) { status in
                    status.number(1, 2)
                    status.text(2, "it failed")
                }
            })
        #expect(bad.error == GRPCStatus(.unknown, "it failed"))
    }

    @Test func kindsOfFilesAreThoseOfGo() {
        func mode(_ value: UInt32) -> SyncedFile.Mode { SyncedFile.Mode(value: value) }
        #expect(mode(0o644).isRegular && mode(1 << 23 | 0o755).isRegular && mode(1 << 23 | 0o755).permissions == 0o4755)
        #expect(mode(1 << 31 | 1 << 20 | 0o777).isDirectory && mode(1 << 31 | 1 << 20 | 0o777).permissions == 0o1777)
        for bit in [31, 27, 26, 25, 24, 21, 19] { #expect(!mode(1 << bit).isRegular, "bit \(bit)") }
    }

    @Test func packetsAreRead() throws {
        let file = try SyncPacket(
            ProtobufWriter.bytes { writer in
                writer.message(2) { stat in
                    stat.text(1, "a/b")
                    stat.number(2, 0o644)
                    stat.number(5, 7)
                    stat.map(10, ["user.x": "y"])
                }
            })
        guard case .file(let found?) = file else { return #expect(Bool(false), "\(file)") }
        #expect(found.path == "a/b" && found.byteCount == 7 && found.attributes == ["user.x": [0x79]])
        #expect(try SyncPacket([]) == .file(nil))
        #expect(try SyncPacket(SyncPacket.finish) == .end)
        #expect(try SyncPacket(ProtobufWriter.bytes { $0.number(1, 2) }) == .data(id: 0, []))
        #expect(throws: ProtobufError.malformed) { try SyncPacket(ProtobufWriter.bytes { $0.number(1, 9) }) }
    }

    /// However the bytes are cut.
    @Test func messagesComeWhole() throws {
        let messages: [[UInt8]] = [[], [1], [UInt8](repeating: 7, count: 300), [2, 3]]
        let bytes = messages.flatMap(grpcFramed)
        for step in [1, 2, 5, 64, 1_000] {
            var parser = GRPCMessageParser()
            var found: [[UInt8]] = []
            for start in stride(from: 0, to: bytes.count, by: step) {
                parser.append(bytes[start..<min(bytes.count, start + step)])
                while let message = try parser.next() { found.append(message) }
            }
            #expect(found == messages)
        }
    }

    @Test func whatIsTooLongOrCompressedIsRefused() {
        var parser = GRPCMessageParser()
        parser.append([0, 0xFF, 0, 0, 0])
        #expect(throws: GRPCFramingError.tooLong(byteCount: 0xFF00_0000)) { try parser.next() }
        parser = GRPCMessageParser()
        parser.append([1, 0, 0, 0, 0])
        #expect(throws: GRPCFramingError.compressed) { try parser.next() }
    }

    @Test func aStatusFitsAHeader() {
        #expect(GRPCStatus(.unknown, "50 % of\nä").encodedMessage == "50 %25 of%0A%C3%A4")
    }
}
