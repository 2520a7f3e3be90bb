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
            try Self.apply(plan.writes, at: plan.path)
        }
        try open()
        for plan in plans where !plan.deviceFilter.isEmpty {
            try step("attach the device filter") { () throws(SystemError) in
                try CgroupDeviceFilter.set(plan.deviceFilter, cgroup: unified)
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
        // Programs of any user look their limits up there.
        let previous = umask(0o022)
        defer { _ = umask(previous) }
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
        if copiesParentCPUSet { try CgroupTree.copyParentCPUSet(path) }
    }

    private static func apply(_ writes: [CgroupWrite], at path: String) throws(SetupFailure) {
        let (failure, skipped) = CgroupWrite.perform(writes) { write in
            do throws(SystemError) {
                try CgroupTree.write(path, write.file, write.value)
                return 0
            } catch {
                return error.code
            }
        }
        for refusal in skipped {
            Report.send(.warning("cannot \(refusal.explanation)"), to: SupervisorDescriptor.report)
        }
        if let failure { throw SetupFailure(step: failure.explanation, code: failure.code, text: path) }
    }

    /// A container that has handed its controllers down takes no more processes itself: a further one joins its init
    /// wherever that is. Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint".
    mutating func moveDown(to process: pid_t) throws(SystemError) {
        for plan in plans where plan.version == .two {
            guard let place = try CgroupTree.place(of: process, below: plan.path) else { continue }
            let descriptor = try FileDescriptor.open(place, O_RDONLY | O_DIRECTORY).take()
            if unified >= 0 { close(unified) }
            unified = descriptor
        }
    }

    /// The kernel counted an out-of-memory kill in the container. v2: memory.events; v1: memory.oom_control, which
    /// leaves out the cgroups below.
    func sawOutOfMemory() -> Bool {
        for plan in plans {
            let count: UInt64?
            do throws(SystemError) {
                count =
                    plan.version == .two
                    ? try CgroupTree.value(plan.path, "memory.events", key: "oom_kill")
                    : try CgroupTree.sum(plan.path, "memory.oom_control", key: "oom_kill")
            } catch {
                continue  // No such file means no memory controller here: nothing to report.
            }
            if let count, count > 0 { return true }
        }
        return false
    }

    /// Ends what is left in the container: a process of a shared pid namespace outlives its init.
    func killLeftovers() {
        let unified = plans.first { $0.version == .two }?.path
        let others = plans.filter { $0.version == .one }.map(\.path)
        // The engine does it again when the container is removed.
        try? CgroupTree.killAll(
            unified: unified, freezer: others.first { FileSystem.exists("\($0)/freezer.state") }, others: others)
    }

    func remove() {
        // Best effort: what is busy for longer is left to the engine's `delete`.
        for plan in plans { try? CgroupTree.remove(plan.path) }
    }
}
