import CLibSeccomp
import CLinux
import Glibc
import LinuxSystem

/// From a profile to `struct sock_filter` bytes, through libseccomp. Takes about 12 ms: see `SeccompCache`.
enum SeccompCompiler {
    static func compile(_ profile: RuntimeSpec.Seccomp) throws(RuntimeError) -> [UInt8] {
        let defaultAction = try action(profile.defaultAction, errno: profile.defaultErrnoRet)
        guard let context = seccomp_init(defaultAction) else { throw .invalidSpec("seccomp default action") }
        defer { seccomp_release(context) }
        for name in profile.architectures ?? [] {
            let token = seccomp_arch_resolve_name(architecture(name))
            guard token != 0 else { throw .invalidSpec("seccomp architecture '\(name)'") }
            let result = seccomp_arch_add(context, token)
            guard result == 0 || result == -EEXIST else { throw failure("add the architecture \(name)", result) }
        }
        // A binary tree instead of a list: 0.26 ms instead of 1 ms to load.
        try set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2)
        // We decide about no_new_privs ourselves.
        try set(context, SCMP_FLTATR_CTL_NNP, 0)
        var highest: Int32 = 0
        for rule in profile.syscalls ?? [] {
            highest = max(highest, try add(rule, to: context, defaultAction: defaultAction))
        }
        return unknownCallPrefix(highest: highest) + (try export(context))
    }

    private static func add(
        _ rule: RuntimeSpec.Seccomp.Rule, to context: scmp_filter_ctx, defaultAction: UInt32
    ) throws(RuntimeError) -> Int32 {
        let action = try action(rule.action, errno: rule.errnoRet)
        let arguments = try (rule.args ?? []).map { (argument) throws(RuntimeError) in try comparison(argument) }
        var highest: Int32 = 0
        for name in rule.names {
            let number = seccomp_syscall_resolve_name(name)
            // libseccomp does not know it: newer than the library, see `unknownCallPrefix`.
            guard number != -1 else { continue }
            highest = max(highest, number)
            // libseccomp refuses rules that say what the default says.
            guard action != defaultAction else { continue }
            let result = seccomp_rule_add_array(context, action, number, UInt32(arguments.count), arguments)
            // EDOM, EINVAL for pseudo calls that an architecture has not.
            guard result == 0 || result == -EEXIST || (number < 0 && (result == -EDOM || result == -EINVAL)) else {
                throw failure("add the rule for \(name)", result)
            }
        }
        return highest
    }

    private static func comparison(_ argument: RuntimeSpec.Seccomp.Argument) throws(RuntimeError) -> scmp_arg_cmp {
        let operators: [String: scmp_compare] = [
            "SCMP_CMP_NE": SCMP_CMP_NE, "SCMP_CMP_LT": SCMP_CMP_LT, "SCMP_CMP_LE": SCMP_CMP_LE,
            "SCMP_CMP_EQ": SCMP_CMP_EQ, "SCMP_CMP_GE": SCMP_CMP_GE, "SCMP_CMP_GT": SCMP_CMP_GT,
            "SCMP_CMP_MASKED_EQ": SCMP_CMP_MASKED_EQ,
        ]
        guard let compare = operators[argument.op], argument.index < 6 else {
            throw .invalidSpec("seccomp operator '\(argument.op)' on argument \(argument.index)")
        }
        // For MASKED_EQ `value` is the mask and `valueTwo` what must be left.
        return scmp_arg_cmp(
            arg: argument.index, op: compare, datum_a: argument.value, datum_b: argument.valueTwo ?? 0)
    }

    private static func action(_ name: String, errno code: UInt32?) throws(RuntimeError) -> UInt32 {
        let data = (code ?? UInt32(EPERM)) & 0xffff
        switch name {
        case "SCMP_ACT_ALLOW": return UInt32(SECCOMP_RET_ALLOW)
        case "SCMP_ACT_ERRNO": return UInt32(SECCOMP_RET_ERRNO) | data
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": return UInt32(SECCOMP_RET_KILL_THREAD)
        case "SCMP_ACT_KILL_PROCESS": return UInt32(SECCOMP_RET_KILL_PROCESS)
        case "SCMP_ACT_TRAP": return UInt32(SECCOMP_RET_TRAP)
        case "SCMP_ACT_LOG": return UInt32(SECCOMP_RET_LOG)
        case "SCMP_ACT_TRACE": return UInt32(SECCOMP_RET_TRACE) | data
        default: throw .unsupported("seccomp action '\(name)'")
        }
    }

    /// `SCMP_ARCH_X86_64` → `x86_64`.
    private static func architecture(_ name: String) -> String {
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
            return try file.readAll(byteCountMax: 4096 * 8)
        }
    }

    private static func failure(_ text: String, _ result: Int32) -> RuntimeError {
        .system("compile the seccomp profile: \(text)", SystemError("libseccomp", code: -result))
    }

    /// A call that came after the profile is ENOSYS, not EPERM, so that programs fall back as on an older kernel: every
    /// number of the native architecture above the highest that the profile names.
    private static func unknownCallPrefix(highest: Int32) -> [UInt8] {
        #if arch(x86_64)
            let native = UInt32(bitPattern: Int32(truncatingIfNeeded: AUDIT_ARCH_X86_64_NATIVE))
        #elseif arch(arm64)
            let native = UInt32(bitPattern: Int32(truncatingIfNeeded: AUDIT_ARCH_AARCH64_NATIVE))
        #endif
        let x32: UInt32 = 0x4000_0000
        let (load, equal) = (UInt16(BPF_LD | BPF_W | BPF_ABS), UInt16(BPF_JMP | BPF_JEQ | BPF_K))
        let (atLeast, answer) = (UInt16(BPF_JMP | BPF_JGE | BPF_K), UInt16(BPF_RET | BPF_K))
        // struct seccomp_data: number at 0, architecture at 4.
        let instructions: [(code: UInt16, yes: UInt8, no: UInt8, value: UInt32)] = [
            (load, 0, 0, 4), (equal, 0, 4, native), (load, 0, 0, 0), (atLeast, 2, 0, x32),
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
