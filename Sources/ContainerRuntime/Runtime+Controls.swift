import Glibc
import LinuxSystem
import SupervisorPlan

/// A control file of a container's cgroup that says something else than its limits.
public struct ChangedControl: Equatable, Sendable {
    /// `memory.max`.
    public var file: String
    public var present: String
    public var wanted: String
}

/// What of a running container others can have changed in its cgroups.
public struct ControlsLook: Equatable, Sendable {
    public var changed: [ChangedControl]
    public var isFrozen: Bool
}

extension Runtime {
    /// The control files that a look compares, and those of the freezer: for who watches them. What a kernel says of
    /// itself, such as `cgroup.events`, is not among them.
    public static let watchedControls: Set<String> = Set(CgroupControls.defaults.map(\.file)).union([
        "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.swap.max", "memory.low",
        "cpu.cfs_period_us", "cpuset.cpus", "cpuset.mems", "freezer.state", "cgroup.freeze",
    ])

    /// The container's folders in the hierarchies that have such files.
    public func controlFolders(directory: String) throws(RuntimeError) -> [String] {
        let name = try runningState(directory).cgroupName
        return host.cgroups.directories(name: name).filter { hierarchy, path in
            CgroupControls.areCompared(in: hierarchy) || hierarchy.controllers.contains("freezer")
        }.map(\.path).filter { FileSystem.exists($0) }
    }

    /// Compares the control files with what `resources` asks for and, for what it leaves open, with what the kernel
    /// gives a new cgroup.
    public func lookAtControls(
        directory: String, _ resources: RuntimeSpec.Resources
    ) throws(RuntimeError) -> ControlsLook {
        let name = try runningState(directory).cgroupName
        let changed = try wantedControls(name, resources).flatMap { path, writes in
            writes.compactMap { Self.difference($0, at: path) }
        }
        let stands = try purpose("read the freezer") { () throws(SystemError) in
            do throws(SystemError) { return try isFrozen(name) } catch {
                if error.code == ENOENT { return false }
                throw error
            }
        }
        return ControlsLook(changed: changed, isFrozen: stands)
    }

    /// Writes back what `lookAtControls` finds changed.
    public func restoreControls(
        directory: String, _ resources: RuntimeSpec.Resources
    ) throws(RuntimeError) {
        let name = try runningState(directory).cgroupName
        for (path, writes) in try wantedControls(name, resources) {
            let changed = writes.filter { Self.difference($0, at: path) != nil }
            let (failure, _) = CgroupWrite.perform(changed) { write in
                do throws(SystemError) {
                    try CgroupTree.write(path, write.file, write.value)
                    return 0
                } catch {
                    return error.code
                }
            }
            if let failure {
                throw .setupFailed(step: failure.explanation, SystemError(path, code: failure.code))
            }
        }
    }

    private func wantedControls(
        _ name: String, _ resources: RuntimeSpec.Resources
    ) throws(RuntimeError) -> [(path: String, writes: [CgroupWrite])] {
        var result: [(path: String, writes: [CgroupWrite])] = []
        // Of a v1 host's dozen hierarchies the most have nothing to compare. Where the container has no folder, no file
        // can be read, and none differs.
        for (hierarchy, path) in host.cgroups.directories(name: name) where CgroupControls.areCompared(in: hierarchy) {
            let asked = try CgroupLimits(resources: resources).writes(hierarchy).filter {
                CgroupControls.normal($0.file, $0.value) != nil
            }
            let named = Set(asked.map(\.file))
            let others = CgroupControls.defaults.filter { entry in
                entry.version == hierarchy.version && hierarchy.controllers.contains(entry.controller)
                    && !named.contains(entry.file)
            }
            result.append((path, asked + others.map { CgroupWrite($0.file, $0.value) }))
        }
        return result
    }

    private static func difference(_ write: CgroupWrite, at path: String) -> ChangedControl? {
        // A file that this kernel does not have was none at the start either.
        guard let present = try? CgroupTree.read(path, write.file),
            CgroupControls.normal(write.file, present) != CgroupControls.normal(write.file, write.value)
        else { return nil }
        return ChangedControl(file: write.file, present: present, wanted: write.value)
    }
}

/// Texts of control files in a form that can be compared: the kernel writes them its own way.
enum CgroupControls {
    /// What the kernel gives a new cgroup.
    static let defaults: [(version: CgroupPlan.Version, controller: String, file: String, value: String)] = [
        (.one, "memory", "memory.limit_in_bytes", "-1"), (.one, "cpu", "cpu.cfs_quota_us", "-1"),
        (.one, "cpu", "cpu.shares", "1024"), (.one, "pids", "pids.max", "max"),
        (.two, "memory", "memory.max", "max"), (.two, "cpu", "cpu.max", "max 100000"),
        (.two, "cpu", "cpu.weight", "100"), (.two, "pids", "pids.max", "max"),
    ]

    static func areCompared(in hierarchy: CgroupLayout.Hierarchy) -> Bool {
        hierarchy.version == .two
            || hierarchy.controllers.contains { ["memory", "cpu", "pids", "cpuset"].contains($0) }
    }

    private static let pageByteCount = Int64(sysconf(Int32(_SC_PAGESIZE)))
    /// The kernel's PAGE_COUNTER_MAX is a little less than what 63 bits hold.
    private static let unlimitedFrom = Int64.max / 2

    /// `nil` for files that are not compared.
    static func normal(_ file: String, _ text: String) -> String? {
        switch file {
        case "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.max",
            "memory.swap.max", "memory.low":
            guard let bytes = Int64(text) else { return text }
            if bytes < 0 || bytes >= unlimitedFrom { return "max" }
            return "\(bytes / pageByteCount)"
        case "cpu.shares":
            // What the kernel makes of more and of less (MIN_SHARES, MAX_SHARES).
            return Int64(text).map { "\(min(max($0, 2), 1 << 18))" } ?? text
        case "cpu.cfs_quota_us": return Int64(text).map { $0 < 0 ? "-1" : "\($0)" } ?? text
        case "cpu.cfs_period_us", "cpu.max", "cpu.weight", "pids.max": return text
        case "cpuset.cpus", "cpuset.mems": return numbers(text)
        default: return nil
        }
    }

    /// `0-2,4` as `0,1,2,4`.
    private static func numbers(_ list: String) -> String {
        let numberMax = 1 << 16
        var found: Set<Int> = []
        for part in list.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last, last < numberMax else { return list }
            found.formUnion(first...last)
        }
        return found.sorted().map(String.init).joined(separator: ",")
    }
}
