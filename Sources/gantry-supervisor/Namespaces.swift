import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The namespaces of a plan: opened by path before any is entered, or flags for the clone.
struct Namespaces {
    /// For clone3(2). The cgroup namespace is made later, from inside the cgroup; the time namespace before.
    private var cloneFlags: UInt64 = 0
    private var makesCgroup = false
    private var makesTime = false
    /// A new network namespace has its loopback interface down.
    private var makesNetwork = false
    private var joined: [(flag: UInt64, descriptor: Int32)] = []
    private let idMap: IDMapPlan?
    private let timeOffsets: String

    init(_ plan: ContainerPlan) throws(SetupFailure) {
        (idMap, timeOffsets) = (plan.idMap, plan.timeOffsets)
        for namespace in plan.namespaces {
            if let path = namespace.path {
                let descriptor = try step("open the namespace \(path)") { () throws(SystemError) in
                    try Self.open(path, flag: namespace.flag)
                }
                joined.append((namespace.flag, descriptor))
                continue
            }
            switch namespace.flag {
            case UInt64(CLONE_NEWCGROUP): makesCgroup = true
            case UInt64(CLONE_NEWTIME): makesTime = true
            case UInt64(CLONE_NEWNET):
                makesNetwork = true
                cloneFlags |= namespace.flag
            default: cloneFlags |= namespace.flag
            }
        }
    }

    /// ioctl_ns(2) tells whether the path is a namespace, and of the stated type.
    private static func open(_ path: String, flag: UInt64) throws(SystemError) -> Int32 {
        let file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
        let raw = file.raw
        guard let type = UInt64(exactly: gantry_namespace_type(raw)), type == flag else {
            throw SystemError("not a namespace of the stated type", path: path, code: EINVAL)
        }
        return file.take()
    }

    /// Needed by the child until it has entered them.
    var descriptors: [Int32] { joined.map(\.descriptor) }

    func closeDescriptors() { for descriptor in descriptors { close(descriptor) } }

    private func isJoined(_ flag: Int32) -> Bool { joined.contains { $0.flag == UInt64(flag) } }

    /// The namespace of this type that is joined, or -1.
    func joined(_ flag: Int32) -> Int32 { joined.first { $0.flag == UInt64(flag) }?.descriptor ?? -1 }

    /// The container gets a new one.
    func makes(_ flag: Int32) -> Bool { cloneFlags & UInt64(flag) != 0 }

    /// The child runs in another user namespace and waits for `completeUser` first.
    var changesUser: Bool { idMap != nil || isJoined(CLONE_NEWUSER) }

    // MARK: - In the supervisor

    /// clone3(2); answers process 0 in the child.
    func clone(into cgroup: Int32) throws(SystemError) -> (pid: pid_t, pidfd: Int32) {
        if makesTime { try makeTime() }
        if isJoined(CLONE_NEWUSER) { return try cloneInside(cgroup) }
        for namespace in joined where namespace.flag == UInt64(CLONE_NEWPID) {
            try check("setns") { setns(namespace.descriptor, Int32(CLONE_NEWPID)) }
        }
        // From inside a new user namespace nothing of the host's can be joined any more, so we lend the child ours.
        let own = idMap == nil ? [] : try lendJoined()
        defer { for namespace in own { close(namespace.descriptor) } }
        var pidfd: Int32 = -1
        let pid = try UserNamespace.whileMappable { () throws(SystemError) in
            try check("clone3") { gantry_clone3(cloneFlags, &pidfd, cgroup) }
        }
        guard pid != 0 else { return (0, -1) }
        for namespace in own { try Self.enter(namespace) }
        return (pid, pidfd)
    }

    private static func enter(_ namespace: (flag: UInt64, descriptor: Int32)) throws(SystemError) {
        try check("setns") { setns(namespace.descriptor, Int32(truncatingIfNeeded: namespace.flag)) }
    }

    /// time_namespaces(7): the offsets are fixed once somebody is inside, and our next child will be the first.
    private func makeTime() throws(SystemError) {
        try check("unshare") { unshare(Int32(CLONE_NEWTIME)) }
        guard !timeOffsets.isEmpty else { return }
        try FileDescriptor.open("/proc/self/timens_offsets", O_WRONLY).writeAll(Array(timeOffsets.utf8))
    }

    /// Enters what the child is to join; answers our own, to come back to.
    private func lendJoined() throws(SystemError) -> [(flag: UInt64, descriptor: Int32)] {
        let names: [UInt64: String] = [
            UInt64(CLONE_NEWNET): "net", UInt64(CLONE_NEWIPC): "ipc", UInt64(CLONE_NEWUTS): "uts",
            UInt64(CLONE_NEWCGROUP): "cgroup", UInt64(CLONE_NEWTIME): "time",
        ]
        var own: [(flag: UInt64, descriptor: Int32)] = []
        for namespace in joined {
            guard let name = names[namespace.flag] else { continue }
            own.append((namespace.flag, try FileDescriptor.open("/proc/self/ns/\(name)", O_RDONLY).take()))
            try Self.enter(namespace)
        }
        return own
    }

    /// What the container makes must belong to the user namespace it joins, and who has joined one does not come back:
    /// a helper joins and clones the container's process as our child.
    private func cloneInside(_ cgroup: Int32) throws(SystemError) -> (pid: pid_t, pidfd: Int32) {
        let ends = try Descriptors.pipe()
        var helperPIDFD: Int32 = -1
        let helper = try check("clone3") { gantry_clone3(0, &helperPIDFD, -1) }
        if helper == 0 {
            var answer = enterAll()
            if answer == 0 {
                answer = gantry_clone3_sibling(cloneFlags, cgroup)
                if answer == 0 { return (0, -1) }
                if answer < 0 { answer = -errno }
            }
            _ = write(ends.write, &answer, MemoryLayout<pid_t>.size)
            _exit(0)
        }
        close(ends.write)
        defer { close(ends.read) }
        var answer: pid_t = -ECHILD
        _ = read(ends.read, &answer, MemoryLayout<pid_t>.size)
        var info = siginfo_t()
        gantry_waitid_pidfd(helperPIDFD, &info, WEXITED)
        close(helperPIDFD)
        guard answer > 0 else { throw SystemError("enter the user namespace", code: -answer) }
        return (answer, try check("pidfd_open") { gantry_pidfd_open(answer, 0) })
    }

    /// With our own privileges first, what that leaves with the user namespace's. Answers 0 or a negative errno.
    private func enterAll() -> Int32 {
        var remaining: [(flag: UInt64, descriptor: Int32)] = []
        for namespace in joined where namespace.flag != UInt64(CLONE_NEWUSER) {
            if setns(namespace.descriptor, Int32(truncatingIfNeeded: namespace.flag)) != 0 {
                remaining.append(namespace)
            }
        }
        guard setns(joined(CLONE_NEWUSER), Int32(CLONE_NEWUSER)) == 0 else { return -errno }
        for namespace in remaining where setns(namespace.descriptor, Int32(truncatingIfNeeded: namespace.flag)) != 0 {
            return -errno
        }
        return 0
    }

    /// While the child waits: its maps, and what only we may set for it.
    func completeUser(
        _ process: pid_t, _ plan: ProcessPlan, _ stdio: Stdio, report: Int32
    ) throws(SetupFailure) {
        if let idMap {
            try step("map the user namespace's ids") { () throws(SystemError) in
                try UserNamespace.writeMaps(idMap, of: process)
            }
        }
        try ProcessAttributes.apply(plan, to: process, report: report)
        stdio.give(toRootOf: process)
    }

    // MARK: - In the child

    func enterOthers() throws(SystemError) {
        if changesUser {
            try UserNamespace.becomeRoot()
        } else {
            for namespace in joined where namespace.flag != UInt64(CLONE_NEWPID) { try Self.enter(namespace) }
        }
        if makesCgroup { try check("unshare") { unshare(Int32(CLONE_NEWCGROUP)) } }
        if makesNetwork { try check("bring up lo") { gantry_loopback_up() } }
    }
}

extension Stdio {
    /// A pipe belongs to who made it; the root of another user namespace could not open /dev/stdout again.
    func give(toRootOf process: pid_t) {
        guard let owner = UserNamespace.root(of: process, map: "uid_map"), owner != 0,
            let group = UserNamespace.root(of: process, map: "gid_map")
        else { return }
        // Best effort: without it only opening the stream again fails.
        for stream in [stdin, stdout, stderr] where stream >= 0 { _ = fchown(stream, owner, group) }
    }
}
