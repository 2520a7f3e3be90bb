import Testing

@testable import Engine

@Suite struct DrainTests {
    /// From a namespace with a server on port 80 and one on 8080, of /proc/net/tcp.
    private let table = """
          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
           1: 0200000A:0050 0100000A:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
           2: 0200000A:0050 0100000A:C351 03 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
           3: 0200000A:0050 0100000A:C352 06 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1
           4: 0200000A:0050 0100000A:C353 08 00000000:00000000 00:00000000 00000000     0        0 5 1 0 20 4 30 10 -1
           5: 0100007F:0050 0100007F:C354 01 00000000:00000000 00:00000000 00000000     0        0 6 1 0 20 4 30 10 -1
           6: 0200000A:C400 0300000A:0CEA 01 00000000:00000000 00:00000000 00000000     0        0 7 1 0 20 4 30 10 -1
        """

    /// Others' connections to the server: not a healthcheck's, not its own to a database, not those that have ended.
    @Test func connectionsThatAreServed() {
        #expect(servedConnections(table: table, ports: [80, 8080]) == 3)
        #expect(servedConnections(table: table, ports: [8080]) == 0)
    }

    @Test func whatIsNoTableHasNone() {
        let texts = [
            "", "one line", "head\n0: 0200000A:0050 : 01 1", "head\n: : :\nx y z 01\n0: 00:50 : 01 1",
            "head\n0: 0200000A:0050 \u{0} 01 0",
        ]
        for text in texts {
            #expect(servedConnections(table: text, ports: [80]) == 0)
        }
    }
}
