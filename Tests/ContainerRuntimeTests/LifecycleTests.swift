import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests {
    @Suite struct LifecycleTests {
        private var runtime: Runtime { TestHost.shared.runtime }

        @Test func stateFollowsTheContainer() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            let directory = container.request.directory
            #expect(try runtime.inspect(directory: directory).state == .neverStarted)
            let launched = try container.launch()
            #expect(
                try runtime.inspect(directory: directory).state
                    == .running(
                        pid: launched.pid, supervisorPID: launched.supervisorPID, startedAt: launched.startedAt))
            #expect(throws: RuntimeError.stillRunning(directory: directory)) {
                try runtime.delete(directory: directory)
            }
            try runtime.signal(directory: directory, SIGKILL)
            let exit = try container.wait()
            #expect((exit.code, exit.signal, exit.oomKilled) == (137, SIGKILL, false))
            #expect(exit.at > launched.startedAt)
            try runtime.delete(directory: directory)
            #expect(!FileSystem.exists(directory))
            #expect(throws: RuntimeError.notRunning(directory: directory)) {
                try runtime.signal(directory: directory, SIGKILL)
            }
        }

        @Test func aHookThatFailsAfterTheEndIsToldAtTheDeletion() throws {
            let container = try TestHost.shared.container(["true"])
            var hooks = RuntimeSpec.Hooks()
            hooks.poststop = [RuntimeSpec.Hook(path: "/bin/false"), RuntimeSpec.Hook(path: "/bin/true")]
            container.request.spec.hooks = hooks
            #expect(try container.run().code == 0)
            let warnings = try runtime.delete(directory: container.request.directory)
            #expect(warnings == ["cannot run the poststop hook /bin/false: exit code 1"])
        }

        @Test func cgroupsAreGoneAfterTheEnd() throws {
            let container = try TestHost.shared.container(["true"])
            #expect(try container.run().code == 0)
            for (_, path) in runtime.host.cgroups.directories(name: "gantry-test-\(getpid())") {
                #expect(!FileSystem.exists("\(path)/\(container.request.id)"))
            }
        }

        @Test func sameFolderStartsAgain() throws {
            let container = try TestHost.shared.container(["sh", "-c", "echo again; exit 3"])
            for _ in 0..<3 {
                try container.launch()
                #expect(try container.wait().code == 3)
            }
            #expect(try container.output() == "again\nagain\nagain\n")
        }

        /// The exit record is there before the supervisor has gone: the next start waits for it.
        @Test func startsAgainRightAfterTheExitRecord() throws {
            let container = try TestHost.shared.container(["sh", "-c", "echo x; exit 3"])
            for _ in 0..<20 {
                try container.launch()
                while true {
                    if case .exited = try runtime.inspect(directory: container.request.directory).state { break }
                }
            }
            #expect(try container.output() == String(repeating: "x\n", count: 20))
        }

        @Test func runningContainerIsNotStartedAgain() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            try container.launch()
            #expect(throws: RuntimeError.stillRunning(directory: container.request.directory)) {
                try container.launch()
            }
            guard case .running = try runtime.inspect(directory: container.request.directory).state else {
                Issue.record("the second launch harmed the first")
                return
            }
        }

        @Test func killedSupervisorIsALoss() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            let launched = try container.launch()
            let (start, supervisorStart) = (startTime(launched.pid), startTime(launched.supervisorPID))
            #expect(Runtime.isAlive(launched.pid, start: start))
            kill(launched.supervisorPID, SIGKILL)
            let directory = container.request.directory
            try eventually { !Runtime.isAlive(launched.supervisorPID, start: supervisorStart) }
            // Until the engine looks, the container goes on.
            usleep(50_000)
            #expect(Runtime.isAlive(launched.pid, start: start))
            let record = try runtime.inspect(directory: directory)
            guard case .lost(let exit, let note) = record.state else {
                Issue.record("\(record.state)")
                return
            }
            #expect(exit.code == 137)
            #expect(note.contains("\(launched.supervisorPID)"))
            try eventually { !Runtime.isAlive(launched.pid, start: start) }
            guard case .exited(let second) = try runtime.inspect(directory: directory).state else {
                Issue.record("the loss was not recorded")
                return
            }
            #expect(second == exit)
        }

        private func startTime(_ pid: Int32) -> UInt64 {
            // 0 is no process's: it is gone.
            (try? FileSystem.readFile("/proc/\(pid)/stat")).flatMap { ProcessStat($0)?.startTime } ?? 0
        }

        @Test func staleStateIsNotTakenForALivingProcess() throws {
            let container = try TestHost.shared.container(["true"])
            #expect(try container.run().code == 0)
            let directory = container.request.directory
            // The number now belongs to this test; the start time does not.
            var state = StateRecord(
                supervisorPID: getpid(), supervisorStart: 1, cgroupName: "gantry-test-\(getpid())/none")
            (state.initPID, state.initStart, state.startedAt) = (getpid(), 1, 5)
            try FileSystem.replaceFile("\(directory)/state", with: Array(state.text.utf8))
            unlink("\(directory)/exit")
            #expect(throws: RuntimeError.notRunning(directory: directory)) {
                try runtime.signal(directory: directory, SIGKILL)
            }
            guard case .lost = try runtime.inspect(directory: directory).state else {
                Issue.record("a stale supervisor counts as alive")
                return
            }
        }

        @Test func everythingDiesWithItsInit() throws {
            let container = try TestHost.shared.container(["sh", "-c", "sleep 60 & sleep 60 & sleep 60"])
            try container.launch()
            var processes: [Int32] = []
            try eventually {
                processes = try runtime.processes(directory: container.request.directory)
                return processes.count == 3
            }
            let starts = processes.map { ($0, startTime($0)) }
            try runtime.killAll(directory: container.request.directory)
            #expect(try container.wait().code == 137)
            for (process, start) in starts { #expect(!Runtime.isAlive(process, start: start)) }
        }

        @Test func sharedProcessNamespaceIsCleanedUp() throws {
            let container = try TestHost.shared.container(["sh", "-c", "sleep 61 & sleep 61 & exit 4"])
            container.request.spec.linux.namespaces.removeAll { $0.type == .pid }
            try container.launch()
            #expect(try container.wait().code == 4)
            #expect(throws: RuntimeError.notRunning(directory: container.request.directory)) {
                try runtime.processes(directory: container.request.directory)
            }
        }

        @Test func pauseStopsTheClock() throws {
            let container = try TestHost.shared.container(["sh", "-c", "while true; do :; done"])
            try container.launch()
            let directory = container.request.directory
            try runtime.pause(directory: directory)
            #expect(try runtime.isPaused(directory: directory))
            let before = try runtime.stats(directory: directory).cpuNanoseconds
            usleep(100_000)
            #expect(try runtime.stats(directory: directory).cpuNanoseconds == before)
            #expect(throws: RuntimeError.paused(directory: directory)) {
                _ = try runtime.execute(ExecRequest(directory: directory, spec: container.request.spec, args: ["true"]))
            }
            try runtime.resume(directory: directory)
            #expect(try !runtime.isPaused(directory: directory))
            try eventually { try runtime.stats(directory: directory).cpuNanoseconds ?? 0 > before ?? 0 }
        }

        @Test func pausedContainerCanBeKilled() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            try container.launch()
            try runtime.pause(directory: container.request.directory)
            try runtime.killAll(directory: container.request.directory)
            #expect(try container.wait().code == 137)
        }

        /// What a supervisor costs while its container runs: private memory, and nothing but a poll.
        @Test func supervisorIsSmall() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            let launched = try container.launch()
            usleep(50_000)
            let text = try String(
                decoding: FileSystem.readFile("/proc/\(launched.supervisorPID)/smaps_rollup"), as: UTF8.self)
            // Clean pages are the program file's, shared by all supervisors.
            let line = text.split(separator: "\n").first { $0.hasPrefix("Private_Dirty:") }
            let kibibytes = try #require(line?.split(separator: " ").dropFirst().first.flatMap { Int($0) })
            #expect(kibibytes > 0 && kibibytes < 700)
        }

        /// A supervisor reacts to no signal but SIGKILL: a `kill` of the engine's session is not its end.
        @Test func supervisorIgnoresSignals() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            let launched = try container.launch()
            for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1] { kill(launched.supervisorPID, signal) }
            usleep(50_000)
            guard case .running = try runtime.inspect(directory: container.request.directory).state else {
                Issue.record("the supervisor ended")
                return
            }
            #expect(getsid(launched.supervisorPID) == launched.supervisorPID)
        }

        /// An engine that comes back finds its containers: a second runtime works on what the first has started.
        @Test func anotherRuntimeAdoptsTheContainer() throws {
            let container = try TestHost.shared.container([
                "sh", "-c", "until test -e /go; do sleep 0.05; done; echo late",
            ])
            try container.launch()
            let other = try Runtime(
                supervisorPath: TestHost.shared.supervisorPath, cgroupParent: "gantry-test-\(getpid())",
                cacheDirectory: "\(TestHost.shared.directory)/cache")
            guard case .running = try other.inspect(directory: container.request.directory).state else {
                Issue.record("not adopted")
                return
            }
            _ = try other.stats(directory: container.request.directory)
            let go = ExecRequest(
                directory: container.request.directory, spec: container.request.spec, args: ["touch", "/go"])
            #expect(try other.execute(go).collect(timeoutMilliseconds: 30_000, outputMax: 100).exitCode == 0)
            #expect(try container.wait().code == 0)
            #expect(try container.output() == "late\n")
        }

        @Test(arguments: ["", ".", "..", "a/b", "-ok/..", "x y", "a\0b"])
        func oddIdsAreRefused(id: String) throws {
            let container = try TestHost.shared.container(["true"])
            container.request.id = id
            #expect(throws: RuntimeError.self) { try container.launch() }
        }
    }

    @Suite struct ResourceTests {
        private var runtime: Runtime { TestHost.shared.runtime }

        @Test func processLimitHolds() throws {
            let result = try shell("for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait") {
                $0.spec.linux.resources.pids = .init(limit: 4)
            }
            #expect(result.output.contains("can't fork"))
        }

        @Test func memoryLimitKills() throws {
            let container = try TestHost.shared.container(["sh", "-c", "head -c 200m /dev/zero | tail -c 190m | wc -c"])
            container.request.spec.process.args = ["tail", "/dev/zero"]
            container.request.spec.linux.resources.memory = .init(limit: 32 << 20, swap: 32 << 20)
            try container.launch()
            let exit = try container.wait()
            #expect((exit.code, exit.signal) == (137, SIGKILL))
            #expect(exit.oomKilled)
        }

        @Test func tinyMemoryLimitIsAClearFailureOrRuns() throws {
            let container = try TestHost.shared.container(["true"])
            container.request.spec.linux.resources.memory = .init(limit: 4 << 20, swap: 4 << 20)
            try container.launch()
            #expect(try container.wait().code == 0)
        }

        @Test func limitsReachTheKernelAndCanChange() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            container.request.spec.linux.resources.memory = .init(limit: 64 << 20, swap: 64 << 20)
            container.request.spec.linux.resources.pids = .init(limit: 50)
            var cpu = RuntimeSpec.Resources.CPU()
            cpu.setNanoCPUs(500_000_000)
            cpu.shares = 512
            container.request.spec.linux.resources.cpu = cpu
            try container.launch()
            let directory = container.request.directory
            var stats = try runtime.stats(directory: directory)
            #expect((stats.memoryLimit, stats.pidsLimit, stats.pids) == (64 << 20, 50, 1))
            #expect((stats.memoryUsage ?? 0) > 0)
            #expect(try control("cpu", container, one: "cpu.cfs_quota_us", two: "cpu.max").hasPrefix("50000"))
            // Up and down again: memory and memory plus swap bound each other.
            for limit: Int64 in [256 << 20, 48 << 20] {
                var resources = RuntimeSpec.Resources()
                resources.memory = .init(limit: limit, swap: limit)
                resources.pids = .init(limit: -1)
                try runtime.update(directory: directory, resources)
                stats = try runtime.stats(directory: directory)
                #expect(stats.memoryLimit == UInt64(limit))
                #expect(stats.pidsLimit == nil)
            }
        }

        private func control(_ controller: String, _ container: TestContainer, one: String, two: String) throws
            -> String
        {
            let name = "gantry-test-\(getpid())/\(container.request.id)"
            let place = try #require(runtime.host.cgroups.path(of: controller, name: name))
            return try CgroupTree.read(place.path, place.version == .one ? one : two)
        }

        @Test func cpuSetIsTaken() throws {
            let result = try shell("grep Cpus_allowed_list /proc/self/status") {
                var cpu = RuntimeSpec.Resources.CPU()
                cpu.cpus = "1"
                $0.spec.linux.resources.cpu = cpu
            }
            #expect(result.output == "Cpus_allowed_list:\t1\n")
        }

        /// Even who may make the node may not use it: no container reads the host's disk.
        @Test func otherDevicesAreClosed() throws {
            let line =
                "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk 2>&1; "
                + "mknod /tmp/null c 1 3 && echo > /tmp/null && echo ok"
            let result = try shell(line) { $0.spec.process.capabilities = .withDeviceNodes }
            #expect(result.output.contains("peration not permitted"))
            #expect(result.output.hasSuffix("ok\n"))
        }

        /// The program for pure v2 hosts, attached to the unified hierarchy, where there is one.
        @Test func deviceFilterProgramWorks() throws {
            guard let unified = runtime.host.cgroups.unified else { return }
            let mountPoint = unified.mountPoint
            let layout = CgroupLayout(mountinfo: "1 1 0:1 / \(mountPoint) rw - cgroup2 cgroup2 rw") { _ in "" }
            let host = HostFacts(
                capabilities: runtime.host.capabilities, cgroups: layout, isInUserNamespace: false)
            let container = try TestHost.shared.container([
                "sh", "-c", "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk 2>&1; echo > /dev/null && echo ok",
            ])
            container.request.spec.linux.resources.pids = nil
            container.request.spec.process.capabilities = .withDeviceNodes
            let compiler = PlanCompiler(host: host, cgroupParent: "gantry-test-\(getpid())")
            let plan = try compiler.compile(container.request, seccomp: [])
            #expect(plan.cgroups.map(\.version) == [.two])
            #expect(!plan.cgroups[0].deviceFilter.isEmpty)
            try FileSystem.makeDirectories(container.request.directory)
            let supervisor = try runtime.spawner.spawn(
                mode: "run", name: "x", plan: PlanFile.encode(plan), clients: [])
            _ = try Runtime.awaitStart(supervisor.report)
            #expect(try container.wait().code == 0)
            let output = try container.output()
            #expect(output.contains("peration not permitted"))
            #expect(output.hasSuffix("ok\n"))
        }
    }
}
