import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import ContainerRuntime

extension KernelTests {
    /// Images and requests made to reach out of the container.
    @Suite struct AttackTests {
        /// A folder of the host that no container has any business with.
        private func sentinel(_ body: (String) throws -> Void) throws {
            let folder = "\(TestHost.shared.directory)/sentinel-\(TestContainer.newNumber())"
            try FileSystem.makeDirectories(folder, mode: 0o755)
            try body(folder)
            #expect(try FileSystem.list(folder) == [], "the container wrote to the host")
        }

        /// CVE-2026-41579, CVE-2019-19921 and their like: the image puts links where the runtime mounts.
        @Test(arguments: ["proc", "sys", "dev"], [false, true])
        func linksInPlaceOfKernelFolders(name: String, relative: Bool) throws {
            try sentinel { folder in
                let container = try TestHost.shared.container(["true"]) { layer in
                    let target = relative ? "../../../../../../../../..\(folder)" : folder
                    symlink(target, "\(layer)/\(name)")
                }
                #expect(throws: RuntimeError.self) { try container.launch() }
            }
        }

        /// A link in the image is followed inside the image only.
        @Test func mountTargetLinkStaysInside() throws {
            try sentinel { folder in
                let result = try self.shellWithLayer("cat /data/file; readlink /data") { layer in
                    symlink(folder, "\(layer)/data")
                } configure: { request in
                    let source = "\(TestHost.shared.directory)/source"
                    try FileSystem.makeDirectories(source, mode: 0o755)
                    try FileSystem.replaceFile("\(source)/file", with: Array("volume\n".utf8), mode: 0o644)
                    request.spec.mounts.append(
                        .init(destination: "/data", type: "bind", source: source, options: ["bind"]))
                }
                #expect(result.output == "volume\n\(folder)\n")
            }
        }

        private func shellWithLayer(
            _ line: String, layer: (String) throws -> Void, configure: (inout LaunchRequest) throws -> Void = { _ in }
        ) throws -> (code: Int32, output: String) {
            let container = try TestHost.shared.container(["sh", "-c", line], layer: layer)
            try configure(&container.request)
            return try container.run()
        }

        @Test func injectedFileLinkStaysInside() throws {
            try sentinel { folder in
                let result = try self.shellWithLayer("cat /run/secrets/key") { layer in
                    try FileSystem.makeDirectories("\(layer)/run", mode: 0o755)
                    symlink(folder, "\(layer)/run/secrets")
                } configure: {
                    $0.files = [InjectedFile(path: "/run/secrets/key", bytes: Array("k\n".utf8))]
                }
                #expect(result.output == "k\n")
            }
        }

        /// CVE-2026-55686: the working folder is made inside.
        @Test func workingDirectoryLinkStaysInside() throws {
            try sentinel { folder in
                let result = try self.shellWithLayer("pwd") { layer in
                    symlink(folder, "\(layer)/work")
                } configure: {
                    $0.spec.process.cwd = "/work/deeper"
                }
                #expect(result.output.hasSuffix("/deeper\n"))
            }
        }

        /// CVE-2024-21626: no descriptor of ours is a way out.
        @Test(arguments: 3...12)
        func workingDirectoryCannotBeADescriptor(number: Int) throws {
            let container = try TestHost.shared.container(["sh", "-c", "ls -l .."])
            container.request.spec.process.cwd = "/proc/self/fd/\(number)"
            #expect(throws: RuntimeError.self) { try container.launch() }
        }

        /// CVE-2024-9676: nothing about /etc/passwd holds the runtime up.
        @Test(arguments: ["fifo", "device", "huge", "loop", "directory", "outside"])
        func oddPasswordFiles(kind: String) throws {
            let container = try TestHost.shared.container(["true"]) { layer in
                try FileSystem.makeDirectories("\(layer)/etc", mode: 0o755)
                let path = "\(layer)/etc/passwd"
                switch kind {
                case "fifo": mkfifo(path, 0o644)
                case "device": mknod(path, S_IFCHR | 0o644, gantry_makedev(1, 5))
                case "huge":
                    let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT, mode: 0o644)
                    ftruncate(file.raw, 10 << 30)
                case "loop": symlink("passwd", path)
                case "directory": mkdir(path, 0o755)
                default: symlink("/proc/self/root/etc/passwd", path)
                }
            }
            container.request.user = "user"
            let before = time(nil)
            #expect(throws: RuntimeError.self) { try container.launch() }
            #expect(time(nil) - before < 30)
        }

        /// CVE-2019-5736: the image executes the runtime itself and finds no way to write to it.
        @Test func scriptOfTheRuntimeItself() throws {
            let supervisor = TestHost.shared.supervisorPath
            let before = try FileSystem.readFile(supervisor, byteCountMax: 64 << 20)
            let container = try TestHost.shared.container(["/entry"]) { layer in
                try FileSystem.replaceFile("\(layer)/entry", with: Array("#!/proc/self/exe\n".utf8), mode: 0o755)
                chmod("\(layer)/entry", 0o755)
            }
            // Started or refused: either is fine as long as nothing comes of it.
            if (try? container.launch()) != nil {
                #expect(try container.wait().code != 0)
            }
            #expect(try FileSystem.readFile(supervisor, byteCountMax: 64 << 20) == before)
        }

        /// Were a crash of ours to start the Swift runtime's `swift-backtrace`, it would be the container's.
        @Test func crashesStartNoProgramOfTheContainers() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            let launched = try container.launch()
            let environment = try FileSystem.readFile("/proc/\(launched.supervisorPID)/environ", byteCountMax: 4096)
            #expect(environment == Array("SWIFT_BACKTRACE=enable=no\0".utf8))
        }

        /// The program file as a process of the container sees it while it runs there: on a read-only mount.
        @Test func programCannotBeOpenedForWriting() throws {
            let runtime = TestHost.shared.runtime
            let container = try TestHost.shared.container(["sleep", "60"])
            let launched = try container.launch()
            let file = try FileDescriptor.open("/proc/\(launched.supervisorPID)/exe", O_PATH)
            #expect(gantry_open("/proc/self/fd/\(file.raw)", O_WRONLY, 0) == -1)
            #expect(errno == ETXTBSY)
            try runtime.killAll(directory: container.request.directory)
            _ = try container.wait()
            // As privileged as can be, and still: the mount is read-only, not just the file busy. Busy comes first
            // for as long as another test runs the program.
            var code = ETXTBSY
            try eventually {
                code = gantry_open("/proc/self/fd/\(file.raw)", O_WRONLY, 0) == -1 ? errno : 0
                return code != ETXTBSY
            }
            #expect(code == EROFS)
        }

        /// CVE-2019-16884: a volume over /proc or inside it.
        @Test(arguments: ["/proc", "/proc/self/attr", "/proc/sys/kernel"])
        func volumesInProc(target: String) throws {
            let container = try TestHost.shared.container(["true"])
            container.request.spec.mounts.append(
                .init(destination: target, type: "tmpfs", source: "tmpfs"))
            #expect(throws: RuntimeError.self) { try container.launch() }
        }

        /// CVE-2022-0811: a value that carries a second setting; names that lead elsewhere.
        @Test(arguments: [
            ("kernel.shm_rmid_forced", "1+kernel.core_pattern=|x"), ("net.ipv4.ip_forward", "1\nkernel.x=1"),
            ("kernel.core_pattern", "x"), ("net.ipv4.../../kernel.core_pattern", "x"), ("/kernel/core_pattern", "x"),
            ("net/../kernel/core_pattern", "x"),
        ])
        func kernelSettingsOfTheHost(name: String, value: String) throws {
            let container = try TestHost.shared.container(["true"])
            container.request.spec.linux.sysctl = [name: value]
            #expect(throws: RuntimeError.self) { try container.launch() }
        }

        /// CVE-2022-0492 and the kernel's wider surface: each call is refused by the filter.
        @Test func dangerousCallsAreRefused() throws {
            let output = try shell(
                "unshare -Ur true 2>&1; busybox unshare -m true 2>&1; busybox chroot / true && echo chroot ok; "
                    + "busybox insmod /x.ko 2>&1; busybox reboot -f 2>&1; busybox nsenter -t 1 -m true 2>&1; "
                    + "busybox swapon /etc/passwd 2>&1; busybox umount /proc 2>&1; busybox hwclock -w 2>&1; :"
            ).output
            #expect(output.contains("chroot ok"))
            #expect(!output.contains("insmod: inserted"))
            #expect(
                try shell("busybox umount /proc && echo gone; busybox mount -o remount,rw /sys && echo rw").output
                    .contains("gone") == false)
        }

        /// CVE-2021-30465: one container exchanges folder and link in a shared volume while others start with mounts
        /// below it; whatever they get mounted, it is not the host's.
        @Test func exchangedMountTargets() throws {
            try sentinel { folder in
                let shared = "\(TestHost.shared.directory)/shared"
                try FileSystem.makeDirectories("\(shared)/a", mode: 0o777)
                symlink("/../../../../../../../..\(folder)", "\(shared)/b")
                let attacker = try TestHost.shared.container([
                    "sh", "-c",
                    "while true; do mv -T /s/a /s/c; mv -T /s/b /s/a; mv -T /s/a /s/b; mv -T /s/c /s/a; done",
                ])
                symlink("busybox", "\(TestHost.shared.directory)/lower/bin/mv")
                attacker.request.spec.mounts.append(
                    .init(destination: "/s", type: "bind", source: shared, options: ["bind"]))
                try attacker.launch()
                for _ in 0..<60 {
                    let container = try TestHost.shared.container(["true"])
                    container.request.spec.mounts += [
                        .init(destination: "/s", type: "bind", source: shared, options: ["bind"]),
                        .init(destination: "/s/a/inner", type: "tmpfs", source: "tmpfs"),
                    ]
                    // It may fail; it may not reach out.
                    if (try? container.launch()) != nil { _ = try container.wait() }
                }
                try TestHost.shared.runtime.killAll(directory: attacker.request.directory)
                _ = try attacker.wait()
            }
        }
    }
}
