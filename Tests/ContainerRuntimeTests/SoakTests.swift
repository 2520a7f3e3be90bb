import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests {
    /// Containers that behave as badly as they can, again and again: nothing of them may stay. 20 rounds;
    /// GANTRY_SOAK sets another number.
    @Suite struct SoakTests {
        private static let roundsDefault = 20
        /// Forks until it may not, ignores what it can, leaves zombies to an init that does not reap, fills its log.
        private static let rampage = """
            trap '' TERM INT HUP QUIT USR1
            for i in 1 2 3 4 5; do sh -c 'sleep 0.01 & exec sleep 61' & done
            head -c 2000000 /dev/zero | tr '\\0' x &
            mkdir -p /tmp/a/b/c; echo ready
            (while true; do sleep 61 & done) 2>/dev/null &
            while true; do :; done
            """

        private var runtime: Runtime { TestHost.shared.runtime }

        /// What the test's own process holds, and what is mounted for its containers.
        private struct Holdings {
            var descriptors: Int
            var mounts: Int
            var children: Int
            var networkNamespaces: Int
            /// KiB of anonymous memory.
            var memory: Int

            init() throws {
                descriptors = try FileSystem.list("/proc/self/fd").count
                let mountinfo = String(decoding: try FileSystem.readFile("/proc/self/mountinfo"), as: UTF8.self)
                mounts = mountinfo.split(separator: "\n").filter { $0.contains(TestHost.shared.directory) }.count
                children = try Self.childrenOfSelf()
                networkNamespaces = try Self.namespaces()
                let status = String(decoding: try FileSystem.readFile("/proc/self/status"), as: UTF8.self)
                let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
                memory = line?.split(separator: " ").compactMap { Int($0) }.first ?? 0
            }

            /// Nothing more than before, but memory: the allocator keeps some.
            func isWithin(_ before: Holdings) -> Bool {
                descriptors <= before.descriptors && mounts <= before.mounts
                    && networkNamespaces <= before.networkNamespaces && children <= before.children
                    && memory - before.memory < Self.kibibytesMax
            }

            private static let kibibytesMax = 8 << 10

            private static func childrenOfSelf() throws -> Int {
                var count = 0
                for task in try FileSystem.list("/proc/self/task") {
                    // A thread may end meanwhile.
                    let bytes = (try? FileSystem.readFile("/proc/self/task/\(task)/children")) ?? []
                    count += bytes.split(separator: 0x20).count
                }
                return count
            }

            /// Network namespaces that a process of this test's session of containers could keep: bound ones.
            private static func namespaces() throws -> Int {
                let bytes = try FileSystem.readFile("/proc/self/mountinfo")
                return String(decoding: bytes, as: UTF8.self).split(separator: "\n").filter { $0.contains("nsfs") }
                    .count
            }
        }

        /// In a process of its own: what tests of other suites hold meanwhile, and the memory that they leave with the
        /// allocator, is not what is asked for.
        @Test func nothingStays() async {
            await #expect(processExitsWith: .success) { try Self.soak() }
        }

        private static func soak() throws {
            let text = getenv("GANTRY_SOAK").map { String(cString: $0) }
            let rounds = text.flatMap { Int($0) } ?? roundsDefault
            let soak = SoakTests()
            try soak.round()
            let before = try Holdings()
            for _ in 0..<rounds { try soak.round() }
            // A container's supervisor, and what the kernel unmounts with it, may end a little after the container.
            var after = before
            try eventually {
                after = try Holdings()
                return after.isWithin(before)
            }
            #expect(after.isWithin(before), "before and after \(rounds) rounds: \(before), \(after)")
        }

        private func round() throws {
            let container = try TestHost.shared.container(["sh", "-c", Self.rampage])
            container.request.spec.linux.resources.pids = .init(limit: 40)
            container.request.log?.maxBytes = 100_000
            container.request.log?.files = 2
            let launched = try container.launch()
            let directory = container.request.directory
            let name = try #require(try runtime.readState(directory)).cgroupName
            try eventually { try runtime.processes(directory: directory).count >= 20 }
            var processes = try runtime.processes(directory: directory) + [launched.supervisorPID]
            for signal in [SIGTERM, SIGINT] { try runtime.signal(directory: directory, signal) }
            var change = RuntimeSpec.Resources()
            change.pids = .init(limit: 60)
            try runtime.update(directory: directory, change)
            // A full container may have no room for it.
            if let session = try? runtime.execute(
                ExecRequest(directory: directory, spec: container.request.spec, args: ["sleep", "61"]))
            {
                processes += [session.pid, session.supervisorPID]
            }
            _ = try runtime.stats(directory: directory)
            let starts = processes.map { ($0, Self.startTime($0)) }
            try runtime.killAll(directory: directory)
            #expect(try container.wait().code == 137)
            for (process, start) in starts {
                guard let start else { continue }
                try eventually { !Runtime.isAlive(process, start: start) }
            }
            for (_, path) in runtime.host.cgroups.directories(name: name) { #expect(!FileSystem.exists(path)) }
            try runtime.delete(directory: directory)
            #expect(!FileSystem.exists(directory))
        }

        private static func startTime(_ process: pid_t) -> UInt64? {
            // Gone already.
            (try? FileSystem.readFile("/proc/\(process)/stat", byteCountMax: 4096)).flatMap {
                ProcessStat($0)?.startTime
            }
        }
    }
}
