import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import ContainerRuntime

extension KernelTests.AttackTests {
    /// A volume in which a container exchanges two names as fast as it can, while others start on top of it.
    private final class Race {
        let shared: String
        private let attacker: TestContainer

        init(_ first: String, _ second: String, fill: (String) throws -> Void) throws {
            shared = "\(TestHost.shared.directory)/race-\(TestContainer.newNumber())"
            try FileSystem.makeDirectories(shared, mode: 0o777)
            try fill(shared)
            attacker = try Programs.container("exchange", ["/s/\(first)", "/s/\(second)"])
            attacker.request.spec.mounts.append(
                .init(destination: "/s", type: "bind", source: shared, options: ["bind"]))
            try attacker.launch()
        }

        /// Starts one container after another; some may fail, and what runs is asked with `line`.
        func run(
            rounds: Int, _ line: String, configure: (inout LaunchRequest) throws -> Void, check: (String) -> Void
        ) throws {
            for _ in 0..<rounds {
                let container = try TestHost.shared.container(["sh", "-c", line])
                try configure(&container.request)
                // It may fail; it may not reach out.
                guard (try? container.launch()) != nil else { continue }
                _ = try container.wait()
                check(try container.output())
            }
        }

        /// The loop was still at it: nobody stopped it by an error.
        func end() throws {
            let record = try TestHost.shared.runtime.inspect(directory: attacker.request.directory)
            guard case .running = record.state else {
                Issue.record("the attacker ended: \(try attacker.output())")
                return
            }
            try TestHost.shared.runtime.killAll(directory: attacker.request.directory)
            _ = try attacker.wait()
        }
    }

    private static func bind(_ source: String, _ target: String) -> RuntimeSpec.Mount {
        .init(destination: target, type: "bind", source: source, options: ["bind"])
    }

    /// A folder of the host that must stay as it is.
    private func hostFolder(_ body: (String) throws -> Void) throws {
        let folder = "\(TestHost.shared.directory)/host-\(TestContainer.newNumber())"
        try FileSystem.makeDirectories(folder, mode: 0o755)
        try FileSystem.replaceFile("\(folder)/secret", with: Array("secret\n".utf8), mode: 0o644)
        try body(folder)
        #expect(try FileSystem.list(folder) == ["secret"], "the container wrote to the host")
        #expect(try FileSystem.readFile("\(folder)/secret") == Array("secret\n".utf8))
    }

    /// CVE-2021-30465, CVE-2024-45310: the target of a mount below the volume is a folder one moment and a link out the
    /// next. Nothing is mounted or made outside.
    @Test func raceOfMountTargets() throws {
        try hostFolder { folder in
            let race = try Race("a", "b") { shared in
                try FileSystem.makeDirectories("\(shared)/a/inner", mode: 0o777)
                symlink("../../../../../../../../../..\(folder)", "\(shared)/b")
            }
            try race.run(rounds: AttackRounds.count(25), "cat /s/a/secret /s/b/secret 2>/dev/null; echo end") {
                $0.spec.mounts += [
                    Self.bind(race.shared, "/s"),
                    .init(destination: "/s/a/inner/deep", type: "tmpfs", source: "tmpfs"),
                    Self.bind("\(TestHost.shared.directory)/lower/etc", "/s/a/new"),
                ]
                $0.files = [InjectedFile(path: "/s/a/inner/file", bytes: [0x0a])]
            } check: { output in
                #expect(output == "end\n")
            }
            try race.end()
        }
    }

    /// CVE-2025-31133: /dev/null is the node one moment and a link to a kernel setting the next; what masks a file
    /// must be the real one.
    @Test func raceOfNull() throws {
        let race = try Race("null", "other") { shared in
            mknod("\(shared)/null", S_IFCHR | 0o666, gantry_makedev(1, 3))
            symlink("/proc/sys/kernel/core_pattern", "\(shared)/other")
        }
        let before = try FileSystem.readFile("/proc/sys/kernel/core_pattern")
        let line = "stat -c %t:%T /proc/keys 2>/dev/null; echo x 2>/dev/null >/proc/sys/kernel/core_pattern; echo end"
        try race.run(rounds: AttackRounds.count(25), line) { request in
            // The volume in place of the tmpfs: the runtime's own nodes are not there.
            request.spec.mounts.removeAll { $0.destination.hasPrefix("/dev") }
            request.spec.mounts.append(Self.bind(race.shared, "/dev"))
        } check: { output in
            // The shell may find no /dev/null of its own to use, and says so.
            let lines = output.split(separator: "\n").filter { !$0.hasPrefix("sh: ") }
            #expect(["1:3,end", "end"].contains(lines.joined(separator: ",")), "\(output)")
        }
        try race.end()
        #expect(try FileSystem.readFile("/proc/sys/kernel/core_pattern") == before)
    }

    /// CVE-2025-52565: the terminal's name in a shared /dev/pts is exchanged with a link; it is not bound on
    /// /dev/console.
    @Test func raceOfTheConsole() throws {
        let race = try Race("console", "other") { shared in
            try FileSystem.replaceFile("\(shared)/console", with: [], mode: 0o666)
            symlink("/proc/sys/kernel/core_pattern", "\(shared)/other")
            for name in ["pts", "shm", "mqueue"] { mkdir("\(shared)/\(name)", 0o755) }
            symlink("pts/ptmx", "\(shared)/ptmx")
        }
        let before = try FileSystem.readFile("/proc/sys/kernel/core_pattern")
        // What the terminal's last process writes as it ends may be lost: hence the pause.
        try race.run(
            rounds: AttackRounds.count(15),
            "grep -c ' /proc/sys/kernel/core_pattern ' /proc/self/mountinfo; "
                + "echo x 2>/dev/null >/proc/sys/kernel/core_pattern; echo end; sleep 2"
        ) { request in
            request.spec.process.terminal = true
            request.spec.mounts.removeAll { $0.destination == "/dev" }
            request.spec.mounts.insert(Self.bind(race.shared, "/dev"), at: 0)
        } check: { output in
            let lines = output.split(whereSeparator: \.isNewline)
            #expect(lines.first == "0" && lines.last == "end", "\(output)")
        }
        try race.end()
        #expect(try FileSystem.readFile("/proc/sys/kernel/core_pattern") == before)
    }

    /// CVE-2025-52881: /proc of the image is exchanged with a link while kernel settings are written; a write lands in
    /// a proc file system of the container or nowhere.
    @Test func raceOfProc() throws {
        try hostFolder { folder in
            try FileSystem.makeDirectories("\(folder)-sys/sys/net/core", mode: 0o777)
            try FileSystem.replaceFile("\(folder)-sys/sys/net/core/somaxconn", with: [], mode: 0o666)
            let root = "\(folder)-root"
            try TestHost.makeRoot(at: root)
            symlink("../../../../../../..\(folder)-sys", "\(root)/other")
            let shared = root
            let race = try Race("x", "y") { folder in
                mkdir("\(folder)/x", 0o755)
                mkdir("\(folder)/y", 0o755)
            }
            let attacker = try Programs.container("exchange", ["/r/proc", "/r/other"])
            attacker.request.spec.mounts.append(Self.bind(shared, "/r"))
            try attacker.launch()
            try race.run(rounds: AttackRounds.count(25), "cat /proc/sys/net/core/somaxconn") { request in
                request.root = .directory(root)
                request.spec.linux.sysctl = ["net.core.somaxconn": "333"]
            } check: { output in
                #expect(output == "333\n" || output.isEmpty || output.contains("can't open"), "\(output)")
            }
            try race.end()
            try TestHost.shared.runtime.killAll(directory: attacker.request.directory)
            _ = try attacker.wait()
            #expect(try FileSystem.readFile("\(folder)-sys/sys/net/core/somaxconn") == [])
        }
    }
}
