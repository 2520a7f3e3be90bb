import CLibSeccomp
import CLinux
import Glibc
import LinuxSystem

/// From a profile to `struct sock_filter` bytes, through libseccomp. Takes about 12 ms: see `SeccompCache`.
enum SeccompCompiler {
    /// `BPF_MAXINSNS`.
    private static let instructionsMax = 4096

    static let actions: [String: UInt32] = [
        "SCMP_ACT_ALLOW": UInt32(SECCOMP_RET_ALLOW), "SCMP_ACT_ERRNO": UInt32(SECCOMP_RET_ERRNO),
        "SCMP_ACT_KILL": UInt32(SECCOMP_RET_KILL_THREAD), "SCMP_ACT_KILL_THREAD": UInt32(SECCOMP_RET_KILL_THREAD),
        "SCMP_ACT_KILL_PROCESS": UInt32(SECCOMP_RET_KILL_PROCESS), "SCMP_ACT_TRAP": UInt32(SECCOMP_RET_TRAP),
        "SCMP_ACT_LOG": UInt32(SECCOMP_RET_LOG), "SCMP_ACT_TRACE": UInt32(SECCOMP_RET_TRACE),
        "SCMP_ACT_NOTIFY": UInt32(SECCOMP_RET_USER_NOTIF),
    ]
    static let operators: [String: scmp_compare] = [
        "SCMP_CMP_NE": SCMP_CMP_NE, "SCMP_CMP_LT": SCMP_CMP_LT, "SCMP_CMP_LE": SCMP_CMP_LE,
        "SCMP_CMP_EQ": SCMP_CMP_EQ, "SCMP_CMP_GE": SCMP_CMP_GE, "SCMP_CMP_GT": SCMP_CMP_GT,
        "SCMP_CMP_MASKED_EQ": SCMP_CMP_MASKED_EQ,
    ]

    static func compile(_ profile: RuntimeSpec.Seccomp) throws(RuntimeError) -> [UInt8] {
        let defaultAction = try action(profile.defaultAction, errno: profile.defaultErrnoRet, "defaultAction")
        try checkListener(profile)
        guard let context = seccomp_init(defaultAction) else {
            throw .invalidSpec("seccomp defaultAction '\(profile.defaultAction)' is not taken by this kernel")
        }
        defer { seccomp_release(context) }
        var architectures = [seccomp_arch_native()]
        for name in profile.architectures ?? [] {
            let token = seccomp_arch_resolve_name(architecture(name))
            guard token != 0 else { throw .invalidSpec("seccomp architecture '\(name)' is unknown") }
            let result = seccomp_arch_add(context, token)
            guard result == 0 || result == -EEXIST else { throw failure("add the architecture \(name)", result) }
            if result == 0 { architectures.append(token) }
        }
        // A binary tree instead of a list: 0.26 ms instead of 1 ms to load.
        try set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2)
        // We decide about no_new_privs ourselves.
        try set(context, SCMP_FLTATR_CTL_NNP, 0)
        for (index, rule) in (profile.syscalls ?? []).enumerated() {
            try add(rule, number: index + 1, to: context, defaultAction: defaultAction)
        }
        let prefix = refusesByDefault(defaultAction) ? unknownCallPrefix(profile, architectures) : []
        let filter = prefix + (try export(context))
        guard filter.count <= instructionsMax * 8 else {
            throw .invalidSpec("the seccomp profile needs \(filter.count / 8) instructions, over \(instructionsMax)")
        }
        return filter
    }

    /// Whether some call is handed to a listener.
    static func notifies(_ profile: RuntimeSpec.Seccomp) -> Bool {
        (profile.syscalls ?? []).contains { $0.action == "SCMP_ACT_NOTIFY" }
    }

    private static func checkListener(_ profile: RuntimeSpec.Seccomp) throws(RuntimeError) {
        // Every call of ours would wait for somebody who cannot have the descriptor yet.
        guard profile.defaultAction != "SCMP_ACT_NOTIFY" else {
            throw .invalidSpec("SCMP_ACT_NOTIFY cannot be the seccomp defaultAction")
        }
        guard notifies(profile) else { return }
        guard let path = profile.listenerPath, path.hasPrefix("/") else {
            throw .invalidSpec("SCMP_ACT_NOTIFY needs a seccomp listenerPath, an absolute path")
        }
    }

    private static func add(
        _ rule: RuntimeSpec.Seccomp.Rule, number: Int, to context: scmp_filter_ctx, defaultAction: UInt32
    ) throws(RuntimeError) {
        let place = "rule \(number) (\(rule.names.first ?? "no name"))"
        let action = try action(rule.action, errno: rule.errnoRet, place)
        // libseccomp refuses rules that say what the default says.
        guard action != defaultAction else { return }
        let comparisons = try alternatives(rule, place)
        for name in rule.names {
            let call = seccomp_syscall_resolve_name(name)
            // libseccomp does not know it: newer than the library, see `unknownCallPrefix`.
            guard call != -1 else { continue }
            for arguments in comparisons {
                let result = seccomp_rule_add_array(context, action, call, UInt32(arguments.count), arguments)
                // EDOM, EINVAL for pseudo calls that an architecture has not.
                guard result == 0 || result == -EEXIST || (call < 0 && (result == -EDOM || result == -EINVAL)) else {
                    throw failure("add \(place) for \(name)", result)
                }
            }
        }
    }

    /// All comparisons of a rule must hold; where one argument is compared twice, each of them is enough, which is how
    /// runc and so every written profile understands it.
    private static func alternatives(
        _ rule: RuntimeSpec.Seccomp.Rule, _ place: String
    ) throws(RuntimeError) -> [[scmp_arg_cmp]] {
        let arguments = rule.args ?? []
        let comparisons = try arguments.map { (argument) throws(RuntimeError) in try comparison(argument, place) }
        return Set(arguments.map(\.index)).count == arguments.count ? [comparisons] : comparisons.map { [$0] }
    }

    private static func comparison(
        _ argument: RuntimeSpec.Seccomp.Argument, _ place: String
    ) throws(RuntimeError) -> scmp_arg_cmp {
        guard let compare = operators[argument.op] else {
            throw .invalidSpec("seccomp \(place): unknown operator '\(argument.op)'")
        }
        guard argument.index < 6 else {
            throw .invalidSpec("seccomp \(place): a system call has no argument \(argument.index)")
        }
        // For MASKED_EQ `value` is the mask and `valueTwo` what must be left.
        return scmp_arg_cmp(
            arg: argument.index, op: compare, datum_a: argument.value, datum_b: argument.valueTwo ?? 0)
    }

    private static func action(_ name: String, errno code: UInt32?, _ place: String) throws(RuntimeError) -> UInt32 {
        guard let answer = actions[name] else { throw .invalidSpec("seccomp \(place): unknown action '\(name)'") }
        let takesData = answer == UInt32(SECCOMP_RET_ERRNO) || answer == UInt32(SECCOMP_RET_TRACE)
        return takesData ? answer | (code ?? UInt32(EPERM)) & 0xffff : answer
    }

    /// `SCMP_ARCH_X86_64` → `x86_64`.
    static func architecture(_ name: String) -> String {
        (name.hasPrefix("SCMP_ARCH_") ? String(name.dropFirst(10)) : name).lowercased()
    }

    private static func set(_ context: scmp_filter_ctx, _ attribute: scmp_filter_attr, _ value: UInt32)
        throws(RuntimeError)
    {
        let result = seccomp_attr_set(context, attribute, value)
        guard result == 0 else { throw failure("set a filter attribute", result) }
    }

    private static func export(_ context: scmp_filter_ctx) throws(RuntimeError) -> [UInt8] {
        // seccomp_export_bpf_mem came after 2.5.4.
        let file = try purpose("make a memory file") { () throws(SystemError) in
            FileDescriptor(owning: try check("memfd_create") { memfd_create("seccomp", UInt32(MFD_CLOEXEC)) })
        }
        let raw = file.raw
        let result = seccomp_export_bpf(context, raw)
        guard result == 0 else { throw failure("export the filter", result) }
        return try purpose("read the filter") { () throws(SystemError) in
            try check("lseek") { lseek(raw, 0, SEEK_SET) }
            return try file.readAll(byteCountMax: 1 << 20)
        }
    }

    private static func failure(_ text: String, _ result: Int32) -> RuntimeError {
        .system("compile the seccomp profile: \(text)", SystemError("libseccomp", code: -result))
    }
}

extension SeccompCompiler {
    /// A profile that lets pass what it does not name lets newer calls pass too.
    private static func refusesByDefault(_ action: UInt32) -> Bool {
        switch action & UInt32(SECCOMP_RET_ACTION_FULL) {
        case UInt32(SECCOMP_RET_ALLOW), UInt32(SECCOMP_RET_LOG), UInt32(SECCOMP_RET_TRACE): false
        default: true
        }
    }

    /// A call that came after the profile is ENOSYS, not EPERM, so that programs fall back as on an older kernel: every
    /// number above the highest that the profile names, by architecture.
    private static func unknownCallPrefix(_ profile: RuntimeSpec.Seccomp, _ architectures: [UInt32]) -> [UInt8] {
        // libseccomp's tokens are the kernel's AUDIT_ARCH_*. x32 shares the kernel's token of x86_64 and has numbers
        // from 2^30 up: left to the filter proper.
        let known = [
            Int32(truncatingIfNeeded: AUDIT_ARCH_X86_64_NATIVE), Int32(truncatingIfNeeded: AUDIT_ARCH_AARCH64_NATIVE),
            Int32(truncatingIfNeeded: AUDIT_ARCH_I386_NATIVE), Int32(truncatingIfNeeded: AUDIT_ARCH_ARM_NATIVE),
        ].map { UInt32(bitPattern: $0) }
        var bytes: [UInt8] = []
        for architecture in architectures where known.contains(architecture) {
            var highest: Int32 = 0
            for rule in profile.syscalls ?? [] {
                for name in rule.names {
                    highest = max(highest, seccomp_syscall_resolve_name_arch(architecture, name))
                }
            }
            bytes += refuseAbove(highest, token: architecture)
        }
        return bytes
    }

    private static func refuseAbove(_ highest: Int32, token: UInt32) -> [UInt8] {
        let x32: UInt32 = 0x4000_0000
        let (load, equal) = (UInt16(BPF_LD | BPF_W | BPF_ABS), UInt16(BPF_JMP | BPF_JEQ | BPF_K))
        let (atLeast, answer) = (UInt16(BPF_JMP | BPF_JGE | BPF_K), UInt16(BPF_RET | BPF_K))
        // struct seccomp_data: number at 0, architecture at 4.
        let instructions: [(code: UInt16, yes: UInt8, no: UInt8, value: UInt32)] = [
            (load, 0, 0, 4), (equal, 0, 4, token), (load, 0, 0, 0), (atLeast, 2, 0, x32),
            (atLeast, 0, 1, UInt32(highest) + 1), (answer, 0, 0, UInt32(SECCOMP_RET_ERRNO) | UInt32(ENOSYS)),
        ]
        var bytes: [UInt8] = []
        for instruction in instructions {
            bytes += [UInt8(instruction.code & 0xff), UInt8(instruction.code >> 8), instruction.yes, instruction.no]
            withUnsafeBytes(of: instruction.value.littleEndian) { bytes += $0 }
        }
        return bytes
    }
}
