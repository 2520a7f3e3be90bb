import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import ContainerRuntime

extension KernelTests {
    /// Profiles at work.
    @Suite struct SeccompKernelTests {
        private typealias Rule = RuntimeSpec.Seccomp.Rule

        /// A profile that allows by default does not withhold the calls above those it names.
        @Test func allowedByDefaultMeansTheNewerCallsToo() throws {
            let result = try Programs.run("calls") {
                $0.spec.linux.seccomp = .init(
                    defaultAction: "SCMP_ACT_ALLOW",
                    syscalls: [Rule(names: ["getcwd"], action: "SCMP_ACT_ERRNO", errnoRet: 7)])
            }
            #expect(result["memfd_secret"] != "38" || result["fsopen"] != "38")
            #expect(result["pidfd_getfd"] == "9")
        }

        /// Docker's JSON, and the error of one rule.
        @Test func profileInDockersFormat() throws {
            let json = """
                {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                  {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 88,
                   "excludes": {"caps": ["CAP_SYS_ADMIN"]}}]}
                """
            let output = try shell("mkdir /tmp/x 2>&1; mkdir /tmp/y 2>&1; :") {
                $0.spec.linux.seccomp = try .init(
                    profile: Array(json.utf8), capabilities: $0.spec.process.capabilities.bounding)
            }.output
            #expect(output.contains("Socket operation on non-socket"))
        }

        @Test(
            arguments: [("SCMP_ACT_KILL_PROCESS", 159), ("SCMP_ACT_TRAP", 159), ("SCMP_ACT_KILL", 159)], [false, true])
        func killingActions(action: (String, Int32), noNewPrivileges: Bool) throws {
            let container = try TestHost.shared.container(["mkdir", "/tmp/x"])
            container.request.spec.process.noNewPrivileges = noNewPrivileges
            container.request.spec.linux.seccomp = .init(
                defaultAction: "SCMP_ACT_ALLOW", syscalls: [Rule(names: ["mkdir", "mkdirat"], action: action.0)])
            #expect(try container.run().code == action.1)
        }

        @Test(arguments: [
            "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        ])
        func flagsAreTaken(flag: String) throws {
            let output = try shell("grep Seccomp: /proc/self/status") {
                $0.spec.linux.seccomp = .init(defaultAction: "SCMP_ACT_ALLOW")
                $0.spec.linux.seccomp?.flags = [flag]
            }.output
            #expect(output == "Seccomp:\t2\n")
        }

        /// Whatever can be checked is checked before the filter is on: it may withhold what the checks need.
        @Test(arguments: [false, true])
        func filterThatWithholdsTheSetUpsOwnCalls(noNewPrivileges: Bool) throws {
            let names = [
                "getcwd", "setgroups", "setresuid", "setresgid", "fchdir", "mount", "move_mount", "openat2", "socket",
                "sendmsg", "connect", "seccomp",
            ]
            let container = try TestHost.shared.container(["echo", "fine"])
            container.request.spec.process.noNewPrivileges = noNewPrivileges
            container.request.user = "user"
            container.request.spec.process.cwd = "/tmp"
            container.request.spec.linux.seccomp = .init(
                defaultAction: "SCMP_ACT_ALLOW", syscalls: [Rule(names: names, action: "SCMP_ACT_KILL_PROCESS")])
            #expect(try container.run() == (0, "fine\n"))
        }

        /// SCMP_ACT_NOTIFY: an agent of the host gets the descriptor with the process's state, and answers.
        @Test(arguments: [false, true])
        func agentAnswersForTheKernel(isExec: Bool) throws {
            let path = "\(TestHost.shared.directory)/agent-\(TestContainer.newNumber() % 1_000_000).sock"
            let agent = FileDescriptor(owning: try check("socket") { socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0) })
            try check("bind") { gantry_unix_bind(agent.raw, path) }
            try check("listen") { listen(agent.raw, 4) }
            let line = "mkdir /tmp/x 2>&1; ls /proc/self/fd; cat"
            let container = try TestHost.shared.container(isExec ? ["sleep", "60"] : ["sh", "-c", line])
            var profile = RuntimeSpec.Seccomp(
                defaultAction: "SCMP_ACT_ALLOW",
                // Ours as well as the user's: nobody sends the descriptor from inside.
                syscalls: [
                    Rule(names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY"),
                    Rule(names: ["sendmsg", "sendto", "connect"], action: "SCMP_ACT_KILL_PROCESS"),
                ])
            profile.listenerPath = path
            profile.listenerMetadata = "say \"hello\""
            if !isExec { container.request.spec.linux.seccomp = profile }
            try container.launch()
            var outcome: ExecSession?
            if isExec {
                var request = ExecRequest(
                    directory: container.request.directory, spec: container.request.spec, args: ["sh", "-c", line])
                request.spec.linux.seccomp = profile
                outcome = try TestHost.shared.runtime.execute(request)
            }
            let client = FileDescriptor(owning: try check("accept") { gantry_unix_accept(agent.raw) })
            var state = [UInt8](repeating: 0, count: 4096)
            let received = try Self.receive(client.raw, &state)
            let text = String(decoding: state.prefix(received.count), as: UTF8.self)
            #expect(text.contains("\"fds\":[\"seccompFd\"],\"pid\":"))
            #expect(text.contains("\"metadata\":\"say \\\"hello\\\"\""))
            #expect(
                text.contains("\"id\":\"\(container.request.id)\",\"status\":\"\(isExec ? "running" : "creating")\""))
            let listener = FileDescriptor(owning: received.descriptor)
            var notification = seccomp_notif()
            // _IOWR('!', 0, struct seccomp_notif), 80 bytes; _IOWR('!', 1, struct seccomp_notif_resp), 24 bytes.
            try check("receive the notification") { gantry_ioctl(listener.raw, 0xc050_2100, &notification) }
            var response = seccomp_notif_resp()
            response.id = notification.id
            response.error = -88
            try check("answer") { gantry_ioctl(listener.raw, 0xc018_2101, &response) }
            let output: String
            if let session = outcome.take() {
                output = String(
                    decoding: try session.collect(timeoutMilliseconds: 10_000, outputMax: 4096).output, as: UTF8.self)
            } else {
                _ = try container.wait()
                output = try container.output()
            }
            #expect(output.contains("Socket operation on non-socket"))
            // Neither listener nor anything else of ours is open in the process.
            #expect(output.hasSuffix("\n0\n1\n2\n3\n"), "\(output)")
        }

        /// An agent that is not there is an error, and nothing is left of the container.
        @Test func agentThatIsNotThere() throws {
            let container = try TestHost.shared.container(["true"])
            var profile = RuntimeSpec.Seccomp(
                defaultAction: "SCMP_ACT_ALLOW", syscalls: [Rule(names: ["mkdir"], action: "SCMP_ACT_NOTIFY")])
            profile.listenerPath = "/nowhere/agent.sock"
            container.request.spec.linux.seccomp = profile
            let error = try #require(throws: RuntimeError.self) { try container.launch() }
            #expect("\(error)".contains("/nowhere/agent.sock"))
        }

        private static func receive(_ socket: Int32, _ bytes: inout [UInt8]) throws -> (descriptor: Int32, count: Int) {
            // The bytes come after the look that takes the descriptor: peek first.
            let count = recv(socket, &bytes, bytes.count, Int32(MSG_PEEK))
            let descriptor = try check("recvmsg") { gantry_receive_descriptor(socket) }
            return (descriptor, count)
        }
    }
}
