import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests.AttackTests {
    /// CVE-2016-9962, and harder: the container may trace whatever it sees. New processes enter while it lies in wait
    /// for them; it gets nothing that its own processes have not.
    @Test(arguments: [false, true])
    func tracerInWaitForNewProcesses(maySeeAll: Bool) throws {
        let rounds = AttackRounds.count(200)
        let container = try Programs.container("tracer")
        if maySeeAll {
            container.request.spec.process.capabilities = .init(
                all: RuntimeSpec.defaultCapabilities + ["CAP_SYS_PTRACE"])
        }
        try container.launch()
        try eventually { try container.output().hasPrefix("ready\n") }
        for _ in 0..<rounds {
            let request = ExecRequest(
                directory: container.request.directory, spec: container.request.spec, args: ["true"])
            let session = try TestHost.shared.runtime.execute(request)
            // A tracer may keep its victim from ending well; what it reaches is what counts.
            _ = try session.collect(timeoutMilliseconds: 5000, outputMax: 16)
        }
        let stop = ExecRequest(
            directory: container.request.directory, spec: container.request.spec, args: ["touch", "/stop"])
        _ = try TestHost.shared.runtime.execute(stop).collect(timeoutMilliseconds: 20_000, outputMax: 16)
        _ = try container.wait()
        let output = try container.output()
        #expect(!output.contains("LEAK"), "\(output.prefix(600))")
        #expect(output.hasSuffix("seen 1\n"), "the tracer saw no process: \(output.prefix(200))")
    }

    /// CVE-2024-21626: neither the first process nor an added one has a descriptor beyond its streams.
    @Test func noDescriptorIsLeftOver() throws {
        // What the engine holds open and forgot to mark must not arrive either.
        let leaked = gantry_open("/", O_RDONLY | O_DIRECTORY, 0)
        defer { close(leaked) }
        let container = try TestHost.shared.container(["sh", "-c", "ls /proc/self/fd; sleep 60"])
        try container.launch()
        let request = ExecRequest(
            directory: container.request.directory, spec: container.request.spec, args: ["ls", "/proc/self/fd"])
        let outcome = try TestHost.shared.runtime.execute(request).collect(timeoutMilliseconds: 20_000, outputMax: 64)
        // The fourth is ls's own, of the folder it lists.
        #expect(String(decoding: outcome.output, as: UTF8.self) == "0\n1\n2\n3\n")
        // The added process may be done before the container's own has written.
        try eventually { try container.output().hasSuffix("3\n") }
        #expect(try container.output() == "0\n1\n2\n3\n")
    }

    /// CVE-2024-21626, on the way in later.
    @Test(arguments: 3...12)
    func addedProcessCannotStartInADescriptor(number: Int) throws {
        let container = try TestHost.shared.container(["sleep", "60"])
        try container.launch()
        var request = ExecRequest(
            directory: container.request.directory, spec: container.request.spec, args: ["pwd"])
        request.cwd = "/proc/self/fd/\(number)"
        #expect(throws: RuntimeError.self) { _ = try TestHost.shared.runtime.execute(request) }
    }

    /// CVE-2019-5736, by exec: `#!/proc/self/exe` again and again, while another process wants to write to it.
    @Test func programIsNotOverwrittenDuringExec() throws {
        let supervisor = TestHost.shared.supervisorPath
        let before = try FileSystem.readFile(supervisor, byteCountMax: 64 << 20)
        let line = "while true; do for p in /proc/[0-9]*; do echo x >$p/exe; done 2>/dev/null; done"
        let container = try TestHost.shared.container(["sh", "-c", line]) { layer in
            try FileSystem.replaceFile("\(layer)/entry", with: Array("#!/proc/self/exe\n".utf8), mode: 0o755)
            chmod("\(layer)/entry", 0o755)
        }
        container.request.spec.process.capabilities = .init(all: RuntimeSpec.defaultCapabilities + ["CAP_SYS_PTRACE"])
        try container.launch()
        for _ in 0..<AttackRounds.count(40) {
            let request = ExecRequest(
                directory: container.request.directory, spec: container.request.spec, args: ["/entry"])
            // Refused or not, nothing may come of it.
            if let session = try? TestHost.shared.runtime.execute(request) {
                #expect(try session.collect(timeoutMilliseconds: 5000, outputMax: 64).exitCode != 0)
            }
        }
        #expect(try FileSystem.readFile(supervisor, byteCountMax: 64 << 20) == before)
    }

    /// Nothing of ours reads configuration or loads code from an image: whoever opened one of these would hang.
    @Test func nothingIsLoadedFromTheImage() throws {
        let baits = [
            "etc/nsswitch.conf", "etc/ld.so.preload", "etc/ld.so.cache", "etc/localtime", "etc/host.conf",
            "etc/resolv.conf", "lib/x86_64-linux-gnu/libnss_files.so.2", "lib/x86_64-linux-gnu/libc.so.6",
            "usr/lib/locale/locale-archive", "usr/lib/x86_64-linux-gnu/gconv/gconv-modules", "lib/libnss_files.so.2",
            "lib64/ld-linux-x86-64.so.2", "etc/gshadow", "etc/shadow", "etc/login.defs", "etc/environment",
        ]
        let container = try TestHost.shared.container(["true"]) { layer in
            for bait in baits {
                try FileSystem.makeDirectories(FileSystem.parent(of: "\(layer)/\(bait)"), mode: 0o755)
                mkfifo("\(layer)/\(bait)", 0o644)
            }
        }
        container.request.user = "user:audio"
        container.request.groups = ["wheel"]
        container.request.spec.process.env += ["LD_PRELOAD=/lib/libnss_files.so.2", "LC_ALL=de_DE.UTF-8", "TZ=Moon"]
        let before = time(nil)
        #expect(try container.run().code == 0)
        #expect(time(nil) - before < 30)
        // Without an interpreter there is no dynamic loader and no library: PT_INTERP is 3.
        let program = try FileSystem.readFile(TestHost.shared.supervisorPath, byteCountMax: 64 << 20)
        let offset = Int(program[32]) | Int(program[33]) << 8
        let (size, count) = (Int(program[54]), Int(program[56]))
        for index in 0..<count { #expect(program[offset + index * size] != 3, "the supervisor is not static") }
    }

    /// CVE-2022-29162 and its like: nothing is inheritable, for nobody, however the process came in.
    @Test(arguments: ["root", "user"])
    func nothingIsInheritable(user: String) throws {
        let sets = ["grep", "-E", "CapInh|CapAmb", "/proc/self/status"]
        let container = try TestHost.shared.container([
            "sh", "-c", "grep -E 'CapInh|CapAmb' /proc/self/status; sleep 60",
        ])
        container.request.user = user
        try container.launch()
        var request = ExecRequest(directory: container.request.directory, spec: container.request.spec, args: sets)
        request.user = user
        let outcome = try TestHost.shared.runtime.execute(request).collect(timeoutMilliseconds: 20_000, outputMax: 200)
        let none = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n"
        #expect(String(decoding: outcome.output, as: UTF8.self) == none)
        // The added process may be done before the container's own has written.
        try eventually { try container.output().count >= none.count }
        #expect(try container.output() == none)
    }

    /// CVE-2026-30892, CVE-2024-40635: what looks like a number and is none, and numbers that wrap.
    @Test(arguments: [
        "0x0", " 1000", "1000 ", "1000:", ":1000", "4294967295", "4294967296", "2147483648", "0:2147483648", "-1", "+0",
        "",
        "1e3", "18446744073709551616", "0:-1", "user:", "1000:1000:1000",
    ])
    func usersThatAreNone(user: String) throws {
        let container = try TestHost.shared.container(["id", "-u"])
        container.request.user = user
        #expect(throws: RuntimeError.self) { try container.launch() }
        let running = try TestHost.shared.container(["sleep", "60"])
        try running.launch()
        var request = ExecRequest(directory: running.request.directory, spec: running.request.spec, args: ["id"])
        request.user = user
        #expect(throws: RuntimeError.self) { _ = try TestHost.shared.runtime.execute(request) }
    }

    /// CVE-2024-40635: a large number is that number, and digits are a number even where a user has them as a name.
    @Test(arguments: [("2147483647:2147483646", "2147483647 2147483646"), ("7", "7 0"), ("1000", "1000 1000")])
    func usersAreExact(user: String, ids: String) throws {
        let output = try shell("echo $(id -u) $(id -g)") { $0.user = user }.output
        #expect(output == "\(ids)\n")
    }

    /// CVE-2022-36109, CVE-2023-25173: supplementary groups are the container's, none of the engine's.
    @Test func groupsAreTheContainersOwn() throws {
        #expect(try shell("id -G") { $0.user = "user" }.output == "1000 10 29\n")
        #expect(try shell("id -G") { $0.user = "user:audio" }.output == "29\n")
        #expect(try shell("id -G").output == "0\n")
        let further = try shell("id -G") { $0.spec.process.user.additionalGids = [77, 78] }.output
        #expect(further == "0 77 78\n")
    }

    /// CVE-2021-43784: sizes that overflow an encoder's 16-bit lengths, and some that do more.
    @Test(arguments: [65_535, 65_536, 70_000, 300_000])
    func hugeRequestsAreRefusedOrRight(count: Int) throws {
        let container = try TestHost.shared.container(["sh", "-c", "id -u; id -G | wc -w"])
        container.request.spec.process.user.additionalGids = (0..<UInt32(count)).map { $0 % 60_000 + 1 }
        container.request.spec.process.env.append("LONG=\(String(repeating: "x", count: min(count, 131_000)))")
        container.request.spec.process.user.uid = 1234
        // Refused by the kernel's own limits, or right.
        if (try? container.launch()) != nil {
            _ = try container.wait()
            #expect(try container.output().hasPrefix("1234\n"))
        }
    }
}

/// How often an attack is tried: `GANTRY_ATTACK_ROUNDS` in place of the small number that runs in seconds.
enum AttackRounds {
    static func count(_ standard: Int) -> Int {
        getenv("GANTRY_ATTACK_ROUNDS").flatMap { Int(String(cString: $0)) } ?? standard
    }
}
