import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

extension Runtime {
    private static let freezeMillisecondsMax: Int64 = 10_000
    /// v1 tells nobody when it is done.
    private static let lookMicrosecondsMin: UInt32 = 100
    private static let lookMicrosecondsMax: UInt32 = 10_000

    /// Freezes every process of the container; returns when they stand still.
    public func pause(directory: String) throws(RuntimeError) { try freeze(directory, true) }

    public func resume(directory: String) throws(RuntimeError) { try freeze(directory, false) }

    public func isPaused(directory: String) throws(RuntimeError) -> Bool {
        guard let state = try readState(directory) else { return false }
        return try purpose("read the freezer") { () throws(SystemError) in
            do throws(SystemError) {
                return try isFrozen(state.cgroupName)
            } catch {
                if error.code == ENOENT { return false }  // The container is gone.
                throw error
            }
        }
    }

    func isFrozen(_ name: String) throws(SystemError) -> Bool {
        if let unified = host.cgroups.unified {
            return try CgroupTree.value("\(unified.mountPoint)/\(name)", "cgroup.events", key: "frozen") == 1
        }
        guard let freezer = host.cgroups.path(of: "freezer", name: name) else { return false }
        return try CgroupTree.read(freezer.path, "freezer.state") == "FROZEN"
    }

    private func freeze(_ directory: String, _ frozen: Bool) throws(RuntimeError) {
        let name = try runningState(directory).cgroupName
        do throws(RuntimeError) {
            try freezeGroup(name, frozen)
        } catch {
            // The kernel has no such group any more: the container ended meanwhile.
            if case .system(_, let failure) = error, [ENOENT, ENODEV].contains(failure.code) {
                throw .notRunning(directory: directory)
            }
            throw error
        }
    }

    private func freezeGroup(_ name: String, _ frozen: Bool) throws(RuntimeError) {
        try purpose(frozen ? "pause the container" : "resume the container") { () throws(SystemError) in
            let deadline = Self.monotonicMilliseconds() + Self.freezeMillisecondsMax
            let isDone: Bool
            if let unified = host.cgroups.unified {
                isDone = try Self.freezeTwo("\(unified.mountPoint)/\(name)", frozen, deadline: deadline)
            } else if let freezer = host.cgroups.path(of: "freezer", name: name) {
                isDone = try Self.freezeOne(freezer.path, frozen, deadline: deadline)
            } else {
                throw SystemError("freeze", code: EOPNOTSUPP)
            }
            if !isDone { throw SystemError("freeze", path: name, code: ETIMEDOUT) }
        }
    }

    /// `cgroup.events` is pollable: the kernel says when the last process has stopped.
    private static func freezeTwo(_ path: String, _ frozen: Bool, deadline: Int64) throws(SystemError) -> Bool {
        let events = try FileDescriptor.open("\(path)/cgroup.events", O_RDONLY)
        let raw = events.raw
        try CgroupTree.write(path, "cgroup.freeze", frozen ? "1" : "0")
        while true {
            try check("lseek") { lseek(raw, 0, SEEK_SET) }
            let text = String(decoding: try events.read(upTo: 4096), as: UTF8.self)
            if text.contains("frozen 1") == frozen { return true }
            let remaining = deadline - monotonicMilliseconds()
            guard remaining > 0 else {
                if frozen { try CgroupTree.write(path, "cgroup.freeze", "0") }
                return false
            }
            var polled = pollfd(fd: raw, events: Int16(POLLPRI), revents: 0)
            try check("poll") { poll(&polled, 1, Int32(clamping: remaining)) }
        }
    }

    /// A process that was forking when the others stopped keeps the group at FREEZING: they are let go and stopped
    /// anew.
    private static func freezeOne(_ path: String, _ frozen: Bool, deadline: Int64) throws(SystemError) -> Bool {
        let wanted = frozen ? "FROZEN" : "THAWED"
        var pause = lookMicrosecondsMin
        while true {
            try CgroupTree.write(path, "freezer.state", wanted)
            let present = try CgroupTree.read(path, "freezer.state")
            if present == wanted { return true }
            guard monotonicMilliseconds() < deadline else {
                if frozen { try CgroupTree.write(path, "freezer.state", "THAWED") }
                return false
            }
            usleep(pause)
            if pause >= lookMicrosecondsMax, frozen { try CgroupTree.write(path, "freezer.state", "THAWED") }
            pause = pause >= lookMicrosecondsMax ? lookMicrosecondsMin : pause * 2
        }
    }
}
