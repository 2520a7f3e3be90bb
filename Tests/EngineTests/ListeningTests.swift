import Testing

@testable import Engine

@Suite struct ListeningTests {
    /// As cat /proc/net/tcp prints it: 127.0.0.1:8080 and 0.0.0.0:80 listen, the last is a connection.
    @Test func onlyWhatListensForOthersCounts() {
        let table = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
               0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5678 1
               1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5679 1
               2: 0A59010A:01BB 0100590A:C350 01 00000000:00000000 00:00000000 00000000     0        0 5680 1
            """
        #expect(listeningPorts(table: table) == [80])
        let table6 = """
              sl  local_address                         remote_address                        st
               0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 5678 1
               1: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 5679 1
            """
        #expect(listeningPorts(table: table6) == [443])
    }

    @Test func whatIsNoTableHasNone() {
        for text in ["", "\n\n", "sl\n 0: x", "sl\n 0: 00000000: 00000000:0000 0A", "sl\n 0: :0050 : 0A x"] {
            _ = listeningPorts(table: text)
        }
        #expect(listeningPorts(process: 0x3fff_ffff).isEmpty)
    }
}
