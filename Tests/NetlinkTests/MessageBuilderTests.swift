import Testing

@testable import Netlink

/// Byte vectors for a little-endian machine, checked against strace of ip(8) and nft(8).
@Suite struct MessageBuilderTests {
    @Test func aVethPairIsOneMessage() {
        var request = MessageBuilder()
        request.newVeth(
            NewVeth(
                name: "v0", master: 7, mtu: 1420, peerName: "eth0", peerAddress: [2, 0x42, 10, 89, 1, 2],
                peerNamespace: 5))
        #expect(
            request.bytes
                == hex(
                    """
                    88000000 1000 0106 00000000 00000000
                    00 00 0000 00000000 01000000 01000000
                    0700 0300 76300000
                    0800 0a00 07000000
                    0800 0400 8c050000
                    5000 1280 0900 0100 7665746800000000
                      4000 0280 3c00 0180
                        00 00 0000 00000000 00000000 00000000
                        0900 0300 6574683000000000
                        0a00 0100 02420a5901020000
                        0800 1c00 05000000
                        0800 0400 8c050000
                    """))
    }

    @Test func anAddressHasItsBroadcast() {
        var request = MessageBuilder()
        request.newAddress(InterfaceAddress(index: 3, address: [10, 89, 1, 2], prefixLength: 24))
        #expect(
            request.bytes
                == hex(
                    """
                    30000000 1400 0105 00000000 00000000
                    02 18 00 00 03000000
                    0800 0200 0a590102
                    0800 0100 0a590102
                    0800 0400 0a5901ff
                    """))
    }

    @Test func aTableIsABatchOfThree() {
        var request = MessageBuilder()
        request.beginBatch(generation: nil)
        request.newTable("t")
        request.endBatch()
        let (bytes, acknowledged) = request.datagram(firstSequence: 7)
        #expect(acknowledged == 8)
        #expect(
            bytes
                == hex(
                    """
                    14000000 1000 0100 07000000 00000000 00 00 000a
                    1c000000 000a 0504 08000000 00000000 01 00 0000 0600 0100 74000000
                    14000000 1100 0100 09000000 00000000 00 00 000a
                    """))
    }

    @Test func aMapElementHasPaddedFields() {
        var request = MessageBuilder()
        let element = SetElement(
            [6, 0, 0, 0, 0x1f, 0x90, 0, 0, 3, 0, 0, 0], value: .data([10, 89, 1, 2, 0, 80, 0, 0]))
        request.newElements([element], set: "s", table: "t")
        #expect(
            request.bytes
                == hex(
                    """
                    50000000 0c0a 0106 00000000 00000000 01 00 0000
                    0600 0100 74000000
                    0600 0200 73000000
                    2c00 0380 2800 0180
                      1400 0180 1000 0100 06000000 1f900000 03000000
                      1000 0280 0c00 0100 0a590102 00500000
                    """))
        var removal = MessageBuilder()
        removal.deleteElements([element], set: "s", table: "t")
        // The value is not sent: the key says which.
        #expect(removal.bytes.count == request.bytes.count - 16)
    }

    @Test func elementsAreSplitOverMessages() {
        var request = MessageBuilder()
        let elements = (0..<1000).map { SetElement([UInt8($0 >> 8), UInt8($0 & 255), 0, 0]) }
        request.newElements(elements, set: "s", table: "t")
        #expect(request.messageCount == 3)
        #expect(!request.isOversized)
    }

    @Test func aTooLongAttributeIsNoticed() {
        var request = MessageBuilder()
        request.message(type: 16) { $0.put(1, [UInt8](repeating: 0, count: 70_000)) }
        #expect(request.isOversized)
    }

    @Test func generationAndMessagesOfAnotherBuilderAreTakenOver() throws {
        var inner = MessageBuilder()
        inner.newTable("one")
        inner.deleteTable("two")
        var batch = MessageBuilder()
        batch.beginBatch(generation: 0x0102_0304)
        batch.append(messagesOf: inner)
        batch.endBatch()
        let (bytes, acknowledged) = batch.datagram(firstSequence: 1)
        #expect(acknowledged == 3)
        let messages = try NetlinkMessage.parse(bytes)
        #expect(messages.map(\.sequence) == [1, 2, 3, 4])
        #expect(messages.map { $0.flags & 4 } == [0, 0, 4, 0])
        #expect(Array(messages[0].payload.suffix(8)) == hex("0800 0100 01020304"))
    }
}
