import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests.AttackTests {
    /// CVE-2022-0492, CVE-2023-25809: no cgroup file can be written, none of the hierarchies mounted anew, with or
    /// without the filter, and a cgroup of the container's own has no release agent.
    @Test(arguments: [SeccompPolicy.standard, .unconfined])
    func cgroupsAreReadOnly(policy: SeccompPolicy) throws {
        let line = """
            cd /sys/fs/cgroup
            for f in release_agent */release_agent notify_on_release */notify_on_release cgroup.procs */cgroup.procs; do
              test -e $f && echo 1 2>/dev/null >$f && echo wrote $f
            done
            busybox mkdir /tmp/m x */x 2>/dev/null && echo made
            for o in memory rdma none,name=x; do mount -t cgroup -o $o c /tmp/m 2>/dev/null && echo mounted $o; done
            mount -t cgroup2 c /tmp/m 2>/dev/null && echo mounted v2
            mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo remounted
            busybox unshare -UrmC sh -c 'mount -t cgroup -o memory c /tmp/m && echo mounted inside' 2>/dev/null
            find / -xdev -name release_agent 2>/dev/null
            echo end
            """
        let output = try shell(line) { $0.seccomp = policy }.output
        #expect(output == "end\n")
    }

    /// CVE-2025-31133 without a race: the image's /dev is not used at all, and a volume over /dev with a false null
    /// masks nothing with it.
    @Test(arguments: ["image", "volume"])
    func falseNullMasksNothing(place: String) throws {
        let before = try FileSystem.readFile("/proc/sys/kernel/core_pattern")
        func plant(_ folder: String) throws {
            try FileSystem.makeDirectories("\(folder)/dev", mode: 0o755)
            symlink("/proc/sys/kernel/core_pattern", "\(folder)/dev/null")
        }
        let container = try TestHost.shared.container([
            "sh", "-c", "echo x 2>&1 >/proc/sys/kernel/core_pattern; stat -c %t:%T /proc/keys; echo x >/proc/keys",
        ]) { if place == "image" { try plant($0) } }
        if place == "volume" {
            let folder = "\(TestHost.shared.directory)/dev-\(TestContainer.newNumber())"
            try plant(folder)
            container.request.spec.mounts.removeAll { $0.destination.hasPrefix("/dev") }
            container.request.spec.mounts.append(
                .init(destination: "/dev", type: "bind", source: "\(folder)/dev", options: ["bind"]))
        }
        // Refused or started, nothing may come of it.
        if (try? container.launch()) != nil {
            _ = try container.wait()
            #expect(try container.output().hasSuffix("1:3\n"))
        }
        #expect(try FileSystem.readFile("/proc/sys/kernel/core_pattern") == before)
    }

    /// CVE-2026-41579, CVE-2026-47766: links deeper in /dev, and device entries that lead through them.
    @Test(
        arguments: ["dev/pts", "dev/shm", "dev/mqueue", "dev/null", "dev/console", "dev/fd", "dev/ptmx"], [false, true])
    func linksInsideDev(name: String, relative: Bool) throws {
        let folder = "\(TestHost.shared.directory)/dev-host-\(TestContainer.newNumber())"
        try FileSystem.makeDirectories(folder, mode: 0o755)
        try FileSystem.replaceFile("\(folder)/kept", with: [], mode: 0o644)
        let container = try TestHost.shared.container(["true"]) { layer in
            try FileSystem.makeDirectories("\(layer)/dev", mode: 0o755)
            symlink(relative ? "../../../../../../../../..\(folder)" : folder, "\(layer)/\(name)")
        }
        container.request.spec.linux.devices = [.init(type: "c", path: "/dev/net/tun", major: 10, minor: 200)]
        #expect(try container.run().code == 0)
        #expect(try FileSystem.list(folder) == ["kept"])
    }

    /// CVE-2024-1753, CVE-2022-23648: a volume's target with `..` and links on the way stays inside.
    @Test(arguments: ["/../../../../../../../..", "/a/../../../../../..", "/link/../..", "/link"])
    func mountTargetsWithDots(prefix: String) throws {
        let folder = "\(TestHost.shared.directory)/dots-\(TestContainer.newNumber())"
        try FileSystem.makeDirectories(folder, mode: 0o755)
        let container = try TestHost.shared.container(["true"]) { layer in
            symlink("../../../../../../../../..\(folder)", "\(layer)/link")
        }
        container.request.spec.mounts.append(
            .init(destination: "\(prefix)\(folder)/made", type: "tmpfs", source: "tmpfs"))
        // Refused or started, nothing may come of it.
        if (try? container.launch()) != nil { _ = try container.wait() }
        #expect(try FileSystem.list(folder) == [])
    }

    /// CVE-2021-41091, CVE-2024-25621: what the runtime keeps of a container is closed to other users of the host.
    @Test func foldersAreClosedToOthers() throws {
        let container = try TestHost.shared.container(["sleep", "60"])
        try container.launch()
        let folder = container.request.directory
        #expect(try mode(folder) == 0o700)
        #expect(try mode("\(TestHost.shared.directory)/cache") == 0o700)
        for name in try FileSystem.list(folder) {
            #expect(try mode("\(folder)/\(name)") & 0o077 == 0, "\(name)")
        }
        #expect(try mode(container.request.log?.path ?? "") & 0o077 == 0)
    }

    private func mode(_ path: String) throws -> mode_t {
        var status = stat()
        try check("lstat", path: path) { lstat(path, &status) }
        return status.st_mode & 0o7777
    }

    /// CVE-2020-15257: no socket of ours is in the abstract namespace, which a container that shares the host's network
    /// could reach.
    @Test func noSocketIsAbstract() throws {
        let container = try TestHost.shared.container(["sh", "-c", "cat /proc/net/unix; sleep 60"])
        container.request.spec.linux.namespaces.removeAll { $0.type == .network }
        try container.launch()
        // Another test's container does not name its sockets either.
        let sockets = String(decoding: try FileSystem.readFile("/proc/net/unix"), as: UTF8.self)
        #expect(!sockets.contains(" @"), "\(sockets)")
        #expect(sockets.contains("attach.sock") || sockets.contains(container.request.directory))
    }

    /// The log is a file of records: no output, however odd, ends or forges one.
    @Test func outputCannotForgeLogRecords() throws {
        let bytes =
            #"\033]0;x\007\033[2J\r\n\000\000\000\004\001\377\377\377\377\377\377\377\377\n"#
            + #"2026-01-01T00:00:00Z stdout F forged\n"#
        let container = try TestHost.shared.container(["printf", bytes])
        _ = try container.run()
        var reader = try LogReader(path: container.request.log?.path ?? "")
        let records = try reader.read()
        #expect(records.allSatisfy { $0.stream == .stdout })
        #expect(records.last.map { String(decoding: $0.bytes, as: UTF8.self) }?.contains("forged") == true)
        // Three line ends, three records; none has a time of the container's making.
        #expect(records.count == 3)
    }
}
