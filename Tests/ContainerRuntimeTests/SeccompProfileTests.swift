import Testing

@testable import ContainerRuntime

/// Docker's and OCI's JSON.
@Suite struct SeccompProfileTests {
    private func host(
        _ architecture: String = "amd64", kernel: String = "6.18", capabilities: Set<String> = []
    ) throws -> SeccompProfile.Host {
        .init(
            architecture: architecture, kernel: try #require(SeccompProfile.KernelVersion(kernel)),
            capabilities: capabilities)
    }

    private func resolve(_ json: String, _ host: SeccompProfile.Host) throws -> RuntimeSpec.Seccomp {
        try SeccompProfile(json: Array(json.utf8)).resolve(host)
    }

    private let docker = """
        {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "archMap": [
           {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
           {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null}],
         "syscalls": [
           {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {}},
           {"name": "ptrace", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
           {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}},
           {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
           {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
           {"names": ["cacheflush"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"], "minKernel": "7.0"}},
           {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 40, "valueTwo": 0, "op": "SCMP_CMP_NE"}]}]}
        """

    @Test func conditionsAreDecidedByCapabilityArchitectureAndKernel() throws {
        func names(_ host: SeccompProfile.Host) throws -> [String] {
            (try resolve(docker, host).syscalls ?? []).flatMap(\.names)
        }
        #expect(try names(host()) == ["read", "write", "ptrace", "clone3", "arch_prctl", "socket"])
        #expect(try names(host("arm64")) == ["read", "write", "ptrace", "clone3", "cacheflush", "socket"])
        #expect(try names(host("arm64", kernel: "7.1")) == ["read", "write", "ptrace", "clone3", "socket"])
        #expect(try names(host(kernel: "4.7")) == ["read", "write", "clone3", "arch_prctl", "socket"])
        // All capabilities of an inclusion, any of an exclusion.
        #expect(
            try names(host(capabilities: ["CAP_SYS_ADMIN"])) == ["read", "write", "ptrace", "arch_prctl", "socket"])
        #expect(try names(host(capabilities: ["CAP_SYS_ADMIN", "CAP_BPF"])).contains("bpf"))
    }

    @Test func architecturesComeFromTheMapOrTheList() throws {
        #expect(
            try resolve(docker, host()).architectures == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
        #expect(try resolve(docker, host("arm64")).architectures == ["SCMP_ARCH_AARCH64"])
        let list = #"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_ARM"]}"#
        #expect(try resolve(list, host()).architectures == ["SCMP_ARCH_ARM"])
    }

    @Test func formatOfOCI() throws {
        let json = """
            {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
             "listenerPath": "/run/agent.sock", "listenerMetadata": "m",
             "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"},
                          {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7}]}
            """
        let resolved = try resolve(json, host())
        #expect(resolved.flags == ["SECCOMP_FILTER_FLAG_LOG"])
        #expect((resolved.listenerPath, resolved.listenerMetadata) == ("/run/agent.sock", "m"))
        #expect(resolved.syscalls?.map(\.errnoRet) == [nil, 7])
    }

    @Test(arguments: [
        ("{", "not JSON"), ("[]", "another type"), ("{}", "no defaultAction"),
        (#"{"defaultAction": 3}"#, "at defaultAction"),
        (
            #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "X"}, {"names": ["b"]}]}"#,
            "'action' is missing at syscalls 2"
        ),
        (#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "X"}]}"#, "rule 1 names no system call"),
        (
            #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "names": ["b"], "action": "X"}]}"#,
            "rule 1 has both"
        ),
        (
            #"{"defaultAction": "A", "syscalls": [{"name": "a", "action": "X", "includes": {"minKernel": "4"}}]}"#,
            "rule 1 (a): minKernel '4'"
        ),
        (#"{"defaultAction": "A", "architectures": ["x"], "archMap": [{"architecture": "y"}]}"#, "keep one"),
        (
            #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "action": "X", "errnoRet": -1}]}"#,
            "rule 1 (a): errnoRet -1 is out of range"
        ),
        (
            #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "action": "X", "args": [{"index": 0}]}]}"#,
            "syscalls 1 args 1"
        ),
    ])
    func mistakesSayWhere(json: String, text: String) throws {
        let host = try host()
        do {
            _ = try resolve(json, host)
            Issue.record("accepted: \(json)")
        } catch let error as RuntimeError {
            #expect("\(error)".contains(text), "\(error)")
        }
    }

    @Test(arguments: [("6.18.0-1-amd64", 6, 18), ("4.8", 4, 8), ("5.10-rc1.x", 5, 10)])
    func kernelVersions(text: String, major: Int, minor: Int) throws {
        let version = try #require(SeccompProfile.KernelVersion(text))
        #expect((version.major, version.minor) == (major, minor))
    }

    @Test(arguments: ["", "6", "6.", ".1", "a.b", "-1.2", "99999999999999999999.1", "4.8x"])
    func kernelVersionsThatAreNone(text: String) { #expect(SeccompProfile.KernelVersion(text) == nil) }

    /// The whole way, as the engine goes it.
    @Test func profileOfTheEngine() throws {
        let seccomp = try RuntimeSpec.Seccomp(profile: Array(docker.utf8), capabilities: ["sys_admin"])
        #expect(seccomp.syscalls?.contains { $0.names == ["clone3"] } == false)
        let broken = #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "mkdir", "action": "X"}]}"#
        #expect(throws: RuntimeError.invalidSpec("seccomp rule 1 (mkdir): unknown action 'X'")) {
            try RuntimeSpec.Seccomp(profile: Array(broken.utf8), capabilities: [])
        }
    }
}
