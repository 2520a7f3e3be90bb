import CLibSeccomp
import CLinux

/// For `features`: what a seccomp profile may say.
public enum SeccompNames {
    public static var actions: [String] { SeccompCompiler.actions.keys.sorted() }
    public static var operators: [String] { SeccompCompiler.operators.keys.sorted() }
    public static var flags: [String] { SeccompPlan.flags.keys.sorted() }

    /// Of the specification's architectures those that libseccomp knows.
    /// <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp>
    public static var architectures: [String] {
        let names = [
            "AARCH64", "ARM", "LOONGARCH64", "M68K", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32",
            "PARISC", "PARISC64", "PPC", "PPC64", "PPC64LE", "RISCV64", "S390", "S390X", "SH", "SHEB", "X32", "X86",
            "X86_64",
        ]
        return names.map { "SCMP_ARCH_\($0)" }
            .filter { seccomp_arch_resolve_name(SeccompCompiler.architecture($0)) != 0 }
    }

    /// Those of `flags` that this kernel takes.
    public static var flagsOfKernel: [String] {
        SeccompPlan.flags.filter { gantry_seccomp_knows_flag($0.value) != 0 }.keys.sorted()
    }
}
