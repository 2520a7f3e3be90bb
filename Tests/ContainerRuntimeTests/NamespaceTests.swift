import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests {
    @Suite struct NamespaceTests {
        static func link(_ path: String) -> String {
            var buffer = [CChar](repeating: 0, count: 128)
            let count = readlink(path, &buffer, buffer.count)
            return String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        @Test func clocksAreShifted() throws {
            let container = try TestHost.shared.container(["sh", "-c", "cut -d. -f1 /proc/uptime; sleep 60"])
            container.request.spec.linux.namespaces.append(.init(.time))
            container.request.spec.linux.timeOffsets = [
                "boottime": .init(secs: 1_000_000), "monotonic": .init(secs: 5, nanosecs: 7),
            ]
            let pid = try container.launch().pid
            #expect(Self.link("/proc/\(pid)/ns/time") != Self.link("/proc/self/ns/time"))
            let offsets = try FileSystem.readFile("/proc/\(pid)/timens_offsets")
            #expect(
                String(decoding: offsets, as: UTF8.self).split(separator: "\n").map { $0.split(separator: " ") }
                    == [["monotonic", "5", "7"], ["boottime", "1000000", "0"]])
            var request = ExecRequest(
                directory: container.request.directory, spec: container.request.spec,
                args: ["cut", "-d.", "-f1", "/proc/uptime"])
            request.env = ["PATH=/bin"]
            let outcome = try TestHost.shared.runtime.execute(request)
                .collect(timeoutMilliseconds: 10_000, outputMax: 1 << 20)
            let text = String(decoding: outcome.output, as: UTF8.self).split(separator: "\n").first
            #expect(try #require(text.flatMap { Int($0) }) >= 1_000_000)
        }

        @Test(arguments: [
            RuntimeSpec.Namespace.Kind.network, .ipc, .uts, .pid, .cgroup, .time,
        ])
        func namespacesAreJoinedByPath(kind: RuntimeSpec.Namespace.Kind) throws {
            let names: [RuntimeSpec.Namespace.Kind: String] = [.network: "net", .ipc: "ipc", .uts: "uts"]
            let name = names[kind] ?? kind.rawValue
            let holder = try TestHost.shared.container(["sleep", "60"])
            holder.request.spec.linux.namespaces.append(.init(.time))
            let path = "/proc/\(try holder.launch().pid)/ns/\(name)"
            let container = try TestHost.shared.container(["sleep", "60"])
            container.request.spec.hostname = nil
            container.request.spec.linux.namespaces.removeAll { $0.type == kind }
            container.request.spec.linux.namespaces.append(.init(kind, path: path))
            #expect(Self.link("/proc/\(try container.launch().pid)/ns/\(name)") == Self.link(path))
        }

        @Test func pathOfAnotherTypeIsRefused() throws {
            for path in ["/proc/self/ns/uts", "/dev/null", "/missing"] {
                let container = try TestHost.shared.container(["true"])
                container.request.spec.linux.namespaces.removeAll { $0.type == .ipc }
                container.request.spec.linux.namespaces.append(.init(.ipc, path: path))
                let error = #expect(throws: RuntimeError.self) { try container.launch() }
                #expect(error?.description.contains("open the namespace \(path)") == true)
            }
        }

        @Test func withoutACgroupNamespaceOnlyTheOwnFoldersShow() throws {
            let container = try TestHost.shared.container(["sh", "-c", "ls /sys/fs/cgroup/*/ | grep -c gantry-test; :"])
            container.request.spec.linux.namespaces.removeAll { $0.type == .cgroup }
            let result = try container.run()
            #expect(result.code == 0 && result.output == "0\n")
        }
    }
}

@Suite struct NamespaceCompilerTests {
    private func compile(_ change: (inout RuntimeSpec) -> Void) throws -> ContainerPlan {
        let layout = CgroupLayout(mountinfo: "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw") { _ in
            "cpu memory pids"
        }
        var spec = RuntimeSpec.containerDefault()
        change(&spec)
        return try PlanCompiler(
            host: HostFacts(capabilities: .max, cgroups: layout, isInUserNamespace: false), cgroupParent: "gantry"
        ).compile(LaunchRequest(id: "x", spec: spec, root: .directory("/r"), directory: "/run/x"), seccomp: [])
    }

    @Test func impossibleNamespacesAreRefused() throws {
        let map = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
        let changes: [(inout RuntimeSpec) -> Void] = [
            { $0.linux.namespaces.append(.init(.pid)) },
            { $0.linux.namespaces.append(.init(.user)) },
            { $0.linux.uidMappings = map },
            { ($0.linux.uidMappings, $0.linux.gidMappings) = (map, map) },
            {
                $0.linux.namespaces.append(.init(.user, path: "/x"))
                ($0.linux.uidMappings, $0.linux.gidMappings) = (map, map)
            },
            {
                $0.linux.namespaces.append(.init(.user))
                $0.linux.uidMappings = [.init(containerID: 0, hostID: .max, size: 2)]
                $0.linux.gidMappings = map
            },
            { $0.linux.timeOffsets = ["monotonic": .init(secs: 1)] },
            {
                $0.linux.namespaces.append(.init(.time))
                $0.linux.timeOffsets = ["realtime": .init(secs: 1)]
            },
            {
                $0.linux.namespaces.append(.init(.time))
                $0.linux.timeOffsets = ["monotonic": .init(secs: 1, nanosecs: 1_000_000_000)]
            },
            { $0.linux.namespaces.append(.init(.user, path: "relative")) },
            { $0.linux.rootfsPropagation = "sharedd" },
        ]
        for (index, change) in changes.enumerated() {
            #expect(throws: RuntimeError.self, "case \(index)") { try compile(change) }
        }
    }

    @Test func mapsReachThePlan() throws {
        let map = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
        let plan = try compile {
            $0.linux.namespaces += [.init(.user), .init(.time)]
            ($0.linux.uidMappings, $0.linux.gidMappings) = (map, map)
            $0.linux.timeOffsets = ["monotonic": .init(secs: -3), "boottime": .init(secs: 4, nanosecs: 5)]
            $0.mounts.append(.init(destination: "/m", type: "bind", source: "/s", options: ["bind", "ridmap"]))
        }
        #expect(plan.idMap == IDMapPlan(users: map, groups: map))
        #expect(plan.timeOffsets == "boottime 4 5\nmonotonic -3 0\n")
        #expect(plan.mounts.last?.idMap == plan.idMap && plan.mounts.last?.idMapRecursive == true)
        #expect(try PlanFile.decode(ContainerPlan.self, from: PlanFile.encode(plan)) == plan)
    }

    @Test func mappedIDsNeedABindAndAMap() throws {
        #expect(throws: RuntimeError.self) {
            try compile { $0.mounts.append(.init(destination: "/m", type: "tmpfs", options: ["idmap"])) }
        }
        #expect(throws: RuntimeError.self) {
            try compile {
                $0.mounts.append(.init(destination: "/m", type: "bind", source: "/s", options: ["bind", "idmap"]))
            }
        }
    }
}
