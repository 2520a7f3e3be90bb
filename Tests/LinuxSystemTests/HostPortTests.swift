import LinuxSystem
import Testing

@Suite struct HostPortTests {
    @Test(arguments: [
        HostPortRequest.open(HostPort(transport: .tcp, address: 0x7f00_0001, port: 8080), target: 0x7f00_0001),
        .close(HostPort(transport: .udp, address: 0, port: 53)), .claim, .sweep,
    ])
    func requestsAreReadAsTheyWereWritten(_ request: HostPortRequest) {
        #expect(HostPortRequest(text: request.text) == request)
    }

    @Test(arguments: [HostPortReply.done(port: 65535), .failed(98)])
    func repliesAreReadAsTheyWereWritten(_ reply: HostPortReply) {
        #expect(HostPortReply(text: reply.text) == reply)
    }

    @Test(arguments: [
        "", "open", "open tcp 1 65536 0", "open sctp 1 1 1", "open tcp -1 1 1", "open tcp 1 1", "close tcp 1",
        "close tcp 1 2 3", "open tcp 4294967296 1 1",
    ])
    func damagedRequestsAreRefused(_ text: String) { #expect(HostPortRequest(text: text) == nil) }

    @Test func factsAreReadAsTheyWereWritten() {
        let facts = RootlessFacts(holder: 7, uplink: "pasta", hasSingleID: true, lifeline: 3)
        #expect(RootlessFacts(text: facts.text) == facts)
        #expect(RootlessFacts(text: "holder=7 uplink=pasta") == nil)
    }

    @Test func ownCgroupIsFoundWhereTheWholeHierarchyIsMounted() {
        let mounts = """
            25 20 0:22 /part /other rw - cgroup2 cgroup2 rw
            26 20 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw
            """
        func own(_ cgroup: String) -> String? { CgroupTree.unifiedDirectory(cgroup: cgroup, mountinfo: mounts) }
        #expect(own("1:cpu:/x\n0::/user/a\n") == "/sys/fs/cgroup/user/a")
        #expect(own("0::/\n") == "/sys/fs/cgroup")
        #expect(own("1:cpu:/x\n") == nil)
        #expect(CgroupTree.unifiedDirectory(cgroup: "0::/a\n", mountinfo: "") == nil)
    }
}
