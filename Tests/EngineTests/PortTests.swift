import ContainerNetwork
import InternetAddress
import StackModel
import Testing

@testable import Engine

/// Host ports: who has them, which belong together.
struct PortTests {
    private func published(_ number: UInt16, _ backends: [String], target: UInt16? = nil)
        -> ContainerNetwork.PublishedPort
    {
        ContainerNetwork.PublishedPort(
            port: number, transport: .udp,
            backends: backends.compactMap { IPAddress($0) }.map { Backend(address: $0, port: target ?? number) })
    }

    @Test func longRunsOfOneContainerAreJoined() {
        let run = (10000...20000).map { published($0, ["10.0.0.2", "fd00::2"]) }
        let joined = joinedRanges(run.reversed())
        #expect(joined.count == 1)
        #expect(joined.first?.port == 10000)
        #expect(joined.first?.lastPort == 20000)
        #expect(joined.first?.backends.map(\.port) == [10000, 10000])
    }

    @Test func whatDiffersStaysApart() {
        let short = (1...15).map { published($0, ["10.0.0.2"]) }
        #expect(joinedRanges(short) == short)
        let shared = (1...100).map { published($0, ["10.0.0.2", "10.0.0.3"]) }
        #expect(joinedRanges(shared) == shared)
        let moved = (1...100).map { published($0, ["10.0.0.2"], target: $0 + 1000) }
        #expect(joinedRanges(moved) == moved)
        let two = (1...40).map { published($0, [$0 <= 20 ? "10.0.0.2" : "10.0.0.3"]) }
        #expect(joinedRanges(two).map(\.lastPort) == [20, 40])
    }

    @Test func keysOverlapWhereOneSocketWouldTakeTheOther() throws {
        func key(_ hostIP: String?) throws -> PortRegistry.Key {
            try PortRegistry.Key(hostIP: hostIP, port: 80, transport: .tcp)
        }
        #expect(try key(nil).overlaps(key("::1")))
        #expect(try key("0.0.0.0").overlaps(key("127.0.0.1")))
        #expect(try !key("0.0.0.0").overlaps(key("::")))
        #expect(try !key("127.0.0.1").overlaps(key("127.0.0.2")))
        #expect(throws: NetworkError.self) { try key("nowhere") }
    }

    @Test func listenersAreReadFromTheKernelsTable() {
        let text = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
               0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100
               1: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100
            """
        let sockets = HostListeners.parse(text, .tcp)
        #expect(sockets.map(\.address) == [IPAddress("127.0.0.1")])
        #expect(sockets.map(\.port) == [8080])
        let six = "h\n 0: 00000000000000000000000001000000:0050 x 0A a b c d e 5 1\n 1: 0:zz x 0A a b c d e 5"
        #expect(HostListeners.parse(six, .tcp).map(\.address) == [IPAddress("::1")])
    }

    /// A Java program, say, that listens on IPv4 through a socket of IPv6.
    @Test func mappedAddressesAreOfIPv4() throws {
        let text = "h\n 0: 0000000000000000FFFF00000100007F:1F90 x 0A a b c d e 4711 1"
        let sockets = HostListeners.parse(text, .udp) + HostListeners.parse(text, .tcp)
        #expect(sockets.map(\.address) == [IPAddress("127.0.0.1")])
        #expect(listeningPorts(table: text) == [])
        let key = try PortRegistry.Key(hostIP: "127.0.0.1", port: 8080, transport: .tcp)
        #expect(HostListeners(sockets: sockets).owner(of: key) != nil)
    }
}
