import JSONDocument
import Testing

@testable import Engine
@testable import EngineAPI

/// What Docker's clients are told and may type, in the parts that need no container.
@Suite struct DockerClientTests {
    @Test func detachKeys() throws {
        #expect(try DetachKeys("").bytes == [0x10, 0x11])
        #expect(try DetachKeys("ctrl-a,x,ctrl-@,ctrl-_").bytes == [1, 0x78, 0, 0x1f])
        for bad in ["ctrl-", "ab", "ctrl-1", "a,,b"] {
            #expect(throws: HTTPError.self, "\(bad)") { try DetachKeys(bad) }
        }
    }

    @Test func detachKeysAreFoundWhereverTheyAreCut() throws {
        var scanner = DetachScanner(try DetachKeys(""))
        var found = scanner.scan([0x61, 0x10])
        #expect(found.passed == [0x61] && !found.isDetached)
        found = scanner.scan([0x62])
        #expect(found.passed == [0x10, 0x62] && !found.isDetached)
        found = scanner.scan([0x10, 0x10])
        #expect(found.passed == [0x10] && !found.isDetached)
        found = scanner.scan([0x11, 0x63])
        #expect(found.passed == [] && found.isDetached)
    }

    @Test func processTable() throws {
        let text = """
            UID          PID    PPID  C STIME TTY          TIME CMD
            root           1       0  0 05:41 ?        00:00:27 /sbin/init  with args
            root          77       2  0 05:41 ?        00:01:04 sleep 5

            """
        let table = try ProcessTable(text, of: [1, 5])
        #expect(table.titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
        #expect(table.rows == [["root", "1", "0", "0", "05:41", "?", "00:00:27", "/sbin/init  with args"]])
        #expect(throws: EngineError.self) { try ProcessTable("USER CMD\nroot x\n", of: [1]) }
    }

    @Test func interfaceCounters() {
        let table = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
                lo:     10       1    0    0    0     0          0         0       10       1    0    0    0     0  0 0
              eth0:    100       2    3    4    0     0          0         0      200       5    6    7    0     0  0 0
            """
        #expect(
            networkCounters(table: table) == [
                "eth0": InterfaceCounters(received: [100, 2, 3, 4], sent: [200, 5, 6, 7])
            ])
    }

    @Test func jsonBytes() {
        var json = JSONBytes()
        json.array { json in
            json.object { json in
                json.member("a\"b", "x\\y\n\u{1f}é")
                json.member("n", -5)
                json.null("z")
                json.key("t")
                json.flag(true)
                json.key("l")
                json.array { $0.string("s") }
            }
            json.object { _ in }
        }
        let text = String(decoding: json.bytes, as: UTF8.self)
        #expect(text == #"[{"a\"b":"x\\y\u000a\u001fé","n":-5,"z":null,"t":true,"l":["s"]},{}]"#)
    }

    @Test(arguments: ["nosuch=1", "status=nosuch", "health=fine", "exited=x", "publish=y"])
    func badFiltersAreRefused(text: String) {
        let parts = text.split(separator: "=").map(String.init)
        #expect(throws: EngineError.self) { try ContainerFilters([parts[0]: [parts[1]]]) }
    }
}
