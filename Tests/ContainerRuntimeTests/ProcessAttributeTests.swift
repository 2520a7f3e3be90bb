import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests {
    @Suite struct ProcessAttributeTests {
        @Test func schedulingIsSet() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            var scheduler = RuntimeSpec.Scheduler(policy: "SCHED_BATCH")
            (scheduler.nice, scheduler.flags) = (5, ["SCHED_FLAG_RESET_ON_FORK"])
            container.request.spec.process.scheduler = scheduler
            let pid = try container.launch().pid
            #expect(sched_getscheduler(pid) == 3 | 0x4000_0000)
            let stat = String(decoding: try FileSystem.readFile("/proc/\(pid)/stat"), as: UTF8.self)
            #expect(stat.split(separator: " ")[18] == "5")
        }

        @Test func inputAndOutputWait() throws {
            let output = try shell("busybox ionice -p 1") {
                $0.spec.process.ioPriority = .init(kind: "IOPRIO_CLASS_IDLE", priority: 7)
            }.output
            #expect(output == "idle\n")
        }

        @Test func personalityIsSet() throws {
            let output = try shell("busybox uname -m") {
                $0.spec.linux.personality = .init(domain: "LINUX32")
                $0.seccomp = .unconfined
            }.output
            #expect(output == "i686\n" || output == "armv8l\n")
        }

        @Test func memoryPolicyIsSet() throws {
            let output = try shell("head -1 /proc/self/numa_maps | cut -d' ' -f2") {
                $0.spec.linux.memoryPolicy = .init(mode: "MPOL_BIND", nodes: "0")
            }.output
            #expect(output == "bind:0\n")
        }

        /// Keys of the session that the runtime was started from are not the container's.
        @Test func keyringIsItsOwn() throws {
            let container = try TestHost.shared.container(["sh", "-c", "cat /proc/keys"])
            container.request.spec.linux.maskedPaths = []
            container.request.seccomp = .unconfined
            let output = try container.run().output
            #expect(output.contains("keyring   _ses"))
        }

        @Test func whatCannotBeHadIsWarnedAboutOrRefused() throws {
            let facts = HostFacts.activeSecurityModules()
            guard !facts.contains("apparmor"), !facts.contains("selinux") else { return }
            let container = try TestHost.shared.container(["true"])
            container.request.spec.process.apparmorProfile = "docker-default"
            container.request.spec.linux.mountLabel = "system_u:object_r:file_t:s0"
            #expect(try container.launch().warnings.count == 2)
            #expect(try container.wait().code == 0)
            container.request.spec.process.apparmorProfile = "mine"
            #expect(throws: RuntimeError.self) { try container.launch() }
            container.request.spec.process.apparmorProfile = nil
            container.request.spec.process.selinuxLabel = "u:r:t:s0"
            #expect(throws: RuntimeError.self) { try container.launch() }
        }

        /// Beyond the engine's own hard limit nothing can be given without CAP_SYS_RESOURCE.
        @Test func limitsAreClampedWithAWarning() throws {
            let mayRaise = CapabilityNames.held() >> UInt64(CAP_SYS_RESOURCE) & 1 == 1
            guard !mayRaise else { return }
            let container = try TestHost.shared.container(["sh", "-c", "ulimit -Hn"])
            container.request.spec.process.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 1 << 30, hard: 1 << 30)]
            #expect(try container.launch().warnings.count == 1)
            #expect(try container.wait().code == 0)
        }

        @Test func execRunsOnItsProcessors() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            try container.launch()
            var spec = container.request.spec
            spec.process.execCPUAffinity = .init(initial: "0", final: "0")
            spec.process.scheduler = .init(policy: "SCHED_IDLE")
            let request = ExecRequest(
                directory: container.request.directory, spec: spec,
                args: ["sh", "-c", "grep Cpus_allowed_list /proc/self/status; cut -d' ' -f41 /proc/self/stat"])
            let outcome = try TestHost.shared.runtime.execute(request)
                .collect(timeoutMilliseconds: 10_000, outputMax: 1 << 20)
            #expect(String(decoding: outcome.output, as: UTF8.self) == "Cpus_allowed_list:\t0\n5\n")
        }
    }
}

@Suite struct AttributeCompilerTests {
    @Test func listsBecomeMasks() throws {
        #expect(try AttributeCompiler.mask("0-2,65", what: "x") == [7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])
        #expect(try AttributeCompiler.mask("", what: "x") == [])
        for list in ["-1", "3-1", "1,", ",", "a", "0-", "9999", "99999999999999999999", "1 ", "+1"] {
            #expect(throws: RuntimeError.self, "\(list)") { try AttributeCompiler.mask(list, what: "x") }
        }
    }

    @Test func impossibleAttributesAreRefused() throws {
        let host = HostFacts(
            capabilities: .max, cgroups: CgroupLayout(mountinfo: "") { _ in "" }, isInUserNamespace: false)
        let changes: [(inout RuntimeSpec) -> Void] = [
            { $0.process.scheduler = .init(policy: "SCHED_MAGIC") },
            { $0.process.scheduler = .init(policy: "SCHED_FIFO") },
            {
                $0.process.scheduler = .init(policy: "SCHED_OTHER")
                $0.process.scheduler?.priority = 4
            },
            {
                $0.process.scheduler = .init(policy: "SCHED_OTHER")
                $0.process.scheduler?.nice = 20
            },
            {
                $0.process.scheduler = .init(policy: "SCHED_BATCH")
                $0.process.scheduler?.runtime = 4
            },
            {
                $0.process.scheduler = .init(policy: "SCHED_BATCH")
                $0.process.scheduler?.flags = ["X"]
            },
            { $0.process.ioPriority = .init(kind: "IOPRIO_CLASS_BE", priority: 8) },
            { $0.process.ioPriority = .init(kind: "BE", priority: 1) },
            { $0.linux.personality = .init(domain: "BSD") },
            { $0.linux.memoryPolicy = .init(mode: "MPOL_BIND") },
            { $0.linux.memoryPolicy = .init(mode: "MPOL_LOCAL", nodes: "0") },
            { $0.linux.memoryPolicy = .init(mode: "MPOL_NONE", nodes: "0") },
        ]
        for (index, change) in changes.enumerated() {
            var spec = RuntimeSpec.containerDefault()
            change(&spec)
            #expect(throws: RuntimeError.self, "case \(index)") { try AttributeCompiler.compile(spec, host: host) }
        }
    }
}
