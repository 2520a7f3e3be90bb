import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

extension Runtime {
    private static let freezeMillisecondsMax: Int64 = 10_000
    private static let pollMicroseconds: UInt32 = 1_000

    /// Sends a signal to the container's init.
    public func signal(directory: String, _ signal: Int32) throws(RuntimeError) {
        guard let state = try readState(directory), state.initPID != 0 else { throw .notRunning(directory: directory) }
        let process = try openProcess(state.initPID, start: state.initStart, directory)
        let raw = process.raw
        do {
            try check("pidfd_send_signal") { gantry_pidfd_send_signal(raw, signal) }
        } catch {
            if error.code == ESRCH { throw .notRunning(directory: directory) }
            throw .system("signal the container", error)
        }
    }

    /// Kills every process of the container, whatever pid namespace it is in. Nothing running is no error.
    public func killAll(directory: String) throws(RuntimeError) {
        guard let state = try readState(directory) else { return }
        let directories = host.cgroups.directories(name: state.cgroupName)
        for (hierarchy, path) in directories where hierarchy.version == .two {
            do {
                return try CgroupTree.write(path, "cgroup.kill", "1")
            } catch {
                // No such file before Linux 5.14, and none of a container that is gone.
                guard error.code == ENOENT else { throw .system("kill the container", error) }
            }
        }
        // Without cgroups: the end of the init takes its process namespace along.
        if directories.isEmpty, Self.isAlive(state.initPID, start: state.initStart) { kill(state.initPID, SIGKILL) }
        // Frozen, they cannot fork away between being listed and being killed.
        let freezer = host.cgroups.path(of: "freezer", name: state.cgroupName)
        // Without a freezer the kills go out all the same.
        if let freezer { try? CgroupTree.write(freezer.path, "freezer.state", "FROZEN") }
        // Nor is there anyone to tell when the thaw fails: the cgroup is gone then.
        defer { if let freezer { try? CgroupTree.write(freezer.path, "freezer.state", "THAWED") } }
        for (_, path) in directories {
            // A cgroup that is not there holds nothing.
            for process in (try? CgroupTree.processes(path)) ?? [] { kill(process, SIGKILL) }
        }
    }

    // MARK: - Pause

    /// Freezes every process of the container; returns when they stand still.
    public func pause(directory: String) throws(RuntimeError) { try freeze(directory, true) }

    public func resume(directory: String) throws(RuntimeError) { try freeze(directory, false) }

    public func isPaused(directory: String) throws(RuntimeError) -> Bool {
        guard let state = try readState(directory) else { return false }
        return try purpose("read the freezer") { () throws(SystemError) in
            do throws(SystemError) {
                return try isFrozen(state)
            } catch {
                if error.code == ENOENT { return false }  // The container is gone.
                throw error
            }
        }
    }

    private func isFrozen(_ state: StateRecord) throws(SystemError) -> Bool {
        if let unified = host.cgroups.unified {
            return try CgroupTree.value("\(unified.mountPoint)/\(state.cgroupName)", "cgroup.events", key: "frozen")
                == 1
        }
        guard let freezer = host.cgroups.path(of: "freezer", name: state.cgroupName) else { return false }
        return try CgroupTree.read(freezer.path, "freezer.state") == "FROZEN"
    }

    private func freeze(_ directory: String, _ frozen: Bool) throws(RuntimeError) {
        let state = try runningState(directory)
        try purpose(frozen ? "pause the container" : "resume the container") { () throws(SystemError) in
            let deadline = Self.monotonicMilliseconds() + Self.freezeMillisecondsMax
            try writeFreezer(state, frozen)
            while try isFrozen(state) != frozen {
                guard Self.monotonicMilliseconds() < deadline else {
                    if frozen { try writeFreezer(state, false) }
                    throw SystemError("freeze", path: state.cgroupName, code: ETIMEDOUT)
                }
                usleep(Self.pollMicroseconds)
            }
        }
    }

    private func writeFreezer(_ state: StateRecord, _ frozen: Bool) throws(SystemError) {
        if let unified = host.cgroups.unified {
            return try CgroupTree.write(
                "\(unified.mountPoint)/\(state.cgroupName)", "cgroup.freeze", frozen ? "1" : "0")
        }
        guard let freezer = host.cgroups.path(of: "freezer", name: state.cgroupName) else {
            throw SystemError("freeze", code: EOPNOTSUPP)
        }
        try CgroupTree.write(freezer.path, "freezer.state", frozen ? "FROZEN" : "THAWED")
    }

    // MARK: - Resources

    /// Changes the limits of a running container; what `resources` leaves out stays as it is.
    public func update(directory: String, _ resources: RuntimeSpec.Resources) throws(RuntimeError) {
        let state = try runningState(directory)
        for (hierarchy, path) in host.cgroups.directories(name: state.cgroupName) {
            let writes = try CgroupLayout.writes(hierarchy, resources)
            guard !writes.isEmpty else { continue }
            guard FileSystem.exists(path) else {
                throw .unsupported("a limit of \(hierarchy.controllers.joined(separator: ", ")) that the start had not")
            }
            try purpose("change the limits") { () throws(SystemError) in try Self.apply(writes, at: path) }
        }
    }

    /// Some limits bound each other (memory and memory plus swap, quota and period): what is refused at first is tried
    /// again after the others.
    private static func apply(_ writes: [CgroupWrite], at path: String) throws(SystemError) {
        var refused: [CgroupWrite] = []
        for write in writes {
            do {
                try CgroupTree.write(path, write.file, write.value)
            } catch {
                if error.code == ENOENT, write.optional { continue }
                guard error.code == EINVAL || error.code == EBUSY else { throw error }
                refused.append(write)
            }
        }
        for write in refused { try CgroupTree.write(path, write.file, write.value) }
    }

    public func stats(directory: String) throws(RuntimeError) -> CgroupStats {
        let state = try runningState(directory)
        return try purpose("read the container's resource use") { () throws(SystemError) in
            var stats = CgroupStats()
            try readMemory(state.cgroupName, into: &stats)
            if let unified = host.cgroups.unified {
                let path = "\(unified.mountPoint)/\(state.cgroupName)"
                stats.cpuNanoseconds = try CgroupTree.value(path, "cpu.stat", key: "usage_usec").map { $0 * 1000 }
            } else if let cpu = host.cgroups.path(of: "cpuacct", name: state.cgroupName) {
                stats.cpuNanoseconds = UInt64(try CgroupTree.read(cpu.path, "cpuacct.usage"))
            }
            if let pids = host.cgroups.path(of: "pids", name: state.cgroupName) {
                stats.pids = UInt64(try CgroupTree.read(pids.path, "pids.current"))
                stats.pidsLimit = UInt64(try CgroupTree.read(pids.path, "pids.max"))
            }
            return stats
        }
    }

    private func readMemory(_ name: String, into stats: inout CgroupStats) throws(SystemError) {
        guard let memory = host.cgroups.path(of: "memory", name: name) else { return }
        let isOne = memory.version == .one
        let path = memory.path
        stats.memoryUsage = UInt64(try CgroupTree.read(path, isOne ? "memory.usage_in_bytes" : "memory.current"))
        let limit = UInt64(try CgroupTree.read(path, isOne ? "memory.limit_in_bytes" : "memory.max"))
        // v1 writes the largest multiple of a page where there is no limit.
        let unlimited: UInt64 = 1 << 62
        stats.memoryLimit = limit.flatMap { $0 >= unlimited ? nil : $0 }
        stats.memoryInactiveFile = try CgroupTree.value(
            path, "memory.stat", key: isOne ? "total_inactive_file" : "inactive_file")
        stats.oomKills = try CgroupTree.value(path, isOne ? "memory.oom_control" : "memory.events", key: "oom_kill")
    }

    /// Every process of the container, as the host numbers them.
    public func processes(directory: String) throws(RuntimeError) -> [Int32] {
        let state = try runningState(directory)
        return try purpose("list the container's processes") { () throws(SystemError) in
            guard
                let place = host.cgroups.directories(name: state.cgroupName).first(where: {
                    FileSystem.exists($0.path)
                })
            else { return [state.initPID] }
            return try CgroupTree.processes(place.path)
        }
    }

    // MARK: - Delete

    /// Removes what is left of a container that has ended: cgroups and its folder. Its layers are the caller's.
    public func delete(directory: String) throws(RuntimeError) {
        switch try inspect(directory: directory).state {
        case .running, .starting: throw .stillRunning(directory: directory)
        case .neverStarted, .exited, .lost: break
        }
        try awaitPredecessor(directory)
        try removeCgroups(directory: directory)
        try purpose("remove the container's folder") { () throws(SystemError) in
            try FileSystem.removeTree(directory)
        }
    }

    /// Removes the cgroup above all containers, where none is left in it; the next `prepareParent` makes it again.
    public func removeEmptyParent() {
        // A cgroup in use answers EBUSY and stays.
        for hierarchy in host.cgroups.hierarchies { rmdir("\(hierarchy.mountPoint)/\(compiler.cgroupParent)") }
    }

    func removeCgroups(directory: String) throws(RuntimeError) {
        guard let state = try readState(directory) else { return }
        for (_, path) in host.cgroups.directories(name: state.cgroupName) {
            try purpose("remove the cgroup") { () throws(SystemError) in try CgroupTree.remove(path) }
        }
    }
}

extension CgroupLayout {
    /// Makes the cgroup above all containers. v2: its controllers are handed down at every level; v1: a cpuset without
    /// processors would take no process.
    func prepareParent(_ name: String) throws(SystemError) {
        for hierarchy in used {
            var path = hierarchy.mountPoint
            for component in name.split(separator: "/") {
                if hierarchy.version == .two { try enableControllers(hierarchy, at: path) }
                let above = path
                path += "/\(component)"
                if mkdir(path, 0o755) != 0, errno != EEXIST { throw SystemError("mkdir", path: path, code: errno) }
                guard hierarchy.version == .one, hierarchy.controllers.contains("cpuset") else { continue }
                for file in ["cpuset.cpus", "cpuset.mems"] where try CgroupTree.read(path, file).isEmpty {
                    try CgroupTree.write(path, file, try CgroupTree.read(above, file))
                }
            }
            if hierarchy.version == .two { try enableControllers(hierarchy, at: path) }
        }
    }

    private func enableControllers(_ hierarchy: Hierarchy, at path: String) throws(SystemError) {
        let wanted = hierarchy.controllers.filter { ["cpu", "cpuset", "memory", "pids"].contains($0) }
        guard !wanted.isEmpty else { return }
        try CgroupTree.write(path, "cgroup.subtree_control", wanted.map { "+\($0)" }.joined(separator: " "))
    }
}
