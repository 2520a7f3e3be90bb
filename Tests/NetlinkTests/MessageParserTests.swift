import Testing

@testable import Netlink

@Suite struct MessageParserTests {
    @Test func aRefusalCarriesTheKernelsWords() throws {
        // NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS: -EEXIST and "no".
        let datagram = hex(
            """
            2c000000 0200 0003 05000000 63000000
            efffffff 14000000 1000 0500 05000000 00000000
            0700 0100 6e6f0000
            """)
        let message = try #require(try NetlinkMessage.parse(datagram).first)
        #expect(message.sequence == 5)
        let acknowledgement = try Acknowledgement(message)
        #expect(acknowledgement.code == 17)
        #expect(acknowledgement.reason == "no")
        #expect(throws: NetlinkError.refused(operation: "x", code: 17, reason: "no")) {
            try acknowledgement.check("x")
        }
    }

    @Test func lengthsThatLieAreErrors() {
        for datagram in [
            "0f000000 0200 0000 00000000 00000000", "11000000 0200 0000 00000000 00000000", "10000000 0200",
            "ffffffff 0200 0000 00000000 00000000", "00",
        ] {
            #expect(throws: NetlinkError.self, "\(datagram)") { try NetlinkMessage.parse(hex(datagram)) }
        }
        for attributes in ["0300 0100", "0900 0100 00000000", "0400", "ffff 0100 00"] {
            #expect(throws: NetlinkError.self, "\(attributes)") { try Attribute.parse(hex(attributes)[...]) }
        }
    }

    @Test func numbersMustHaveTheirSize() throws {
        let attributes = try Attribute.parse(hex("0600 0180 01020000 0400 0240")[...])
        #expect(attributes.map(\.type) == [1, 2])
        #expect(try attributes[0].big(UInt16.self) == 0x0102)
        #expect(try attributes[0].native(UInt16.self) == 0x0201)
        #expect(throws: NetlinkError.self) { try attributes[0].native(UInt32.self) }
        #expect(throws: NetlinkError.self) { try attributes[1].native(UInt8.self) }
    }

    /// Everything that reads messages, over noise and over valid messages with noise in them: an error or a value.
    @Test(arguments: 0..<40)
    func noiseNeverTraps(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var valid = MessageBuilder()
        valid.newBridge(NewBridge(name: "gn-0", address: [2, 0, 0, 0, 0, 1], mtu: 1500))
        valid.newRoute(Route(destination: [], prefixLength: 0, gateway: [10, 0, 0, 1], outputIndex: 2))
        valid.newElements([SetElement([1, 2, 3, 4], value: .verdict(.goto("lane")))], set: "s", table: "t")
        for _ in 0..<300 {
            var bytes: [UInt8]
            if Bool.random(using: &generator) {
                bytes = valid.bytes
                for _ in 0..<Int.random(in: 1...6, using: &generator) {
                    bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
                }
                bytes = Array(bytes.prefix(.random(in: 0...bytes.count, using: &generator)))
            } else {
                bytes = (0..<Int.random(in: 0..<200, using: &generator)).map { _ in
                    .random(in: 0...255, using: &generator)
                }
            }
            read(bytes)
            read(hex("f0000000 0200 0003 00000000 00000000") + bytes)
        }
    }

    /// Values do not matter here, only that there is one or an error.
    private func read(_ bytes: [UInt8]) {
        var bytes = bytes
        if bytes.count >= 16, bytes.count < 256 { bytes.replaceSubrange(0..<4, with: [UInt8(bytes.count), 0, 0, 0]) }
        guard let messages = attempt({ try NetlinkMessage.parse(bytes) }) else { return }
        for message in messages {
            _ = attempt { try Link(message) }
            _ = attempt { try Route(message) }
            _ = attempt { try InterfaceAddress(message) }
            _ = attempt { try Acknowledgement(message) }
            _ = attempt { try Acknowledgement(done: message) }
            _ = attempt { try FirewallEvent(message) }
            guard let attributes = attempt({ try Attribute.parse(message.payload.dropFirst(4)) }) else { continue }
            for attribute in attributes {
                guard let list = attempt({ try attribute.nested() }) else { continue }
                for item in list { _ = attempt { try SetElement(item.nested()) } }
            }
        }
    }

    private func attempt<Value>(_ body: () throws -> Value) -> Value? {
        // An error is as good as a value: only a trap is wrong.
        try? body()
    }
}
