import FoundationEssentials
import Glibc
import SupervisorPlan
import Testing

@testable import ContainerRuntime

@Suite struct CgroupLimitTests {
    private static let all = [
        "memory", "cpu", "cpuset", "pids", "io", "blkio", "hugetlb", "net_cls", "net_prio", "rdma",
    ]
    private let one = CgroupLayout.Hierarchy(version: .one, mountPoint: "/one", controllers: all)
    private let two = CgroupLayout.Hierarchy(version: .two, mountPoint: "/two", controllers: all)

    private func texts(
        _ hierarchy: CgroupLayout.Hierarchy, present: [String: String] = [:],
        _ configure: (inout RuntimeSpec.Resources) -> Void
    ) throws -> [String] {
        var resources = RuntimeSpec.Resources()
        configure(&resources)
        let writes = try CgroupLimits(resources: resources) { present[$0] }.writes(hierarchy)
        return writes.map { "\($0.file)=\($0.value)" }
    }

    @Test(arguments: [
        (0, 1), (2, 1), (3, 2), (512, 59), (1024, 100), (2048, 174), (10_240, 639), (262_144, 10_000),
        (1 << 40, 10_000),
    ])
    func sharesBecomeWeights(shares: UInt64, weight: UInt64) {
        #expect(CgroupWeights.cpu(shares: shares) == weight)
    }

    @Test func blockWeightsKeepTheirEnds() {
        #expect([10, 500, 1000].map { CgroupWeights.io(blkio: $0) } == [1, 4950, 10_000])
    }

    @Test func memoryIsCountedAsTheVersionDoes() throws {
        let set = { (resources: inout RuntimeSpec.Resources) in
            resources.memory = .init(limit: 100, reservation: 60, swap: 150)
            resources.memory?.swappiness = 7
            resources.memory?.disableOOMKiller = true
        }
        #expect(
            try texts(one, set) == [
                "memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=150", "memory.soft_limit_in_bytes=60",
                "memory.swappiness=7", "memory.oom_control=1",
            ])
        #expect(try texts(two, set) == ["memory.max=100", "memory.swap.max=50", "memory.low=60"])
        #expect(
            try texts(two) { $0.memory = .init(limit: -1, swap: -1) } == ["memory.max=max", "memory.swap.max=max"])
        #expect(try texts(two) { $0.memory = .init(limit: 0, reservation: 0, swap: 0) } == [])
        #expect(try texts(two, present: ["memory.max": "40"]) { $0.memory = .init(swap: 90) } == ["memory.swap.max=50"])
    }

    @Test func impossibleMemoryIsRefused() {
        for memory in [
            RuntimeSpec.Resources.Memory(limit: 100, swap: 99), .init(limit: -1, swap: 5), .init(swap: 5),
        ] {
            #expect(throws: RuntimeError.self) { try texts(two) { $0.memory = memory } }
        }
        #expect(throws: RuntimeError.self) { try texts(one) { $0.memory = .init(limit: 100, swap: 99) } }
        #expect(throws: RuntimeError.self) {
            try texts(two, present: ["memory.current": "200"]) {
                $0.memory = .init(limit: 100)
                $0.memory?.checkBeforeUpdate = true
            }
        }
        #expect(throws: RuntimeError.self) { try texts(one) { $0.memory = Self.swappy(101) } }
    }

    private static func swappy(_ value: UInt64) -> RuntimeSpec.Resources.Memory {
        var memory = RuntimeSpec.Resources.Memory()
        memory.swappiness = value
        return memory
    }

    private func cpu(_ set: (inout RuntimeSpec.Resources.CPU) -> Void) -> RuntimeSpec.Resources.CPU {
        var cpu = RuntimeSpec.Resources.CPU()
        set(&cpu)
        return cpu
    }

    @Test func processorsAreShared() throws {
        let full = cpu {
            ($0.shares, $0.quota, $0.period, $0.burst) = (1024, 50_000, 100_000, 1000)
            ($0.realtimeRuntime, $0.realtimePeriod, $0.cpus, $0.mems) = (900, 1000, "0-1", "0")
        }
        #expect(
            try texts(one) { $0.cpu = full } == [
                "cpu.shares=1024", "cpu.rt_period_us=1000", "cpu.rt_runtime_us=900", "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=50000", "cpu.cfs_burst_us=1000", "cpuset.cpus=0-1", "cpuset.mems=0",
            ])
        #expect(
            try texts(two) { $0.cpu = full } == [
                "cpu.weight=100", "cpu.max=50000 100000", "cpu.max.burst=1000", "cpuset.cpus=0-1", "cpuset.mems=0",
            ])
        // What an update leaves out stays, also in a file that holds two values.
        let present = ["cpu.max": "20000 40000"]
        #expect(try texts(two, present: present) { $0.cpu = cpu { $0.period = 50_000 } } == ["cpu.max=20000 50000"])
        #expect(try texts(two, present: present) { $0.cpu = cpu { $0.quota = -1 } } == ["cpu.max=max 40000"])
        #expect(try texts(one) { $0.cpu = cpu { $0.quota = -1 } } == ["cpu.cfs_quota_us=-1"])
        // An idle group takes no shares.
        for (idle, expected) in [
            (Int64(0), ["cpu.idle=0", "cpu.shares=2"]), (1, ["cpu.shares=2", "cpu.idle=1"]),
        ] {
            #expect(
                try texts(one) {
                    $0.cpu = cpu {
                        $0.shares = 2
                        $0.idle = idle
                    }
                } == expected)
        }
        #expect(throws: RuntimeError.self) { try texts(one) { $0.cpu = cpu { $0.idle = 2 } } }
        #expect(throws: RuntimeError.self) { try texts(two) { $0.cpu = cpu { $0.cpus = "0\n1" } } }
    }

    @Test(arguments: [(-1, "max"), (0, "1"), (7, "7")])
    func processCounts(limit: Int64, text: String) throws {
        #expect(try texts(two) { $0.pids = .init(limit: limit) } == ["pids.max=\(text)"])
    }

    @Test func blockDevicesAreThrottled() throws {
        let set = { (resources: inout RuntimeSpec.Resources) in
            var block = RuntimeSpec.Resources.BlockIO()
            block.weight = 1000
            block.weightDevice = [.init(major: 8, minor: 0, weight: 10)]
            block.throttleReadBpsDevice = [.init(major: 8, minor: 0, rate: 100)]
            block.throttleWriteIOPSDevice = [.init(major: 8, minor: 16, rate: 5), .init(major: 8, minor: 32, rate: 0)]
            resources.blockIO = block
        }
        #expect(
            try texts(one, set) == [
                "blkio.weight=1000", "blkio.weight_device=8:0 10", "blkio.throttle.read_bps_device=8:0 100",
                "blkio.throttle.write_iops_device=8:16 5", "blkio.throttle.write_iops_device=8:32 0",
            ])
        #expect(
            try texts(two, set) == [
                "io.bfq.weight=1000", "io.bfq.weight=8:0 10", "io.max=8:0 rbps=100", "io.max=8:16 wiops=5",
                "io.max=8:32 wiops=max",
            ])
        var resources = RuntimeSpec.Resources()
        set(&resources)
        let instead = try CgroupLimits(resources: resources).writes(two).flatMap(\.instead)
        #expect(instead.map(\.value) == ["10000", "8:0 1"])
        #expect(throws: RuntimeError.self) {
            try texts(two) {
                $0.blockIO = .init()
                $0.blockIO?.weight = 9
            }
        }
    }

    @Test func theRestHasItsFiles() throws {
        let set = { (resources: inout RuntimeSpec.Resources) in
            resources.hugepageLimits = [.init(pageSize: "2MB", limit: 4096)]
            var network = RuntimeSpec.Resources.Network()
            (network.classID, network.priorities) = (65_537, [.init(name: "eth0", priority: 5)])
            resources.network = network
            var device = RuntimeSpec.Resources.RDMA()
            device.hcaHandles = 3
            resources.rdma = ["mlx5_1": device]
            resources.unified = ["memory.high": "1024", "cpu.uclamp.min": "10"]
        }
        #expect(
            try texts(one, set) == [
                "hugetlb.2MB.limit_in_bytes=4096", "hugetlb.2MB.rsvd.limit_in_bytes=4096", "net_cls.classid=65537",
                "net_prio.ifpriomap=eth0 5", "rdma.max=mlx5_1 hca_handle=3",
            ])
        #expect(try texts(two, set).suffix(2) == ["cpu.uclamp.min=10", "memory.high=1024"])
    }

    @Test(arguments: ["../x.y", "a/b.c", "", ".", "..", "cgroup.procs", "cgroup.subtree_control", "memory", "a\n.b"])
    func unsafeFilesAreRefused(file: String) {
        #expect(throws: RuntimeError.self) { try texts(two) { $0.unified = [file: "1"] } }
    }

    @Test(arguments: ["2", "MB", "2MB/../x", "2TB", ""])
    func unknownPageSizesAreRefused(size: String) {
        #expect(throws: RuntimeError.self) {
            try texts(two) { $0.hugepageLimits = [.init(pageSize: size, limit: 1)] }
        }
    }

    /// A limit that the host cannot keep is an error, a preference is a warning.
    @Test func missingControllersAreNamed() throws {
        let bare = CgroupLayout(mountinfo: "1 1 0:1 / /c rw - cgroup2 cgroup2 rw") { _ in "pids" }
        var resources = RuntimeSpec.Resources()
        resources.memory = .init(reservation: 5)
        resources.cpu = cpu { $0.shares = 5 }
        #expect(try bare.plans(name: "x", resources: resources).count == 1)
        #expect(bare.warnings(resources).count == 2)
        resources.memory?.limit = 9
        #expect(throws: RuntimeError.self) { try bare.plans(name: "x", resources: resources) }
        let none = CgroupLayout(mountinfo: "") { _ in "" }
        resources = .init()
        resources.unified = ["memory.high": "1"]
        #expect(throws: RuntimeError.self) { try none.plans(name: "x", resources: resources) }
    }

    @Test func specificationNamesAreRead() throws {
        let json = """
            {"memory": {"limit": 1, "disableOOMKiller": false, "useHierarchy": true, "checkBeforeUpdate": false,
              "kernel": 5, "kernelTCP": 6},
             "cpu": {"burst": 1, "realtimeRuntime": 2, "realtimePeriod": 3, "idle": 0},
             "pids": {}, "blockIO": {"weight": 10, "leafWeight": 10, "weightDevice": [{"major": 8, "minor": 0,
              "weight": 500, "leafWeight": 300}], "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
              "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 300}]},
             "hugepageLimits": [{"pageSize": "2MB", "limit": 9223372036854772000}],
             "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},
             "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}, "unified": {"io.max": "259:0 rbps=2097152"}}
            """
        let resources = try JSONDecoder().decode(RuntimeSpec.Resources.self, from: Data(json.utf8))
        #expect(resources.pids?.limit == nil && resources.blockIO?.weightDevice?.first?.leafWeight == 300)
        #expect(resources.rdma?["mlx5_1"]?.hcaObjects == 10_000 && resources.network?.classID == 1_048_577)
    }

    @Test func refusedWritesAreTriedAgain() {
        // As v1: the memory limit may not be above memory plus swap.
        var (memory, swap) = (10, 10)
        func perform(_ write: CgroupWrite) -> Int32 {
            let value = Int(write.value) ?? 0
            if write.file == "m" {
                if value > swap { return EINVAL }
                memory = value
            } else {
                if value < memory { return EINVAL }
                swap = value
            }
            return 0
        }
        for value in [50, 5, 70] {
            let result = CgroupWrite.perform([CgroupWrite("m", "\(value)"), CgroupWrite("s", "\(value)")], by: perform)
            #expect(result.failure == nil && memory == value && swap == value)
        }
        let refused = CgroupWrite.perform([CgroupWrite("m", "99")], by: perform)
        #expect(refused.failure?.code == EINVAL)
        let missing = CgroupWrite.perform([
            CgroupWrite("a", "1", instead: CgroupWrite("b", "2", missing: .warning)),
            CgroupWrite("c", "1", missing: .ignored),
        ]) { _ in ENOENT }
        #expect(missing.failure == nil && missing.skipped.map(\.write.file) == ["b"])
    }
}

@Suite struct CgroupNameTests {
    @Test(arguments: [
        ("/a/b", "a/b"), ("a//b/", "a/b"), ("a b", "a b"), ("system.slice:x:y", "system.slice:x:y"),
    ])
    func pathsAreTakenBelowTheHierarchy(path: String, name: String) throws {
        #expect(try CgroupLayout.checkName(path) == name)
    }

    @Test(arguments: ["", "/", "..", "a/../b", "./a", "a\nb", "a\0b"])
    func pathsThatLeadOutAreRefused(path: String) {
        #expect(throws: RuntimeError.self) { try CgroupLayout.checkName(path) }
    }

    @Test(arguments: ["a/b", "a b%", "ü/%41"])
    func recordsKeepThem(name: String) throws {
        let record = StateRecord(supervisorPID: 1, supervisorStart: 2, cgroupName: name)
        #expect(StateRecord(text: record.text)?.cgroupName == name)
    }
}

@Suite struct DeviceListTests {
    private func list(_ rules: [RuntimeSpec.DeviceRule]) throws -> [String]? {
        try DeviceList(rules)?.writes.map { "\($0.file.dropFirst("devices.".count)) \($0.value)" }
    }

    @Test func rulesComeToAList() throws {
        #expect(try list([]) == nil)
        #expect(try list([.init(allow: true)]) == nil)
        #expect(
            try list([
                .init(allow: false), .init(allow: true, type: "c", major: 1, minor: 3, access: "rw"),
                .init(allow: true, type: "c", major: 1, minor: 3, access: "m"),
                .init(allow: true, type: "b", major: 8), .init(allow: false, type: "b", major: 8, access: "w"),
            ]) == ["deny a", "allow b 8:* rm", "allow c 1:3 rwm"])
        #expect(
            try list([.init(allow: true), .init(allow: false, type: "b", major: 8)]) == ["allow a", "deny b 8:* rwm"])
        #expect(try list([.init(allow: true, type: "a", major: 1)])?.count == 3)
        // v1 cannot take a part out of an exception.
        #expect(throws: RuntimeError.self) {
            try list([.init(allow: true, type: "b"), .init(allow: false, type: "b", major: 8)])
        }
    }

    @Test func updatesDenyNothingThatStays() throws {
        let present = DeviceList(listed: "c 1:3 rwm\nc 1:5 rw\nb *:* m\n")
        let rules = [
            RuntimeSpec.DeviceRule(allow: true, type: "c", major: 1, minor: 3, access: "r"),
            .init(allow: true, type: "c", major: 1, minor: 7), .init(allow: true, type: "b", access: "m"),
        ]
        let writes = try #require(try DeviceList(rules)?.transition(from: present))
        #expect(
            writes.map { "\($0.file) \($0.value)" } == [
                "devices.allow c 1:7 rwm", "devices.deny c 1:3 wm", "devices.deny c 1:5 rw",
            ])
        #expect(try DeviceList(rules)?.transition(from: DeviceList(listed: "a *:* rwm")) == nil)
    }

    @Test func everyContainerHasItsDefaults() {
        #expect(RuntimeSpec.DeviceRule.completed([]).isEmpty)
        #expect(RuntimeSpec.DeviceRule.completed([.init(allow: true)]).count == 1)
        let completed = RuntimeSpec.DeviceRule.completed([.init(allow: false)])
        #expect(completed.contains(.init(allow: true, type: "c", major: 1, minor: 3)))
        let standard = RuntimeSpec.defaultDeviceRules
        #expect(RuntimeSpec.DeviceRule.completed(standard) == standard)
    }
}

@Suite struct CgroupTextTests {
    @Test func blockStatisticsAreRead() {
        let two = CgroupText.blockTwo("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n254:0 rbytes=7\nx y=1\n")
        #expect(two.count == 4)
        #expect(two.first == .init(major: 8, minor: 0, operation: "read", bytes: 1, requests: 3))
        let one = CgroupText.blockOne(bytes: "8:0 Read 10\n8:0 Total 10\nTotal 10\n", requests: "8:0 Read 2\n")
        #expect(one == [.init(major: 8, minor: 0, operation: "read", bytes: 10, requests: 2)])
    }

    @Test func pressureIsRead() {
        let text = "some avg10=1.50 avg60=0.00 avg300=2.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n"
        let pressure = CgroupText.pressure(text)
        #expect(pressure?.some.average10 == 1.5 && pressure?.full?.totalMicroseconds == 3)
        #expect(CgroupText.pressure("garbage") == nil)
    }
}
