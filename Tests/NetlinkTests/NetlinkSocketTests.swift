import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Netlink

/// Against the kernel, read only or refused.
@Suite struct NetlinkSocketTests {
    @Test func loopbackIsFoundByNameIndexAndDump() throws {
        let socket = try NetlinkSocket(.route)
        let lo = try #require(try socket.link(.name("lo")))
        #expect(lo.index == 1)
        #expect(try socket.link(.index(1)) == lo)
        #expect(try socket.links().contains { $0.index == 1 && $0.name == "lo" })
        #expect(try socket.link(.name("gantry-none")) == nil)
        #expect(socket.portID != 0)
    }

    @Test func refusalsNameTheOperationAndLeaveTheSocketUsable() throws {
        let socket = try NetlinkSocket(.route)
        var request = MessageBuilder()
        request.setLink(.name("gantry-none"), LinkChange(isUp: true))
        request.setLink(.name("gantry-none"), LinkChange(isUp: true))
        for _ in 0..<3 {
            let error = #expect(throws: NetlinkError.self) { try socket.transact(request, operation: "try") }
            #expect(error?.code == ENODEV)
            #expect(error?.description.hasPrefix("try: No such device") == true)
        }
        #expect(try socket.link(.index(1))?.name == "lo")
    }

    @Test func anUnknownTableHasNoShapeAndItsElementsAreRefused() throws {
        let socket = try NetlinkSocket(.netfilter)
        #expect(try socket.shape(ofTable: "gantry_none").isEmpty)
        let error = #expect(throws: NetlinkError.self) { try socket.elements(ofSet: "s", table: "gantry_none") }
        #expect(error?.code == ENOENT)
        let generation = try socket.firewallGeneration()
        var batch = MessageBuilder()
        batch.beginBatch(generation: generation &- 1)
        batch.deleteTable("gantry_none")
        batch.endBatch()
        // Another generation, or no such table: refused either way.
        #expect(throws: NetlinkError.self) { try socket.transact(batch, operation: "stale batch") }
    }
}
