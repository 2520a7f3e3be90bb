import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// What the kernel keeps for a process besides its credentials.
enum ProcessAttributes {
    private static let noLimit = UInt64.max

    // MARK: - With the host's privileges

    /// Of the caller (0), before it gives its privileges up, or of a child that has none of ours any more.
    static func apply(_ plan: ProcessPlan, to process: pid_t, report: Int32) throws(SetupFailure) {
        for warning in plan.attributes.warnings { Report.send(.warning(warning), to: report) }
        try adjustOutOfMemoryScore(plan, process, report: report)
        for limit in plan.limits { try set(limit, process, report: report) }
        if let scheduler = plan.attributes.scheduler {
            try step("set the scheduler") { () throws(SystemError) in
                try check("sched_setattr") {
                    gantry_sched_setattr(
                        process, scheduler.policy, scheduler.flags, scheduler.nice, scheduler.priority,
                        scheduler.runtime, scheduler.deadline, scheduler.period)
                }
            }
        }
        if let priority = plan.attributes.ioPriority {
            try step("set the I/O priority") { () throws(SystemError) in
                try check("ioprio_set") { gantry_ioprio_set(process, priority) }
            }
        }
    }

    /// Lowering the score may be forbidden: it stays as it is then, with a warning.
    private static func adjustOutOfMemoryScore(
        _ plan: ProcessPlan, _ process: pid_t, report: Int32
    ) throws(SetupFailure) {
        guard let score = plan.oomScoreAdjust else { return }
        let name = process == 0 ? "self" : "\(process)"
        do {
            try FileDescriptor.open("/proc/\(name)/oom_score_adj", O_WRONLY).writeAll(Array("\(score)".utf8))
        } catch {
            guard error.code == EPERM || error.code == EACCES else {
                throw SetupFailure(step: "set oom_score_adj", code: error.code, text: error.description)
            }
            Report.send(.warning("oom_score_adj \(score) needs CAP_SYS_RESOURCE: left as it is"), to: report)
        }
    }

    /// Beyond the present hard limit goes only CAP_SYS_RESOURCE: the present one is what there is to have.
    private static func set(_ limit: LimitPlan, _ process: pid_t, report: Int32) throws(SetupFailure) {
        try step("set limit \(limit.resource)") { () throws(SystemError) in
            do throws(SystemError) {
                try check("setrlimit") { gantry_prlimit(process, limit.resource, limit.soft, limit.hard) }
            } catch {
                var (soft, hard): (UInt64, UInt64) = (0, 0)
                guard error.code == EPERM, gantry_get_limit(process, limit.resource, &soft, &hard) == 0,
                    limit.hard > hard
                else { throw error }
                try check("setrlimit") { gantry_prlimit(process, limit.resource, min(limit.soft, hard), hard) }
                let wanted = limit.hard == noLimit ? "unlimited" : "\(limit.hard)"
                Report.send(
                    .warning("limit \(limit.resource) of \(wanted) needs CAP_SYS_RESOURCE: \(hard) is used"),
                    to: report)
            }
        }
    }

    static func setAffinity(_ mask: [UInt8]) throws(SetupFailure) {
        guard !mask.isEmpty else { return }
        try step("set the processors") { () throws(SystemError) in
            try check("sched_setaffinity") { gantry_sched_setaffinity(0, mask, mask.count) }
        }
    }

    // MARK: - By the process itself

    /// With the host's /proc still in sight: what a container has mounted at its own cannot catch the labels.
    static func applyToSelf(_ plan: ProcessPlan, report: Int32) throws(SetupFailure) {
        let attributes = plan.attributes
        if let label = attributes.seLinuxLabel {
            try write(label, to: ["self/attr/keycreate"], what: "the SELinux label of keys")
            try write(label, to: ["self/attr/exec"], what: "the SELinux label")
        }
        if let profile = attributes.appArmorProfile {
            // The first is there since Linux 5.8, where several modules may be on together.
            try write(
                "exec \(profile)", to: ["self/attr/apparmor/exec", "self/attr/exec"], what: "the AppArmor profile")
        }
        if !attributes.sharesKeyring { try newKeyring(report: report) }
        if let personality = attributes.personality {
            try step("set the personality") { () throws(SystemError) in
                try check("personality") { CLinux.personality(UInt(personality)) }
            }
        }
        if let policy = attributes.memoryPolicy {
            try step("set the memory policy") { () throws(SystemError) in
                // The kernel reads one bit less than it is told.
                let bits = policy.nodes.isEmpty ? 0 : UInt(policy.nodes.count * 8 + 1)
                try check("set_mempolicy") {
                    policy.nodes.withUnsafeBytes {
                        gantry_set_mempolicy(policy.mode, policy.nodes.isEmpty ? nil : $0.baseAddress, bits)
                    }
                }
            }
        }
    }

    /// Keys of the engine's session are none of the container's. keyrings(7).
    private static func newKeyring(report: Int32) throws(SetupFailure) {
        guard gantry_new_session_keyring() < 0 else { return }
        let code = errno
        // ENOSYS: no keys in this kernel; EPERM: a seccomp filter around us; EDQUOT: root's quota is used up.
        guard [ENOSYS, EPERM, EDQUOT].contains(code) else {
            throw SetupFailure(step: "make a session keyring", code: code, text: "keyctl")
        }
        Report.send(.warning("no session keyring of its own: \(SystemError("keyctl", code: code))"), to: report)
    }

    private static func write(_ value: String, to paths: [String], what: String) throws(SetupFailure) {
        try step("set \(what)") { () throws(SystemError) in
            let proc = try FileDescriptor.open("/proc", O_PATH | O_DIRECTORY)
            guard try InRoot.fileSystem(proc) == Int(PROC_SUPER_MAGIC) else {
                throw SystemError("open", path: "/proc", code: EXDEV)
            }
            var failure = SystemError("open", path: paths.last, code: ENOENT)
            for path in paths {
                do throws(SystemError) {
                    // No other mount may lie over it (CVE-2019-16884).
                    let file = try proc.openInRoot(path, O_WRONLY, resolve: Int32(RESOLVE_NO_XDEV))
                    return try file.writeAll(Array(value.utf8))
                } catch {
                    failure = error
                    guard error.code == ENOENT else { throw error }
                }
            }
            throw failure
        }
    }
}
