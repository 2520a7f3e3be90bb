import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The container's cgroups as directories: made, entered, removed.
struct Cgroups {
    private let plans: [CgroupPlan]
    /// `tasks` of each v1 cgroup, opened for the child, which writes `0`: its own move needs no global lock.
    private(set) var tasks: [Int32] = []
    /// The v2 cgroup's directory, for CLONE_INTO_CGROUP; -1 without one.
    private(set) var unified: Int32 = -1

    /// Makes every directory, sets the limits, opens what the child needs.
    init(making plans: [CgroupPlan]) throws(SetupFailure) {
        self.plans = plans
        for plan in plans {
            try step("make the cgroup \(plan.path)") { () throws(SystemError) in
                try Self.make(plan.path, copiesParentCPUSet: plan.copiesParentCPUSet, isLeaf: true)
            }
            for write in plan.writes {
                try step("set \(write.file) to \(write.value)") { () throws(SystemError) in
                    try Self.apply(write, at: plan.path)
                }
            }
        }
        try open()
        for plan in plans where !plan.deviceFilter.isEmpty {
            try step("attach the device filter") { () throws(SystemError) in
                try Self.attachDeviceFilter(plan.deviceFilter, to: unified)
            }
        }
    }

    /// The cgroups of a running container.
    init(existing plans: [CgroupPlan]) throws(SetupFailure) {
        self.plans = plans
        try open()
    }

    private mutating func open() throws(SetupFailure) {
        for plan in plans {
            let path = plan.version == .one ? "\(plan.path)/tasks" : plan.path
            let flags = plan.version == .one ? O_WRONLY : O_RDONLY | O_DIRECTORY
            let descriptor = try step("open the cgroup") { () throws(SystemError) in
                try FileDescriptor.open(path, flags).take()
            }
            if plan.version == .one { tasks.append(descriptor) } else { unified = descriptor }
        }
    }

    func closeDescriptors() {
        for descriptor in tasks { close(descriptor) }
        if unified >= 0 { close(unified) }
    }

    private static func make(_ path: String, copiesParentCPUSet: Bool, isLeaf: Bool) throws(SystemError) {
        let result = mkdir(path, 0o755)
        if result != 0, errno == ENOENT {
            try make(FileSystem.parent(of: path), copiesParentCPUSet: copiesParentCPUSet, isLeaf: false)
            try check("mkdir", path: path) { mkdir(path, 0o755) }
        } else if result != 0, errno == EEXIST, isLeaf {
            // Left by an earlier run: gone unless something still lives in it, and then this start must not join.
            try CgroupTree.remove(path)
            try check("mkdir", path: path) { mkdir(path, 0o755) }
        } else if result != 0, errno != EEXIST {
            throw SystemError("mkdir", path: path, code: errno)
        }
        if copiesParentCPUSet {
            let parent = FileSystem.parent(of: path)
            for file in ["cpuset.cpus", "cpuset.mems"] where try CgroupTree.read(path, file).isEmpty {
                try CgroupTree.write(path, file, try CgroupTree.read(parent, file))
            }
        }
    }

    private static func apply(_ write: CgroupWrite, at path: String) throws(SystemError) {
        do {
            try CgroupTree.write(path, write.file, write.value)
        } catch {
            guard write.optional, error.code == ENOENT || error.code == EOPNOTSUPP || error.code == EINVAL else {
                throw error
            }
        }
    }

    private static func attachDeviceFilter(_ program: [UInt8], to cgroup: Int32) throws(SystemError) {
        let count = UInt32(program.count / 8)
        let loaded = FileDescriptor(
            owning: try check("bpf") { program.withUnsafeBytes { gantry_bpf_load_device($0.baseAddress, count) } })
        let raw = loaded.raw
        try check("bpf") { gantry_bpf_attach_device(cgroup, raw) }
    }

    /// The kernel counted an out-of-memory kill in the container. v2: memory.events; v1: memory.oom_control.
    func sawOutOfMemory() -> Bool {
        for plan in plans {
            let file = plan.version == .two ? "memory.events" : "memory.oom_control"
            // No such file means no memory controller here: nothing to report.
            if let count = try? CgroupTree.value(plan.path, file, key: "oom_kill"), count > 0 { return true }
        }
        return false
    }

    /// Ends what is left in the container: a process of a shared pid namespace outlives its init.
    func killLeftovers() {
        for plan in plans where plan.version == .two {
            // Missing before Linux 5.14; the walk below does the same, only not at one stroke.
            if (try? CgroupTree.write(plan.path, "cgroup.kill", "1")) != nil { return }
        }
        for plan in plans {
            // Unreadable means gone.
            for process in (try? CgroupTree.processes(plan.path)) ?? [] { kill(process, SIGKILL) }
        }
    }

    func remove() {
        // Best effort: what is busy for longer is left to the engine's `delete`.
        for plan in plans { try? CgroupTree.remove(plan.path) }
    }
}
