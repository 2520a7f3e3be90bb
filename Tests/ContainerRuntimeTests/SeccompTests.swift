import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import ContainerRuntime

@Suite struct SeccompTests {
    private func temporary(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/gantry-seccomp-test-\(TestContainer.newNumber())"
        try FileSystem.makeDirectories(folder)
        // Rubbish in /tmp fails no test.
        defer { try? FileSystem.removeTree(folder) }
        try body(folder)
    }

    @Test func filterIsCompiledOnceAndKept() throws {
        try temporary { folder in
            let spec = RuntimeSpec.containerDefault()
            let first = try SeccompCache(directory: folder).filter(spec, policy: .standard)
            #expect(first.count > 100 * 8 && first.count % 8 == 0)
            let files = try FileSystem.list(folder)
            #expect(files.count == 1)
            let path = "\(folder)/\(files[0])"
            var before = stat()
            var after = stat()
            stat(path, &before)
            #expect(before.st_mode & 0o777 == 0o600)
            // From the file: it is not written again.
            #expect(try SeccompCache(directory: folder).filter(spec, policy: .standard) == first)
            stat(path, &after)
            #expect(before.st_ino == after.st_ino)
            #expect(try SeccompCache(directory: folder).filter(spec, policy: .unconfined) == [])
        }
    }

    /// A filter with one bit turned, a piece missing, another's key, another's file: none is loaded.
    @Test(arguments: ["bit", "cut", "key", "writable", "owner", "link"])
    func damagedAndForeignFilesAreNotLoaded(kind: String) throws {
        try temporary { folder in
            let spec = RuntimeSpec.containerDefault()
            let good = try SeccompCache(directory: folder).filter(spec, policy: .standard)
            let path = "\(folder)/\(try #require(try FileSystem.list(folder).first))"
            var stored = try FileSystem.readFile(path)
            // Allows everything: BPF_RET | BPF_K, SECCOMP_RET_ALLOW.
            let allow: [UInt8] = [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f]
            let key = String(decoding: stored.prefix { $0 != 0x0a }, as: UTF8.self)
            switch kind {
            case "bit": stored[stored.count - 1] ^= 1
            case "cut": stored.removeLast(16)
            case "key": stored = SeccompCache.file(key: "\(key)0", filter: allow)
            default: stored = SeccompCache.file(key: key, filter: allow)
            }
            try FileSystem.replaceFile(path, with: stored)
            switch kind {
            case "writable": chmod(path, 0o622)
            case "owner": chown(path, 1000, 1000)
            case "link":
                rename(path, "\(path).real")
                symlink("\(path).real", path)
            default: break
            }
            #expect(try SeccompCache(directory: folder).filter(spec, policy: .standard) == good)
        }
    }

    /// The forgery above is taken where nothing speaks against it: the checks are what refuses it there.
    @Test func aFileOfOursIsTaken() throws {
        try temporary { folder in
            let spec = RuntimeSpec.containerDefault()
            _ = try SeccompCache(directory: folder).filter(spec, policy: .standard)
            let path = "\(folder)/\(try #require(try FileSystem.list(folder).first))"
            let key = String(decoding: try FileSystem.readFile(path).prefix { $0 != 0x0a }, as: UTF8.self)
            try FileSystem.replaceFile(path, with: SeccompCache.file(key: key, filter: [6, 0, 0, 0, 0, 0, 5, 0]))
            #expect(try SeccompCache(directory: folder).filter(spec, policy: .standard) == [6, 0, 0, 0, 0, 0, 5, 0])
        }
    }

    @Test func everyDifferenceMakesAnotherFile() throws {
        try temporary { folder in
            let cache = SeccompCache(directory: folder)
            var spec = RuntimeSpec.containerDefault()
            _ = try cache.filter(spec, policy: .standard)
            spec.process.capabilities.bounding.append("CAP_SYS_ADMIN")
            _ = try cache.filter(spec, policy: .standard)
            let profiles: [RuntimeSpec.Seccomp] = [
                .init(defaultAction: "SCMP_ACT_ALLOW", syscalls: [.init(names: ["a,b"], action: "SCMP_ACT_KILL")]),
                .init(defaultAction: "SCMP_ACT_ALLOW", syscalls: [.init(names: ["a", "b"], action: "SCMP_ACT_KILL")]),
                .init(defaultAction: "SCMP_ACT_ALLOW", syscalls: [.init(names: ["a"], action: "SCMP_ACT_KILL")]),
                .init(defaultAction: "SCMP_ACT_ALLOW", syscalls: [.init(names: ["a"], action: "SCMP_ACT_LOG")]),
            ]
            for profile in profiles {
                spec.linux.seccomp = profile
                _ = try cache.filter(spec, policy: .standard)
            }
            #expect(try FileSystem.list(folder).count == 6)
        }
    }

    // MARK: - Filters

    @Test(arguments: [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_TRAP", "SCMP_ACT_LOG", "SCMP_ACT_TRACE",
    ])
    func everyActionCompiles(action: String) throws {
        let other = action == "SCMP_ACT_ALLOW" ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW"
        let rule = RuntimeSpec.Seccomp.Rule(names: ["getcwd"], action: other)
        #expect(try !SeccompCompiler.compile(.init(defaultAction: action, syscalls: [rule])).isEmpty)
        let reversed = RuntimeSpec.Seccomp.Rule(names: ["getcwd"], action: action)
        #expect(try !SeccompCompiler.compile(.init(defaultAction: other, syscalls: [reversed])).isEmpty)
    }

    @Test func architecturesCompile() throws {
        var profile = try SeccompStandard.profile(capabilities: 0)
        profile.architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
        let x86 = try SeccompCompiler.compile(profile)
        profile.architectures = ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_RISCV64"]
        #expect(try SeccompCompiler.compile(profile) != x86)
        profile.architectures = ["SCMP_ARCH_ABACUS"]
        #expect(throws: RuntimeError.invalidSpec("seccomp architecture 'SCMP_ARCH_ABACUS' is unknown")) {
            try SeccompCompiler.compile(profile)
        }
    }

    @Test func mistakesAreErrorsThatNameTheRule() {
        typealias Rule = RuntimeSpec.Seccomp.Rule
        let good = Rule(names: ["getcwd"], action: "SCMP_ACT_ERRNO")
        let cases: [(RuntimeSpec.Seccomp, String)] = [
            (.init(defaultAction: "SCMP_ACT_NOTIFY"), "SCMP_ACT_NOTIFY cannot be the seccomp defaultAction"),
            (.init(defaultAction: "ALLOW"), "seccomp defaultAction: unknown action 'ALLOW'"),
            (
                .init(defaultAction: "SCMP_ACT_ALLOW", syscalls: [good, Rule(names: ["mkdir"], action: "NO")]),
                "seccomp rule 2 (mkdir): unknown action 'NO'"
            ),
            (
                .init(
                    defaultAction: "SCMP_ACT_ALLOW",
                    syscalls: [
                        Rule(
                            names: ["mkdir"], action: "SCMP_ACT_KILL",
                            args: [.init(index: 6, value: 0, op: "SCMP_CMP_EQ")])
                    ]),
                "seccomp rule 1 (mkdir): a system call has no argument 6"
            ),
            (
                .init(
                    defaultAction: "SCMP_ACT_ALLOW",
                    syscalls: [
                        Rule(names: ["mkdir"], action: "SCMP_ACT_KILL", args: [.init(index: 0, value: 0, op: "IS")])
                    ]),
                "seccomp rule 1 (mkdir): unknown operator 'IS'"
            ),
            (
                .init(defaultAction: "SCMP_ACT_ALLOW", syscalls: [Rule(names: ["mkdir"], action: "SCMP_ACT_NOTIFY")]),
                "SCMP_ACT_NOTIFY needs a seccomp listenerPath, an absolute path"
            ),
        ]
        for (profile, text) in cases {
            #expect(throws: RuntimeError.invalidSpec(text)) { try SeccompCompiler.compile(profile) }
        }
    }

    @Test func flagsOfAProfile() throws {
        var profile = RuntimeSpec.Seccomp(defaultAction: "SCMP_ACT_ALLOW")
        #expect(try SeccompPlan.flags(nil) == UInt32(SECCOMP_FILTER_FLAG_SPEC_ALLOW))
        #expect(try SeccompPlan.flags(profile) == UInt32(SECCOMP_FILTER_FLAG_SPEC_ALLOW))
        profile.flags = []
        #expect(try SeccompPlan.flags(profile) == 0)
        profile.flags = [
            "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        ]
        #expect(try SeccompPlan.flags(profile) == UInt32(SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_TSYNC))
        profile.syscalls = [.init(names: ["mkdir"], action: "SCMP_ACT_NOTIFY")]
        let notifying =
            SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | SECCOMP_FILTER_FLAG_NEW_LISTENER
        #expect(try SeccompPlan.flags(profile) == UInt32(notifying))
        profile.flags = ["SECCOMP_FILTER_FLAG_ODD"]
        #expect(throws: RuntimeError.self) { try SeccompPlan.flags(profile) }
    }

    // MARK: - The standard profile

    @Test func capabilitiesOpenTheirCalls() throws {
        let plain = try SeccompStandard.profile(capabilities: 0)
        let admin = try SeccompStandard.profile(capabilities: .max)
        func allows(_ profile: RuntimeSpec.Seccomp, _ name: String) -> Bool {
            (profile.syscalls ?? []).contains {
                $0.names.contains(name) && $0.action == "SCMP_ACT_ALLOW" && ($0.args ?? []).isEmpty
            }
        }
        for name in ["mount", "setns", "bpf", "init_module", "reboot", "settimeofday", "open_by_handle_at", "clone3"] {
            #expect(!allows(plain, name))
            #expect(allows(admin, name))
        }
        for name in ["keyctl", "add_key", "request_key", "userfaultfd", "io_uring_setup", "kexec_load", "swapon"] {
            #expect(!allows(plain, name) && !allows(admin, name))
        }
    }

    /// Facts about Docker's profile as of 2026 (github.com/moby/profiles, seccomp/default.json): ours is that list.
    @Test func standardProfileIsDockers() throws {
        let profile = try SeccompStandard.profile(capabilities: 0)
        let rules = profile.syscalls ?? []
        let always = Set(rules.filter { ($0.args ?? []).isEmpty && $0.action == "SCMP_ACT_ALLOW" }.flatMap(\.names))
        // 361 names there, three more from kernel 4.8 on, and of the architectures' own: two on amd64, six on arm64.
        let ofArchitectures: Set<String> = [
            "arch_prctl", "modify_ldt", "arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint",
            "cacheflush", "set_tls", "riscv_flush_icache",
        ]
        #expect(always.subtracting(ofArchitectures).count == SeccompStandardFacts.alwaysCount)
        let families = rules.filter { $0.names == ["socket"] }.compactMap { $0.args?.first }
        #expect(families.filter { $0.op == "SCMP_CMP_LT" }.map(\.value) == [12])
        #expect(
            families.filter { $0.op == "SCMP_CMP_EQ" }.map(\.value)
                == [13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45])
        let personalities = rules.filter { $0.names == ["personality"] }.compactMap { $0.args?.first?.value }
        #expect(personalities == [0, 8, 0x20000, 0x20008, 0xffff_ffff])
        let clone = try #require(rules.first { $0.names == ["clone"] }?.args?.first)
        #expect((clone.value, clone.valueTwo, clone.op) == (2_114_060_288, 0, "SCMP_CMP_MASKED_EQ"))
        #expect(rules.first { $0.names == ["clone3"] }?.errnoRet == 38)
        #expect((profile.defaultAction, profile.defaultErrnoRet) == ("SCMP_ACT_ERRNO", 1))
    }
}

private enum SeccompStandardFacts {
    /// Docker's first two groups.
    static let alwaysCount = 364
}
