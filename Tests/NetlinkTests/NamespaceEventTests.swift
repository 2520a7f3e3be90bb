import CLinux
import Glibc
import Testing

@testable import Netlink

@Suite struct NamespaceEventTests {
    private func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    private func control(_ length: UInt64, _ level: Int32, _ type: Int32, _ data: [UInt8]) -> [UInt8] {
        let message = bytes(length) + bytes(level) + bytes(type) + data
        return message + [UInt8](repeating: 0, count: (8 - message.count % 8) % 8)
    }

    @Test func theNumberIsReadAmongOtherMessages() {
        let mine = control(20, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, bytes(Int32(7)))
        #expect(NetlinkSocket.namespaceID(mine[...]) == 7)
        let other = control(20, SOL_NETLINK, 3, bytes(Int32(9)))
        #expect(NetlinkSocket.namespaceID((other + mine)[...]) == 7)
        #expect(NetlinkSocket.namespaceID(other[...]) == nil && NetlinkSocket.namespaceID([]) == nil)
    }

    @Test func brokenLengthsEndTheSearch() {
        for length in [0, 3, 15, 16, 19, 21, 4096, UInt64.max] as [UInt64] {
            let broken = control(length, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, bytes(Int32(7)))
            let id = NetlinkSocket.namespaceID(broken[...])
            #expect(id == (length == 21 ? 7 : nil))
        }
        for count in 0..<20 { #expect(NetlinkSocket.namespaceID([UInt8](repeating: 255, count: count)[...]) == nil) }
    }
}
