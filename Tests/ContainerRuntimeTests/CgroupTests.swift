import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests {
    /// The kernel's files say what was asked for, on whichever versions this host has.
    @Suite struct CgroupTests {
        private var runtime: Runtime { TestHost.shared.runtime }

        private func control(_ controller: String, _ container: TestContainer, one: String, two: String) throws
            -> String
        {
            let state = try #require(try runtime.readState(container.request.directory))
            let place = try #require(runtime.host.cgroups.path(of: controller, name: state.cgroupName))
            return try CgroupTree.read(place.path, place.version == .one ? one : two)
        }

        private func has(_ controller: String) -> Bool { runtime.host.cgroups.hierarchy(of: controller) != nil }

        @Test func hugePagesAreLimited() throws {
            guard has("hugetlb"), FileSystem.exists("/sys/kernel/mm/hugepages/hugepages-2048kB") else { return }
            let container = try TestHost.shared.container(["sleep", "60"])
            container.request.spec.linux.resources.hugepageLimits = [.init(pageSize: "2MB", limit: 4 << 20)]
            try container.launch()
            let text = try control(
                "hugetlb", container, one: "hugetlb.2MB.limit_in_bytes", two: "hugetlb.2MB.max")
            #expect(text == "\(4 << 20)")
            #expect(try runtime.stats(directory: container.request.directory).hugepages["2MB"]?.usage == 0)
        }

        @Test func unknownPageSizeIsAClearFailure() throws {
            let container = try TestHost.shared.container(["true"])
            container.request.spec.linux.resources.hugepageLimits = [.init(pageSize: "3MB", limit: 1)]
            #expect {
                try container.launch()
            } throws: { error in
                "\(error)".contains("hugetlb") && ("\(error)".contains("no such control") || !has("hugetlb"))
            }
        }

        @Test func processorsAreLimited() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            var cpu = RuntimeSpec.Resources.CPU()
            (cpu.shares, cpu.quota, cpu.period, cpu.burst) = (2048, 20_000, 100_000, 10_000)
            container.request.spec.linux.resources.cpu = cpu
            try container.launch()
            #expect(
                try control("cpu", container, one: "cpu.shares", two: "cpu.weight") == (isOne("cpu") ? "2048" : "174"))
            let quota = { try control("cpu", container, one: "cpu.cfs_quota_us", two: "cpu.max") }
            #expect(try quota() == (isOne("cpu") ? "20000" : "20000 100000"))
            // A quota below the burst is only taken together with a smaller burst.
            var change = RuntimeSpec.Resources()
            var less = RuntimeSpec.Resources.CPU()
            (less.quota, less.burst) = (5_000, 1_000)
            change.cpu = less
            try runtime.update(directory: container.request.directory, change)
            #expect(try quota() == (isOne("cpu") ? "5000" : "5000 100000"))
            #expect(try control("cpu", container, one: "cpu.cfs_burst_us", two: "cpu.max.burst") == "1000")
            #expect(try runtime.stats(directory: container.request.directory).cpuThrottling != nil)
        }

        private func isOne(_ controller: String) -> Bool {
            runtime.host.cgroups.hierarchy(of: controller)?.version == .one
        }

        /// A controller that the start had no use for gets its directory, and every process moves.
        @Test func laterLimitsMoveTheProcesses() throws {
            let container = try TestHost.shared.container(["sh", "-c", "sleep 61 & sleep 61 & wait"])
            try container.launch()
            let directory = container.request.directory
            try eventually { try runtime.processes(directory: directory).count == 3 }
            var change = RuntimeSpec.Resources()
            var cpu = RuntimeSpec.Resources.CPU()
            cpu.cpus = "0"
            change.cpu = cpu
            try runtime.update(directory: directory, change)
            for process in try runtime.processes(directory: directory) {
                let status = String(decoding: try FileSystem.readFile("/proc/\(process)/status"), as: UTF8.self)
                #expect(status.contains("Cpus_allowed_list:\t0\n"))
            }
        }

        @Test func devicesChangeWhileItRuns() throws {
            let container = try TestHost.shared.container([
                "sh", "-c",
                "mknod /tmp/kmsg c 1 11; while true; do echo x > /dev/null || echo lost; sleep 0.01; done",
            ])
            container.request.spec.process.capabilities = .withDeviceNodes
            try container.launch()
            let directory = container.request.directory
            func canOpen() throws -> Bool {
                let session = try runtime.execute(
                    ExecRequest(
                        directory: directory, spec: container.request.spec,
                        args: ["sh", "-c", ": >> /tmp/kmsg"]))
                return try session.collect(timeoutMilliseconds: 20_000, outputMax: 4096).exitCode == 0
            }
            try eventually { FileSystem.exists("\(container.home)/upper/tmp/kmsg") }
            #expect(try !canOpen())
            var change = RuntimeSpec.Resources()
            change.devices = RuntimeSpec.defaultDeviceRules + [.init(allow: true, type: "c", major: 1, minor: 11)]
            try runtime.update(directory: directory, change)
            #expect(try canOpen())
            change.devices = [.init(allow: true)]
            try runtime.update(directory: directory, change)
            #expect(try canOpen())
            change.devices = [.init(allow: false)]
            try runtime.update(directory: directory, change)
            #expect(try !canOpen())
            #expect(try container.output() == "")
        }

        @Test func limitBelowUseIsAClearFailure() throws {
            guard has("memory"), isOne("memory") else { return }
            // The last program of a line takes the shell's place, and what the shell held is gone.
            let container = try TestHost.shared.container([
                "sh", "-c", "x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 60; :",
            ])
            container.request.spec.linux.resources.memory = .init(limit: 256 << 20, swap: 256 << 20)
            try container.launch()
            let directory = container.request.directory
            // More than what of it is cached files, which could be taken away again.
            try eventually { try runtime.stats(directory: directory).memoryUsage ?? 0 > 16 << 20 }
            var change = RuntimeSpec.Resources()
            change.memory = .init(limit: 1 << 20)
            #expect {
                try runtime.update(directory: directory, change)
            } throws: {
                "\($0)".contains("uses more than that")
            }
            change.memory = .init(limit: 512 << 20)
            #expect {
                try runtime.update(directory: directory, change)
            } throws: {
                "\($0)".contains("has to be raised with it")
            }
        }

        @Test func blockIsThrottled() throws {
            guard let device = try firstDisk() else { return }
            let container = try TestHost.shared.container(["sleep", "60"])
            var block = RuntimeSpec.Resources.BlockIO()
            block.throttleReadBpsDevice = [.init(major: device.major, minor: device.minor, rate: 1 << 20)]
            block.weight = 200
            container.request.spec.linux.resources.blockIO = block
            try container.launch()
            let controller = has("io") ? "io" : "blkio"
            let text = try control(controller, container, one: "blkio.throttle.read_bps_device", two: "io.max")
            #expect(text.contains("\(device.major):\(device.minor)") && text.contains("\(1 << 20)"))
        }

        private func firstDisk() throws -> (major: Int64, minor: Int64)? {
            guard has("io") || has("blkio") else { return nil }
            for name in try FileSystem.list("/sys/block") where name.hasPrefix("vd") || name.hasPrefix("sd") {
                let text = String(decoding: try FileSystem.readFile("/sys/block/\(name)/dev"), as: UTF8.self)
                let numbers = text.split { $0 == ":" || $0 == "\n" }.compactMap { Int64($0) }
                if numbers.count == 2 { return (numbers[0], numbers[1]) }
            }
            return nil
        }

        @Test func unifiedFilesAreWritten() throws {
            guard runtime.host.cgroups.unified != nil else { return }
            let container = try TestHost.shared.container(["sleep", "60"])
            container.request.spec.linux.resources.unified = ["cgroup.max.depth": "7"]
            try container.launch()
            let state = try #require(try runtime.readState(container.request.directory))
            let mount = try #require(runtime.host.cgroups.unified?.mountPoint)
            #expect(try CgroupTree.read("\(mount)/\(state.cgroupName)", "cgroup.max.depth") == "7")
            let other = try TestHost.shared.container(["true"])
            other.request.spec.linux.resources.unified = ["nothing.like_this": "1"]
            #expect(throws: RuntimeError.self) { try other.launch() }
        }

        @Test func outOfMemoryIsNoticed() throws {
            let container = try TestHost.shared.container([
                "sh", "-c", "sleep 0.5; while true; do tail /dev/zero; sleep 0.2; done",
            ])
            container.request.spec.linux.resources.memory = .init(limit: 24 << 20, swap: 24 << 20)
            try container.launch()
            let directory = container.request.directory
            let notifier = try runtime.oomNotifier(directory: directory)
            for wanted in [UInt64(1), 2] {
                try eventually {
                    if try runtime.outOfMemoryKills(directory: directory) >= wanted { return true }
                    var polled = pollfd(fd: notifier.descriptor.raw, events: Int16(POLLIN), revents: 0)
                    #expect(try check("poll") { poll(&polled, 1, 20_000) } == 1)
                    try notifier.drain()
                    return false
                }
            }
            #expect(try runtime.stats(directory: directory).oomKills ?? 0 >= 2)
            try runtime.killAll(directory: directory)
            #expect(try container.wait().oomKilled)
        }

        @Test func statisticsAreComplete() throws {
            let container = try TestHost.shared.container(["sh", "-c", "while true; do :; done"])
            try container.launch()
            let directory = container.request.directory
            try eventually { try runtime.stats(directory: directory).cpuNanoseconds ?? 0 > 50_000_000 }
            let stats = try runtime.stats(directory: directory)
            #expect(stats.memoryUsage ?? 0 > 0 && stats.memoryDetails.count > 10 && stats.pids == 1)
            #expect(stats.memoryInactiveFile != nil && stats.onlineProcessors > 0)
            #expect(stats.hostCPUNanoseconds > stats.cpuNanoseconds ?? .max)
            #expect((stats.cpuUserNanoseconds ?? 0) + (stats.cpuSystemNanoseconds ?? 0) > 0)
        }

        /// Cgroups that a container makes for itself are counted, killed and removed with it; a process that is added
        /// finds its place although the container's own cgroup takes none any more.
        @Test func nestedCgroupsAreTheContainers() throws {
            let line = """
                c=/sys/fs/cgroup; test -e $c/cgroup.procs || c=$c/unified
                mkdir -p $c/a/b; sleep 61 & echo $! > $c/a/b/cgroup.procs; echo 0 > $c/a/cgroup.procs
                echo +pids > $c/cgroup.subtree_control; echo +hugetlb > $c/cgroup.subtree_control
                echo ready; exec sleep 61
                """
            let container = try TestHost.shared.container(["sh", "-c", line])
            try container.request.spec.makePrivileged()
            container.request.seccomp = .unconfined
            try container.launch()
            try eventually { try container.output().contains("ready\n") }
            let directory = container.request.directory
            let session = try runtime.execute(
                ExecRequest(directory: directory, spec: container.request.spec, args: ["true"]))
            #expect(try session.collect(timeoutMilliseconds: 20_000, outputMax: 100).exitCode == 0)
            #expect(try runtime.processes(directory: directory).count == 2)
            let name = try #require(try runtime.readState(directory)).cgroupName
            try runtime.killAll(directory: directory)
            #expect(try container.wait().code == 137)
            for (_, path) in runtime.host.cgroups.directories(name: name) { #expect(!FileSystem.exists(path)) }
        }

        @Test func cgroupsGoWhereTheRequestSays() throws {
            let parent = "gantry-test-\(getpid())/own parent"
            for (path, above) in [("/\(parent)/here", nil), (nil, parent)] as [(String?, String?)] {
                let container = try TestHost.shared.container(["sleep", "60"])
                container.request.cgroupPath = path
                container.request.cgroupParent = above
                container.request.spec.linux.resources.pids = .init(limit: 77)
                try container.launch()
                let expected = path.map { String($0.dropFirst()) } ?? "\(parent)/\(container.request.id)"
                let place = try #require(runtime.host.cgroups.path(of: "pids", name: expected))
                #expect(try CgroupTree.read(place.path, "pids.max") == "77")
                #expect(try runtime.processes(directory: container.request.directory).count == 1)
                try runtime.killAll(directory: container.request.directory)
                _ = try container.wait()
                #expect(!FileSystem.exists(place.path))
            }
        }

        /// The least that people give to a container: what the runtime itself needs on the way is charged to it too.
        @Test(arguments: [["true"], ["sh", "-c", "echo ok"]], [Int64(1), 6])
        func sixMegabytesAreEnough(arguments: [String], mebibytes: Int64) throws {
            try readPrograms()
            let container = try TestHost.shared.container(arguments)
            container.request.spec.linux.resources.memory = .init(limit: mebibytes << 20, swap: mebibytes << 20)
            try container.launch()
            let exit = try container.wait()
            #expect((exit.code, exit.oomKilled) == (0, false))
        }

        /// Pages of files are charged to whoever reads them first: that shall not be the container.
        private func readPrograms() throws {
            for path in [TestHost.shared.supervisorPath, "\(TestHost.shared.directory)/lower/bin/busybox"] {
                _ = try FileSystem.readFile(path, byteCountMax: 64 << 20)
            }
        }

        @Test func execFitsIntoSixMegabytes() throws {
            try readPrograms()
            let container = try TestHost.shared.container(["sleep", "60"])
            container.request.spec.linux.resources.memory = .init(limit: 6 << 20, swap: 6 << 20)
            let launched = try container.launch()
            let directory = container.request.directory
            let session = try runtime.execute(
                ExecRequest(directory: directory, spec: container.request.spec, args: ["sh", "-c", "echo ok"]))
            #expect(try session.collect(timeoutMilliseconds: 20_000, outputMax: 100).exitCode == 0)
            #expect(try !runtime.processes(directory: directory).contains(launched.supervisorPID))
            // Measured: 0.7 MB in all, of which the program's own pages are the most. Absent before Linux 5.19 on v2.
            #expect(try runtime.stats(directory: directory).memoryUsageMax ?? 0 < 4 << 20)
        }
    }
}
