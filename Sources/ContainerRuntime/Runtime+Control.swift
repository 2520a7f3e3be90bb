import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

extension Runtime {
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
        // Without cgroups: the end of the init takes its process namespace along.
        if directories.isEmpty, Self.isAlive(state.initPID, start: state.initStart) { kill(state.initPID, SIGKILL) }
        let unified = directories.first { $0.hierarchy.version == .two && FileSystem.exists($0.path) }?.path
        let freezer = host.cgroups.path(of: "freezer", name: state.cgroupName)
            .flatMap { $0.version == .one && FileSystem.exists($0.path) ? $0.path : nil }
        try purpose("kill the container") { () throws(SystemError) in
            try CgroupTree.killAll(
                unified: unified, freezer: freezer,
                others: directories.filter { $0.hierarchy.version == .one }.map(\.path))
        }
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
    /// - Returns: what went wrong after its end, such as a poststop hook that failed.
    @discardableResult
    public func delete(directory: String) throws(RuntimeError) -> [String] {
        switch try inspect(directory: directory).state {
        case .running, .starting: throw .stillRunning(directory: directory)
        case .neverStarted, .exited, .lost: break
        }
        try awaitPredecessor(directory)
        try removeCgroups(directory: directory)
        let warnings = try readText("\(directory)/\(ContainerFile.warnings)") ?? ""
        try purpose("remove the container's folder") { () throws(SystemError) in
            try FileSystem.removeTree(directory)
        }
        return warnings.split(separator: "\n").map(String.init)
    }

    /// Removes the cgroup above all containers, where none is left in it; the next `prepareParent` makes it again.
    public func removeEmptyParent() {
        for hierarchy in host.cgroups.hierarchies {
            // A cgroup in use answers EBUSY and stays.
            guard rmdir("\(hierarchy.mountPoint)/\(compiler.cgroupParent)") == 0, hierarchy.version == .two else {
                continue
            }
            CgroupLayout.takeBackControllers(hierarchy)
        }
    }

    func removeCgroups(directory: String) throws(RuntimeError) {
        guard let state = try readState(directory) else { return }
        for (_, path) in host.cgroups.directories(name: state.cgroupName) {
            try purpose("remove the cgroup") { () throws(SystemError) in try CgroupTree.remove(path) }
        }
    }
}
