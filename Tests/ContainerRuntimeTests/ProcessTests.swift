import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests {
    /// What a container's process starts with.
    @Suite struct ProcessTests {
        @Test(arguments: [0, 1, 42, 255])
        func exitCodeComesThrough(code: Int32) throws {
            #expect(try shell("exit \(code)").code == code)
        }

        @Test func deathBySignalIsRecorded() throws {
            let container = try TestHost.shared.container(["sh", "-c", "sh -c 'kill -9 $$'; exit $?"])
            #expect(try container.run().code == 137)
        }

        @Test func standardStreamsAreLoggedApart() throws {
            let container = try TestHost.shared.container(["sh", "-c", "echo out; echo err >&2"])
            #expect(try container.run().code == 0)
            #expect(try container.output(.stdout) == "out\n")
            #expect(try container.output(.stderr) == "err\n")
        }

        @Test func environmentIsTheGivenOnePlusHome() throws {
            let result = try shell("env | grep -v PWD | grep -v SHLVL") {
                $0.spec.process.env = ["PATH=/bin", "A=1", "B=x y"]
            }
            #expect(result.output.split(separator: "\n").sorted() == ["A=1", "B=x y", "HOME=/root", "PATH=/bin"])
        }

        @Test func workingDirectoryIsMadeWhenMissing() throws {
            #expect(try shell("pwd") { $0.spec.process.cwd = "/home/user" }.output == "/home/user\n")
            #expect(try shell("pwd") { $0.spec.process.cwd = "/made/here" }.output == "/made/here\n")
        }

        @Test(arguments: [
            ("user", "1000 1000 10 29 1000"), ("user:wheel", "1000 10 10"), ("1000", "1000 1000 10 29 1000"),
            ("1000:29", "1000 29 29"), ("4242", "4242 0 0"), ("4242:77", "4242 77 77"), ("7", "7 0 0"),
        ])
        func userIsLookedUpInside(user: String, expected: String) throws {
            let result = try shell("echo $(id -u) $(id -g) $(id -G | cut -d' ' -f1-)") { $0.user = user }
            let words = result.output.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init)
            let wanted = expected.split(separator: " ").map(String.init)
            #expect(Array(words.prefix(2)) == Array(wanted.prefix(2)))
            #expect(Set(words.dropFirst(2)) == Set(wanted.dropFirst(2)))
        }

        @Test(arguments: [
            "nobody-here", "0x0", " 1000", "1000:", ":5", "4294967296", "4294967295", "2147483648", "-1", "user:nope",
            "",
        ])
        func oddUsersAreRefused(user: String) throws {
            let container = try TestHost.shared.container(["id"])
            container.request.user = user
            #expect(throws: RuntimeError.self) { try container.launch() }
        }

        @Test func furtherGroupsAreLookedUpInside() throws {
            let result = try shell("id -G") {
                $0.user = "1000:1000"
                $0.groups = ["audio", "4000"]
            }
            #expect(Set(result.output.split(whereSeparator: { $0 == " " || $0 == "\n" })) == ["29", "1000", "4000"])
        }

        @Test func rootHasDockersCapabilities() throws {
            let output = try shell("grep Cap /proc/self/status").output
            #expect(output.contains("CapEff:\t00000000800405fb"))
            #expect(output.contains("CapPrm:\t00000000800405fb"))
            #expect(output.contains("CapBnd:\t00000000800405fb"))
            #expect(output.contains("CapInh:\t0000000000000000"))
            #expect(output.contains("CapAmb:\t0000000000000000"))
        }

        @Test func otherUsersHaveNoEffectiveCapabilities() throws {
            let output = try shell("grep Cap /proc/self/status") { $0.user = "user" }.output
            #expect(output.contains("CapEff:\t0000000000000000"))
            #expect(output.contains("CapPrm:\t0000000000000000"))
            #expect(output.contains("CapInh:\t0000000000000000"))
            #expect(output.contains("CapBnd:\t00000000800405fb"))
        }

        @Test func capabilitiesBeyondTheHostsAreNotGranted() throws {
            let output = try shell("grep CapEff /proc/self/status") {
                $0.spec.process.capabilities = .init(all: CapabilityNames.all())
            }.output
            let own = try String(decoding: FileSystem.readFile("/proc/self/status"), as: UTF8.self)
            let line = own.split(separator: "\n").first { $0.hasPrefix("CapBnd") }
            #expect(output.split(separator: "\t").last == line.map { $0.split(separator: "\t")[1] + "\n" })
        }

        @Test func unknownCapabilityIsWarnedAbout() throws {
            let container = try TestHost.shared.container(["true"])
            container.request.spec.process.capabilities.bounding.append("CAP_NOT_THERE")
            #expect(try container.launch().warnings == ["unknown capability 'CAP_NOT_THERE' is not granted"])
            #expect(try container.wait().code == 0)
        }

        @Test func seccompFilterIsOn() throws {
            let output = try shell("grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp 2>&1; echo $?").output
            #expect(output.hasPrefix("Seccomp:\t2\n"))
            #expect(output.contains("mount: permission denied"))
            let unconfined = try shell("grep Seccomp: /proc/self/status") { $0.seccomp = .unconfined }.output
            #expect(unconfined == "Seccomp:\t0\n")
        }

        /// EPERM from the filter, not from a missing capability.
        @Test func filterRefusesEvenWithTheCapability() throws {
            let result = try shell("hostname other 2>&1; hostname") {
                // The bounding set chooses the profile; what is effective beyond it cannot be.
                $0.spec.linux.seccomp = RuntimeSpec.Seccomp(
                    defaultAction: "SCMP_ACT_ALLOW",
                    syscalls: [.init(names: ["sethostname"], action: "SCMP_ACT_ERRNO", errnoRet: 88)])
                $0.spec.process.capabilities = .init(all: RuntimeSpec.defaultCapabilities + ["CAP_SYS_ADMIN"])
            }
            #expect(result.output.hasSuffix("box\n"))
            #expect(result.output.contains("Socket operation on non-socket"))
        }

        @Test func noNewPrivilegesIsSet() throws {
            let output = try shell("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status") {
                $0.spec.process.noNewPrivileges = true
            }.output
            #expect(output == "NoNewPrivs:\t1\nSeccomp:\t2\n")
        }

        @Test func limitsAreSet() throws {
            let output = try shell("ulimit -n; ulimit -Hn") {
                $0.spec.process.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 99, hard: 200)]
            }.output
            #expect(output == "99\n200\n")
        }

        @Test func outOfMemoryScoreThatNeedsPrivilegeIsAWarning() throws {
            let container = try TestHost.shared.container(["cat", "/proc/self/oom_score_adj"])
            container.request.spec.process.oomScoreAdj = 300
            #expect(try container.launch().warnings == [])
            #expect(try container.wait().code == 0)
            #expect(try container.output() == "300\n")
        }

        @Test func namesAndNamespacesAreItsOwn() throws {
            let output = try shell("hostname; echo $$; ls /proc | grep -c '^[0-9]'; ip link | grep -c ':.*<'").output
            // A shell, ls and grep in one pid namespace; lo alone in one network namespace.
            #expect(output.hasPrefix("box\n1\n"))
            #expect(output.split(separator: "\n").last == "1")
        }

        @Test func loopbackIsUp() throws {
            #expect(try shell("ip link show lo").output.contains("LOOPBACK,UP"))
        }

        @Test func nothingLeaksIn() throws {
            // 0, 1, 2 and the folder that ls itself reads.
            #expect(try shell("exec ls /proc/self/fd").output == "0\n1\n2\n3\n")
            let status = try shell("umask; exec grep -E 'SigBlk|SigIgn' /proc/self/status").output
            #expect(status == "0022\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")
        }

        @Test func missingProgramIs127() throws {
            let container = try TestHost.shared.container(["no-such-program"])
            let error = #expect(throws: RuntimeError.self) { try container.launch() }
            #expect(error?.conventionalExitCode == 127)
            #expect(error?.description.contains("no-such-program") == true)
            let absolute = try TestHost.shared.container(["/no/such"])
            #expect(#expect(throws: RuntimeError.self) { try absolute.launch() }?.conventionalExitCode == 127)
        }

        @Test(arguments: ["/etc/passwd", "/etc", "/bin/empty"])
        func unsuitableProgramIs126(path: String) throws {
            let container = try TestHost.shared.container([path]) { layer in
                try FileSystem.makeDirectories("\(layer)/bin", mode: 0o755)
                try FileSystem.replaceFile("\(layer)/bin/empty", with: Array("junk".utf8), mode: 0o755)
                chmod("\(layer)/bin/empty", 0o755)
            }
            let error = #expect(throws: RuntimeError.self) { try container.launch() }
            #expect(error?.conventionalExitCode == 126)
        }

        @Test func failedStartLeavesNothing() throws {
            let container = try TestHost.shared.container(["no-such-program"])
            #expect(throws: RuntimeError.self) { try container.launch() }
            let record = try TestHost.shared.runtime.inspect(directory: container.request.directory)
            #expect(record.state == .neverStarted)
            for (_, path) in try CgroupLayout.current().directories(name: "gantry-test-\(getpid())") {
                #expect(!FileSystem.exists("\(path)/\(container.request.id)"))
            }
        }

        @Test func initForwardsSignalsAndReaps() throws {
            let container = try TestHost.shared.container(
                [
                    "sh", "-c",
                    "trap 'echo got; exit 7' TERM; (sh -c 'sleep 0.05; echo orphan' &) ; echo pid $$; "
                        + "while true; do sleep 0.1; done",
                ])
            container.request.useInit = true
            let pid = try container.launch().pid
            try eventually {
                let output = try container.output()
                return output.contains("pid ") && output.contains("orphan\n")
            }
            // The orphan was taken over by process 1 and is gone: the shell alone is left, no zombie beside it.
            try eventually {
                try FileSystem.readFile("/proc/\(pid)/task/\(pid)/children").split(separator: 0x20).count == 1
            }
            let runtime = TestHost.shared.runtime
            try runtime.signal(directory: container.request.directory, SIGTERM)
            #expect(try container.wait().code == 7)
            let output = try container.output()
            #expect(output.hasSuffix("got\n"))
            #expect(!output.contains("pid 1\n"))
        }

        /// Process 1 runs the host's program file: it must not be readable from inside (CVE-2019-5736).
        @Test func initHidesItsProgram() throws {
            let result = try shell(
                "readlink /proc/1/exe; cat /proc/1/exe >/dev/null && echo readable; cat /proc/1/mem && echo readable; :"
            ) {
                $0.useInit = true
            }
            #expect(!result.output.contains("gantry"))
            #expect(!result.output.contains("readable"))
        }
    }
}

/// Everything that starts real containers, one after the other.
@Suite(.serialized) enum KernelTests {}
