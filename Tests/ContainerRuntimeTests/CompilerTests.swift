import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

@Suite struct CompilerTests {
    @Test func mountOptionsBecomeAttributes() throws {
        let options = try MountOptions(["rbind", "ro", "nosuid", "noatime", "exec", "rslave", "size=1m", "flag"])
        #expect(options.isBind && options.recursive)
        #expect(options.attributesSet == UInt64(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME))
        #expect(options.attributesClear & UInt64(MOUNT_ATTR_NOEXEC) != 0)
        // The kernel wants the whole field cleared when one time option is set.
        #expect(options.attributesClear & UInt64(MOUNT_ATTR__ATIME) == UInt64(MOUNT_ATTR__ATIME))
        #expect(options.propagation == UInt64(MS_SLAVE) && options.propagationRecursive)
        #expect(options.parameters == [MountParameter("size", "1m"), MountParameter("flag")])
        // The last one wins.
        #expect(try MountOptions(["ro", "rw"]).attributesSet == 0)
        #expect(try MountOptions(["tmpcopyup"]).behaviour == .copyUp)
        #expect(throws: RuntimeError.self) { try MountOptions(["a\0b"]) }
    }

    private func hybrid() -> CgroupLayout {
        let mountinfo = """
            31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
            34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            36 31 0:33 /sub /elsewhere/devices rw - cgroup cgroup rw,devices
            36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
            """
        return CgroupLayout(mountinfo: mountinfo) { _ in "pids hugetlb" }
    }

    @Test func controllersAreFoundWhereverTheyAre() {
        let layout = hybrid()
        #expect(layout.path(of: "memory", name: "g/x")?.path == "/sys/fs/cgroup/memory/g/x")
        #expect(layout.path(of: "cpuacct", name: "g/x")?.path == "/sys/fs/cgroup/cpu,cpuacct/g/x")
        #expect(layout.path(of: "devices", name: "g/x")?.path == "/sys/fs/cgroup/devices/g/x")
        #expect(layout.path(of: "pids", name: "g/x")?.version == .two)
        #expect(layout.path(of: "io", name: "g/x") == nil)
        #expect(layout.unified?.mountPoint == "/sys/fs/cgroup/unified")
    }

    @Test func limitsGoToTheirControllers() throws {
        var resources = RuntimeSpec.Resources()
        resources.memory = .init(limit: 100, reservation: 50, swap: 150)
        var cpu = RuntimeSpec.Resources.CPU()
        cpu.setNanoCPUs(1_500_000_000)
        cpu.shares = 1024
        cpu.cpus = "0-1"
        resources.cpu = cpu
        resources.pids = .init(limit: 9)
        let mixed = try hybrid().plans(name: "g/x", resources: resources)
        let writes = Dictionary(
            uniqueKeysWithValues: mixed.map { ($0.path, $0.writes.map { "\($0.file)=\($0.value)" }) })
        #expect(
            writes["/sys/fs/cgroup/memory/g/x"] == [
                "memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=150", "memory.soft_limit_in_bytes=50",
            ])
        #expect(
            writes["/sys/fs/cgroup/cpu,cpuacct/g/x"] == [
                "cpu.shares=1024", "cpu.cfs_period_us=100000", "cpu.cfs_quota_us=150000",
            ])
        #expect(writes["/sys/fs/cgroup/cpuset/g/x"] == ["cpuset.cpus=0-1"])
        #expect(writes["/sys/fs/cgroup/unified/g/x"] == ["pids.max=9"])
        let two = CgroupLayout(mountinfo: "1 1 0:1 / /c rw - cgroup2 cgroup2 rw") { _ in "cpu cpuset memory pids" }
        let pure = try two.plans(name: "g/x", resources: resources)
        #expect(
            pure[0].writes.map { "\($0.file)=\($0.value)" } == [
                "memory.max=100", "memory.swap.max=50", "memory.low=50", "cpu.weight=100", "cpu.max=150000 100000",
                "cpuset.cpus=0-1", "pids.max=9",
            ])
        resources.memory = .init(limit: 100, swap: 50)
        #expect(throws: RuntimeError.self) { try two.plans(name: "g/x", resources: resources) }
        resources.memory = nil
        resources.cpu?.cpus = "0\n1"
        #expect(throws: RuntimeError.self) { try two.plans(name: "g/x", resources: resources) }
    }

    @Test func capabilitiesAddUpAsUnderDocker() throws {
        let base = Set(RuntimeSpec.defaultCapabilities)
        #expect(Set(try CapabilityNames.resolve(add: [], drop: [])) == base)
        #expect(
            Set(try CapabilityNames.resolve(add: ["net_admin"], drop: ["CAP_CHOWN"]))
                == base.union(["CAP_NET_ADMIN"]).subtracting(["CAP_CHOWN"]))
        #expect(try CapabilityNames.resolve(add: ["KILL"], drop: ["ALL"]) == ["CAP_KILL"])
        #expect(Set(try CapabilityNames.resolve(add: ["ALL"], drop: ["KILL"])).contains("CAP_SYS_ADMIN"))
        #expect(throws: RuntimeError.unknownCapability("CAP_NOPE")) {
            try CapabilityNames.resolve(add: ["nope"], drop: [])
        }
        #expect(throws: RuntimeError.unknownCapability("CAP_7")) { try CapabilityNames.resolve(add: ["7"], drop: []) }
        #expect(try CapabilityNames.mask(["CAP_CHOWN", "kill"]) == 1 | 1 << 5)
    }

    @Test(arguments: [
        ("root", 0, 0), ("u", 5, 6), ("9", 9, 4), ("12", 12, 0), ("u:g", 5, 77), ("9:g", 9, 77), ("u:3", 5, 3),
    ])
    func usersAreFound(text: String, uid: UInt32, gid: UInt32) throws {
        let database = UserDatabase(
            passwd: Array("root:x:0:0::/root:\nbroken\nu:x:5:6::/home/u:\nnine:x:9:4::/:\n12:x:1:1::/:\n".utf8),
            group: Array("g:x:77:u,v\nh:x:78:u\n".utf8))
        let user = try database.resolve(text, extraGroups: ["h"])
        #expect((user.uid, user.gid) == (uid, gid))
        #expect(user.groups.contains(78) && user.groups.contains(gid))
    }

    @Test func specificationIsReadFromJSONShapes() throws {
        var spec = RuntimeSpec.containerDefault()
        spec.linux.sysctl = ["net.core.somaxconn": "1"]
        #expect(spec.linux.namespaces.count == 6)
        #expect(spec.mounts.map(\.destination).first == "/proc")
    }
}
