import Testing

@testable import ContainerRuntime

@Suite struct CgroupControlsTests {
    private func same(_ file: String, _ one: String, _ other: String) -> Bool {
        CgroupControls.normal(file, one) == CgroupControls.normal(file, other)
    }

    @Test func theKernelsSpellingIsNoDifference() {
        #expect(same("memory.limit_in_bytes", "-1", "9223372036854771712"))
        #expect(same("memory.limit_in_bytes", "67108864", "67108865") && !same("memory.max", "67108864", "33554432"))
        #expect(same("memory.max", "max", "max") && !same("memory.max", "max", "4096"))
        #expect(same("cpu.shares", "1", "2") && same("cpu.shares", "999999999", "262144"))
        #expect(!same("cpu.shares", "512", "1024"))
        #expect(same("cpu.cfs_quota_us", "-1", "-1") && !same("cpu.cfs_quota_us", "-1", "50000"))
        #expect(same("cpuset.cpus", "0-2,4", "0,1,2,4") && !same("cpuset.cpus", "0-2", "0,1"))
        #expect(!same("pids.max", "max", "10") && !same("cpu.max", "max 100000", "50000 100000"))
    }

    @Test func nonsenseIsComparedAsItStands() {
        for file in ["memory.max", "cpu.shares", "cpuset.cpus", "cpu.cfs_quota_us"] {
            #expect(CgroupControls.normal(file, "") != nil && same(file, "what?", "what?"))
        }
        #expect(CgroupControls.normal("cpuset.cpus", "3-1") == "3-1")
        #expect(CgroupControls.normal("cpuset.cpus", "0-99999999999") == "0-99999999999")
        #expect(CgroupControls.normal("cgroup.procs", "1") == nil)
    }
}
