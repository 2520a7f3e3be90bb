import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests {
    @Suite struct ExecTests {
        private var runtime: Runtime { TestHost.shared.runtime }

        private func exec(
            _ container: TestContainer, _ line: String, _ configure: (inout ExecRequest) -> Void = { _ in }
        ) throws -> (code: Int32?, output: String) {
            var request = ExecRequest(
                directory: container.request.directory, spec: container.request.spec, args: ["sh", "-c", line])
            configure(&request)
            let outcome = try runtime.execute(request).collect(timeoutMilliseconds: 30_000, outputMax: 1 << 20)
            return (outcome.exitCode, String(decoding: outcome.output, as: UTF8.self))
        }

        private func sleeper(_ configure: (inout LaunchRequest) -> Void = { _ in }) throws -> TestContainer {
            let container = try TestHost.shared.container(["sleep", "60"])
            configure(&container.request)
            try container.launch()
            return container
        }

        @Test func runsInsideTheContainer() throws {
            let container = try sleeper()
            let result = try exec(container, "hostname; echo $$; pwd; ls /proc | grep -c '^1$'; exit 5") {
                $0.cwd = "/home/user"
            }
            let lines = result.output.split(separator: "\n")
            #expect(result.code == 5)
            #expect(lines[0] == "box")
            #expect(Int(lines[1]).map { $0 > 1 && $0 < 100 } == true)
            #expect(lines[2...] == ["/home/user", "1"])
        }

        @Test func sharesEveryNamespaceAndCgroup() throws {
            let container = try sleeper()
            let result = try exec(
                container,
                "for n in mnt pid net ipc uts cgroup; do a=$(readlink /proc/1/ns/$n); b=$(readlink /proc/self/ns/$n); "
                    + "test \"$a\" = \"$b\" || echo differs $n; done; "
                    + "sort /proc/1/cgroup > /tmp/a; sort /proc/self/cgroup > /tmp/b; cmp /tmp/a /tmp/b || echo cgroups"
            )
            #expect(result.output == "")
        }

        @Test func hasTheContainersPrivileges() throws {
            let container = try sleeper()
            let line = "grep -E 'CapEff|CapBnd|CapInh|Seccomp:' /proc/self/status"
            #expect(
                try exec(container, line).output
                    == "CapInh:\t0000000000000000\nCapEff:\t00000000800405fb\nCapBnd:\t00000000800405fb\nSeccomp:\t2\n")
            let user = try exec(container, "\(line); id -u") { $0.user = "user" }.output
            #expect(user.contains("CapEff:\t0000000000000000"))
            #expect(user.hasSuffix("1000\n"))
            let privileged = try exec(container, line) { $0.privileged = true }.output
            #expect(privileged.contains("Seccomp:\t0"))
            #expect(!privileged.contains("CapEff:\t00000000800405fb"))
        }

        @Test func environmentAndStreams() throws {
            let container = try sleeper()
            let result = try exec(container, "echo $A $HOME; echo err >&2") {
                $0.env = ["PATH=/bin", "A=b"]
            }
            #expect(result.output == "b /root\nerr\n")
        }

        @Test func inputIsPassedOn() throws {
            let container = try sleeper()
            var request = ExecRequest(
                directory: container.request.directory, spec: container.request.spec, args: ["cat"])
            request.stdinOpen = true
            let session = try runtime.execute(request)
            try session.socket.writeAll(Frame.encode(.stdin, Array("through\n".utf8)) + Frame.encode(.closeStdin, []))
            let outcome = try session.collect(timeoutMilliseconds: 30_000, outputMax: 100)
            #expect((outcome.exitCode, outcome.output) == (0, Array("through\n".utf8)))
        }

        @Test func terminalWorks() throws {
            let container = try sleeper()
            // What the last process writes as it ends may be lost with the terminal: hence the pause.
            let result = try exec(container, "tty; stty size; sleep 2") {
                $0.terminal = true
                $0.consoleSize = .init(height: 20, width: 70)
            }
            #expect(result.output == "/dev/pts/0\r\n20 70\r\n")
        }

        @Test func timeoutKillsAndOutputIsLimited() throws {
            let container = try sleeper()
            let request = ExecRequest(
                directory: container.request.directory, spec: container.request.spec, args: ["sleep", "61"])
            let session = try runtime.execute(request)
            let pid = session.pid
            let outcome = try session.collect(timeoutMilliseconds: 100, outputMax: 10)
            #expect(outcome == .init(exitCode: nil, output: [], timedOut: true))
            try eventually { !FileSystem.exists("/proc/\(pid)") }
            let request2 = ExecRequest(
                directory: container.request.directory, spec: container.request.spec, args: ["seq", "1", "1000"])
            let second = try runtime.execute(request2).collect(timeoutMilliseconds: 30_000, outputMax: 10)
            #expect((second.exitCode, second.output.count) == (0, 10))
        }

        /// What it leaves behind in the container holds its streams, and is not waited for.
        @Test func endsThoughItsChildrenStay() throws {
            let container = try sleeper()
            let start = Runtime.monotonicMilliseconds()
            let result = try exec(container, "sleep 62 & echo done")
            #expect((result.code, result.output) == (0, "done\n"))
            // Far less than its 62 seconds.
            #expect(Runtime.monotonicMilliseconds() - start < 9_000)
        }

        @Test func allOutputArrivesBeforeTheEnd() throws {
            let container = try sleeper()
            let result = try exec(container, "seq 1 60000")
            #expect(result.output.split(separator: "\n").count == 60_000)
        }

        @Test(arguments: [false, true]) func clientsEndIsTheEndOfTheInput(terminal: Bool) throws {
            let container = try sleeper()
            var request = ExecRequest(
                directory: container.request.directory, spec: container.request.spec, args: ["cat"])
            request.stdinOpen = true
            request.terminal = terminal
            let pid: Int32
            do {
                let session = try runtime.execute(request)
                pid = session.pid
                #expect(FileSystem.exists("/proc/\(pid)"))
            }
            try eventually { !FileSystem.exists("/proc/\(pid)") }
        }

        @Test func failuresAreClear() throws {
            let container = try sleeper()
            func error(_ args: [String], _ user: String? = nil) -> RuntimeError? {
                var request = ExecRequest(
                    directory: container.request.directory, spec: container.request.spec, args: args)
                request.user = user
                return #expect(throws: RuntimeError.self) { _ = try runtime.execute(request) }
            }
            #expect(error(["nothing-here"])?.conventionalExitCode == 127)
            #expect(error(["/etc"])?.conventionalExitCode == 126)
            #expect(error(["true"], "who") == .userNotFound("no user 'who' in the container's /etc/passwd"))
            try runtime.killAll(directory: container.request.directory)
            _ = try container.wait()
            #expect(error(["true"]) == .notRunning(directory: container.request.directory))
        }

        @Test func survivesItsContainersEnd() throws {
            let container = try sleeper()
            let session = try runtime.execute(
                ExecRequest(
                    directory: container.request.directory, spec: container.request.spec, args: ["sleep", "60"]))
            try runtime.killAll(directory: container.request.directory)
            let outcome = try session.collect(timeoutMilliseconds: 30_000, outputMax: 10)
            #expect(outcome.exitCode == 137)
        }

        /// CVE-2016-9962: a process of the container that lies in wait for newcomers sees nothing of the host.
        @Test func newcomersCannotBeInspected() throws {
            let container = try TestHost.shared.container([
                "sh", "-c",
                "while true; do for p in /proc/[0-9]*; do ls -l $p/fd 2>/dev/null | grep -E 'gantry|memfd|/home|/work' "
                    + "&& echo LEAK; readlink $p/exe | grep gantry && echo LEAK; done; done",
            ])
            try container.launch()
            for _ in 0..<50 {
                #expect(try exec(container, ":").code == 0)
            }
            try runtime.killAll(directory: container.request.directory)
            _ = try container.wait()
            #expect(try container.output() == "")
        }
    }
}
