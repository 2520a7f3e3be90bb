import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// Scheduling, memory policy, personality and labels of a process: names of the specification to the kernel's numbers.
enum AttributeCompiler {
    private static let policies: [String: UInt32] = [
        "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5,
        "SCHED_DEADLINE": 6,
    ]
    private static let schedulerFlags: [String: UInt64] = [
        "SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
        "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
        "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
    ]
    /// include/uapi/linux/mempolicy.h.
    fileprivate static let memoryModes: [String: Int32] = [
        "MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4,
        "MPOL_PREFERRED_MANY": 5, "MPOL_WEIGHTED_INTERLEAVE": 6,
    ]
    fileprivate static let memoryFlags: [String: Int32] = [
        "MPOL_F_STATIC_NODES": 1 << 15, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_NUMA_BALANCING": 1 << 13,
    ]
    /// What engines ask for by themselves, whether or not the host has AppArmor.
    private static let defaultProfiles: Set<String> = [
        "docker-default", "gantry-default", "containers-default", "crio-default", "cri-containerd.apparmor.d",
        "unconfined",
    ]

    static func compile(_ spec: RuntimeSpec, host: HostFacts) throws(RuntimeError) -> AttributePlan {
        var plan = AttributePlan()
        plan.scheduler = try spec.process.scheduler.map { (value) throws(RuntimeError) in try scheduler(value) }
        plan.ioPriority = try spec.process.ioPriority.map { (value) throws(RuntimeError) in try ioPriority(value) }
        plan.personality = try spec.linux.personality.map { (value) throws(RuntimeError) in try personality(value) }
        plan.memoryPolicy = try spec.linux.memoryPolicy.map { (value) throws(RuntimeError) in try memoryPolicy(value) }
        try compileLabels(spec, host: host, into: &plan)
        return plan
    }

    private static func scheduler(_ value: RuntimeSpec.Scheduler) throws(RuntimeError) -> SchedulerPlan {
        guard let policy = policies[value.policy] else {
            throw .invalidSpec("unknown scheduling policy '\(value.policy)'")
        }
        var plan = SchedulerPlan(policy: policy)
        for name in value.flags ?? [] {
            guard let flag = schedulerFlags[name] else { throw .invalidSpec("unknown scheduling flag '\(name)'") }
            plan.flags |= flag
        }
        plan.nice = value.nice ?? 0
        guard (-20...19).contains(plan.nice) else { throw .invalidSpec("nice \(plan.nice) is not in -20 to 19") }
        let isRealTime = value.policy == "SCHED_FIFO" || value.policy == "SCHED_RR"
        let priority = value.priority ?? 0
        guard (isRealTime ? 1...99 : 0...0).contains(priority), let number = UInt32(exactly: priority) else {
            throw .invalidSpec("scheduling priority \(priority) does not go with \(value.policy)")
        }
        plan.priority = number
        let times = [value.runtime, value.deadline, value.period].map { $0 ?? 0 }
        guard value.policy == "SCHED_DEADLINE" || times.allSatisfy({ $0 == 0 }) else {
            throw .invalidSpec("runtime, deadline and period go with SCHED_DEADLINE only")
        }
        (plan.runtime, plan.deadline, plan.period) = (times[0], times[1], times[2])
        return plan
    }

    private static func ioPriority(_ value: RuntimeSpec.IOPriority) throws(RuntimeError) -> Int32 {
        let classes: [String: Int32] = ["IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3]
        guard let kind = classes[value.kind] else { throw .invalidSpec("unknown I/O class '\(value.kind)'") }
        guard (0...7).contains(value.priority) else {
            throw .invalidSpec("I/O priority \(value.priority) is not in 0 to 7")
        }
        let classShift: Int32 = 13
        return kind << classShift | Int32(value.priority)
    }

    private static func personality(_ value: RuntimeSpec.Personality) throws(RuntimeError) -> UInt32 {
        // The specification knows no flags yet.
        if let flag = value.flags?.first { throw .unsupported("personality flag '\(flag)'") }
        switch value.domain {
        case "LINUX": return 0
        case "LINUX32": return 0x0008
        default: throw .invalidSpec("unknown personality '\(value.domain)'")
        }
    }

    private static func memoryPolicy(_ value: RuntimeSpec.MemoryPolicy) throws(RuntimeError) -> MemoryPolicyPlan {
        guard var mode = memoryModes[value.mode] else { throw .invalidSpec("unknown memory policy '\(value.mode)'") }
        for name in value.flags ?? [] {
            guard let flag = memoryFlags[name] else { throw .invalidSpec("unknown memory policy flag '\(name)'") }
            mode |= flag
        }
        let nodes = try mask(value.nodes ?? "", what: "memory nodes")
        let takesNone = value.mode == "MPOL_DEFAULT" || value.mode == "MPOL_LOCAL"
        guard !takesNone || nodes.isEmpty else { throw .invalidSpec("\(value.mode) takes no nodes") }
        guard takesNone || value.mode == "MPOL_PREFERRED" || !nodes.isEmpty else {
            throw .invalidSpec("\(value.mode) needs nodes")
        }
        return MemoryPolicyPlan(mode: mode, nodes: nodes)
    }

    /// The processors of an exec, cpuset(7) "List format".
    static func affinity(
        _ value: RuntimeSpec.ExecCPUAffinity?, into plan: inout AttributePlan
    ) throws(RuntimeError) {
        plan.initialAffinity = try mask(value?.initial ?? "", what: "processors")
        plan.finalAffinity = try mask(value?.final ?? "", what: "processors")
    }

    /// `0-3,8` as a bit mask in whole words; empty for an empty list.
    static func mask(_ list: String, what: String) throws(RuntimeError) -> [UInt8] {
        let numberMax = 8191
        var mask: [UInt8] = []
        guard !list.isEmpty else { return mask }
        for item in list.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = item.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(decimal)
            guard let first = ends[0], let last = ends[ends.count - 1], first <= last, last <= numberMax else {
                throw .invalidSpec("'\(list)' is not a list of \(what)")
            }
            let byteCount = (last / 64 + 1) * 8
            if mask.count < byteCount { mask += [UInt8](repeating: 0, count: byteCount - mask.count) }
            for number in first...last { mask[number / 8] |= 1 << UInt8(number % 8) }
        }
        return mask
    }

    private static func decimal(_ text: Substring) -> Int? {
        let digitsMax = 5
        guard !text.isEmpty, text.utf8.count <= digitsMax, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text)
    }

    // MARK: - Labels

    /// A profile that is asked for and cannot be had stops the start; one that engines always name does not.
    private static func compileLabels(
        _ spec: RuntimeSpec, host: HostFacts, into plan: inout AttributePlan
    ) throws(RuntimeError) {
        if let profile = spec.process.apparmorProfile, !profile.isEmpty {
            try PlanCompiler.checkStrings([profile])
            if host.securityModules.contains("apparmor") {
                plan.appArmorProfile = profile
            } else if defaultProfiles.contains(profile) {
                if profile != "unconfined" {
                    plan.warnings.append("AppArmor profile '\(profile)' is not used: this kernel has no AppArmor")
                }
            } else {
                throw .unsupported("AppArmor profile '\(profile)': this kernel has no AppArmor")
            }
        }
        if let label = spec.process.selinuxLabel, !label.isEmpty {
            try PlanCompiler.checkStrings([label])
            guard host.securityModules.contains("selinux") else {
                throw .unsupported("SELinux label '\(label)': this kernel has no SELinux")
            }
            plan.seLinuxLabel = label
        }
        if let label = spec.linux.mountLabel, !label.isEmpty, !host.securityModules.contains("selinux") {
            plan.warnings.append("mount label '\(label)' is not used: this kernel has no SELinux")
        }
    }
}

extension HostFacts {
    /// The security modules that are on. securityfs is not mounted everywhere, so their own marks are looked at too.
    static func activeSecurityModules() -> Set<String> {
        var names: Set<String> = []
        // Unreadable: the marks below decide.
        let list = (try? FileSystem.readFile("/sys/kernel/security/lsm", byteCountMax: 4096)) ?? []
        for name in list.split(separator: UInt8(ascii: ",")) { names.insert(String(decoding: name, as: UTF8.self)) }
        if FileSystem.exists("/sys/fs/selinux/enforce") { names.insert("selinux") }
        // Unreadable: not there.
        let enabled = try? FileSystem.readFile("/sys/module/apparmor/parameters/enabled", byteCountMax: 16)
        if enabled?.first == UInt8(ascii: "Y") { names.insert("apparmor") }
        return names
    }
}

/// For `features`: what a memory policy may say.
public enum MemoryPolicyNames {
    public static var modes: [String] { AttributeCompiler.memoryModes.keys.sorted() }
    public static var flags: [String] { AttributeCompiler.memoryFlags.keys.sorted() }
}
