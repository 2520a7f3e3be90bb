import StackModel
import Testing

@testable import StackFile

/// What a container may use.
struct LimitAttributeTests {
    @Test func memory() throws {
        try expect("mem_limit: 512m", \.resources.memory, 512 << 20)
        try expect("mem_limit: 1000000", \.resources.memory, 1_000_000)
        try expect("mem_reservation: 256m", \.resources.memoryReservation, 256 << 20)
        try expect("memswap_limit: 1g", \.resources.memorySwap, 1 << 30)
        try expect("memswap_limit: -1", \.resources.memorySwap, -1)
        try expect("mem_swappiness: 60", \.resources.memorySwappiness, 60)
        try expect("mem_limit: 0", \.resources.memory, nil)
    }

    @Test(
        arguments: [
            ("2b", 2), ("1024kb", 1 << 20), ("2048k", 2 << 20), ("300m", 300 << 20), ("1gb", 1 << 30),
            ("1.5g", 3 << 29),
            ("50M", 50 << 20), ("1T", 1 << 40), ("10", 10), ("\"10\"", 10),
        ] as [(String, Int64)])
    func sizes(text: String, bytes: Int64) throws {
        try expect("mem_limit: \(text)", \.resources.memory, bytes)
        try expect("shm_size: \(text)", \.shmSize, bytes)
        try expect(
            "deploy: {resources: {limits: {memory: \"\(text.filter { $0 != "\"" })\"}}}", \.resources.memory, bytes)
    }

    @Test func processors() throws {
        try expect("cpus: 1.5", \.resources.nanoCPUs, 1_500_000_000)
        try expect("cpus: \"0.5\"", \.resources.nanoCPUs, 500_000_000)
        try expect("cpus: 2", \.resources.nanoCPUs, 2_000_000_000)
        try expect("cpu_shares: 1024", \.resources.cpuShares, 1024)
        try expect("cpu_shares: \"73\"", \.resources.cpuShares, 73)
        try expect("cpu_quota: 50000", \.resources.cpuQuota, 50_000)
        try expect("cpu_quota: \"50000\"", \.resources.cpuQuota, 50_000)
        try expect("cpuset: \"0,1\"", \.resources.cpuset, "0,1")
        try expect("cpuset: 0-3", \.resources.cpuset, "0-3")
        try expect("cpu_count: 4", \.resources.cpuCount, 4)
        try expect("cpu_count: \"4\"", \.resources.cpuCount, 4)
        try expect("cpu_percent: 50", \.resources.cpuPercent, 50)
    }

    @Test func periods() throws {
        for (key, property) in [
            ("cpu_period", \Service.resources.cpuPeriod), ("cpu_rt_period", \.resources.cpuRealtimePeriod),
            ("cpu_rt_runtime", \.resources.cpuRealtimeRuntime),
        ] {
            try expect("\(key): 95000", property, 95_000)
            try expect("\(key): \"95000\"", property, 95_000)
            // The specification has `400ms`, which compose-go refuses.
            #expect(serviceErrors("\(key): 400ms").map(\.code) == ["stack.value"])
        }
    }

    @Test func processes() throws {
        try expect("pids_limit: 10", \.resources.pids, 10)
        try expect("pids_limit: \"10\"", \.resources.pids, 10)
        try expect("pids_limit: -1", \.resources.pids, -1)
        try expect("pids_limit: 0", \.resources.pids, nil)
    }

    @Test func ulimits() throws {
        try expect(
            "ulimits: {nproc: 65535, nofile: {soft: 20000, hard: 40000}, core: -1, memlock: {soft: -1, hard: -1}}",
            \.ulimits,
            [
                "nproc": Ulimit(soft: 65_535, hard: 65_535), "nofile": Ulimit(soft: 20_000, hard: 40_000),
                "core": Ulimit(soft: -1, hard: -1), "memlock": Ulimit(soft: -1, hard: -1),
            ])
        try expect("ulimits: {nproc: \"5\"}", \.ulimits, ["nproc": Ulimit(soft: 5, hard: 5)])
    }

    @Test func outOfMemory() throws {
        try expect("oom_score_adj: 500", \.oomScoreAdjust, 500)
        try expect("oom_score_adj: -1000", \.oomScoreAdjust, -1000)
        try expect("oom_kill_disable: true", \.oomKillDisable, true)
        try expect("oom_kill_disable: false", \.oomKillDisable, false)
    }

    @Test func blockDevices() throws {
        let expected = with(BlockIO()) {
            $0.weight = 300
            $0.deviceWeights = [.init(path: "/dev/sda", weight: 400)]
            $0.readBytes = [.init(path: "/dev/sda", rate: 1 << 20)]
            $0.writeBytes = [.init(path: "/dev/sda", rate: 1024), .init(path: "/dev/sdb", rate: 12 << 20)]
            $0.readOperations = [.init(path: "/dev/sda", rate: 100)]
            $0.writeOperations = [.init(path: "/dev/sda", rate: 200)]
        }
        try expect(
            """
            blkio_config:
              weight: 300
              weight_device: [{path: /dev/sda, weight: 400}]
              device_read_bps: [{path: /dev/sda, rate: 1024k}]
              device_write_bps: [{path: /dev/sda, rate: 1024}, {path: /dev/sdb, rate: '12mb'}]
              device_read_iops: [{path: /dev/sda, rate: 100}]
              device_write_iops: [{path: /dev/sda, rate: "200"}]
            """, \.resources.blockIO, expected)
        try expect("image: a", \.resources.blockIO, nil)
    }
}
