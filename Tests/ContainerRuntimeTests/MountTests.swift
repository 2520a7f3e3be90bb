import Glibc
import LinuxSystem
import Testing

@testable import ContainerRuntime

extension KernelTests {
    @Suite struct MountTests {
        @Test func defaultDevicesAreThere() throws {
            let output = try shell(
                "for d in null zero full random urandom tty; do test -c /dev/$d && echo $d; done; "
                    + "for l in fd ptmx stdout; do readlink /dev/$l; done; echo x > /dev/null && "
                    + "head -c 3 /dev/zero | wc -c; "
                    + "ls -d /dev/shm /dev/mqueue /dev/pts"
            ).output
            #expect(
                output == """
                    null
                    zero
                    full
                    random
                    urandom
                    tty
                    /proc/self/fd
                    pts/ptmx
                    /proc/self/fd/1
                    3
                    /dev/mqueue
                    /dev/pts
                    /dev/shm

                    """)
        }

        @Test func sensitivePathsAreMasked() throws {
            let output = try shell(
                "for f in kcore keys interrupts timer_list; do cat /proc/$f 2>/dev/null | wc -c; done; "
                    + "ls /sys/firmware | wc -l"
            ).output
            #expect(output == "0\n0\n0\n0\n0\n")
        }

        @Test func kernelSettingsAreReadOnly() throws {
            let output = try shell(
                "for f in /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness /sys/kernel/mm/ksm/run; do "
                    + "(echo x > $f) 2>&1; done; mkdir /sys/fs/cgroup/x 2>&1; d=/sys/fs/cgroup; "
                    + "test ! -d $d/memory || d=$d/memory; mkdir $d/x 2>&1; :"
            ).output
            let lines = output.split(separator: "\n")
            #expect(lines.count == 5)
            for line in lines { #expect(line.contains("Read-only file system")) }
        }

        @Test func writesGoToTheUpperLayer() throws {
            let container = try TestHost.shared.container(["sh", "-c", "echo hi > /etc/new"])
            #expect(try container.run().code == 0)
            #expect(try FileSystem.readFile("\(container.home)/upper/etc/new") == Array("hi\n".utf8))
        }

        @Test func rootCanBeReadOnly() throws {
            let result = try shell("touch /etc/new 2>&1; touch /tmp/ok && echo fine") {
                $0.spec.root.readonly = true
                $0.spec.mounts.append(.init(destination: "/tmp", type: "tmpfs", source: "tmpfs"))
            }
            #expect(result.output.contains("Read-only file system"))
            #expect(result.output.hasSuffix("fine\n"))
        }

        @Test func directoryCanBeTheRoot() throws {
            let root = "\(TestHost.shared.directory)/plain-\(getpid())"
            try TestHost.makeRoot(at: root)
            let result = try shell("echo > /made; pwd") { $0.root = .directory(root) }
            #expect(result.output == "/\n")
            #expect(FileSystem.exists("\(root)/made"))
        }

        @Test func manyLayersFitInOneMount() throws {
            var layers: [String] = []
            for number in 0..<120 {
                let layer = "\(TestHost.shared.directory)/a-rather-long-layer-name-that-fills-the-page:\(number)"
                try FileSystem.makeDirectories(layer, mode: 0o755)
                try FileSystem.replaceFile("\(layer)/n\(number)", with: [])
                layers.append(layer)
            }
            let result = try shell("ls -d /n* | wc -l") { request in
                guard case .overlay(let lower, let upper, let work, _) = request.root else { return }
                request.root = .overlay(lower: layers + lower, upper: upper, work: work, volatile: false)
            }
            #expect(result.output == "120\n")
        }

        @Test func volumesAreBound() throws {
            let volume = "\(TestHost.shared.directory)/volume"
            try FileSystem.makeDirectories(volume, mode: 0o755)
            try FileSystem.replaceFile("\(volume)/data", with: Array("kept".utf8), mode: 0o644)
            let result = try shell(
                "cat /deep/er/volume/data /etc/one; echo; echo more > /deep/er/volume/new; "
                    + "echo no > /readonly/new; echo no > /etc/one"
            ) {
                $0.spec.mounts += [
                    .init(destination: "/deep/er/volume", type: "bind", source: volume, options: ["rbind"]),
                    .init(destination: "/readonly", type: "bind", source: volume, options: ["rbind", "rro"]),
                    .init(destination: "/etc/one", type: "bind", source: "\(volume)/data", options: ["bind", "ro"]),
                ]
            }
            #expect(result.output.contains("keptkept\n"))
            #expect(result.output.contains("can't create /readonly/new: Read-only file system"))
            #expect(result.output.contains("can't create /etc/one: Read-only file system"))
            #expect(try FileSystem.readFile("\(volume)/new") == Array("more\n".utf8))
        }

        @Test func injectedFilesAreReadOnlyAndNotOnDisk() throws {
            let container = try TestHost.shared.container([
                "sh", "-c",
                "stat -c '%a %u %g' /run/secrets/key; cat /run/secrets/key; echo x > /run/secrets/key; id -u",
            ])
            container.request.files = [
                InjectedFile(path: "/run/secrets/key", bytes: Array("s3cret\n".utf8), mode: 0o440, uid: 5, gid: 6)
            ]
            let result = try container.run()
            #expect(result.output.hasPrefix("440 5 6\ns3cret\n"))
            #expect(result.output.contains("Read-only file system"))
            #expect(try FileSystem.readFile("\(container.home)/upper/run/secrets/key") == [])
        }

        @Test func temporaryFileSystemsTakeOptions() throws {
            let result = try shell("grep ' /scratch ' /proc/mounts; stat -c %a /scratch /root") {
                $0.spec.mounts += [
                    .init(
                        destination: "/scratch", type: "tmpfs", source: "tmpfs",
                        options: ["nosuid", "noexec", "size=1m", "mode=1700"]),
                    .init(destination: "/root", type: "tmpfs", source: "tmpfs"),
                ]
            }
            #expect(result.output.contains("nosuid,noexec"))
            #expect(result.output.contains("size=1024k"))
            // Without a mode the target's own.
            #expect(result.output.hasSuffix("1700\n755\n"))
        }

        @Test func hostsMountsAreNotVisible() throws {
            let output = try shell(
                "grep -c /dev/vda /proc/mounts; grep -c gantry-runtime-tests /proc/self/mountinfo; :"
            ).output
            #expect(output == "0\n0\n")
        }

        /// mount(8) and df(1) name them as under other engines.
        @Test func mountsSayWhatTheyAre() throws {
            let lines = try shell("mount").output.split(separator: "\n").map { $0.prefix { $0 != "(" } }
            for line in [
                "proc on /proc type proc ", "tmpfs on /dev type tmpfs ", "devpts on /dev/pts type devpts ",
                "shm on /dev/shm type tmpfs ", "mqueue on /dev/mqueue type mqueue ",
            ] {
                #expect(lines.contains(Substring(line)), "\(line) is not in \(lines)")
            }
        }

        @Test func mountsEndWithTheContainer() throws {
            let container = try TestHost.shared.container(["true"])
            #expect(try container.run().code == 0)
            let mounts = try String(decoding: FileSystem.readFile("/proc/self/mountinfo"), as: UTF8.self)
            #expect(!mounts.contains(container.home))
        }

        @Test func ownCgroupIsVisible() throws {
            let output = try shell("cat /proc/self/cgroup | cut -d: -f3 | grep -v -c '^/$'; ls /sys/fs/cgroup").output
            #expect(output.split(separator: "\n").contains { ["memory", "memory.max", "unified"].contains($0) })
        }

        @Test func sysctlsOfItsNamespacesAreSet() throws {
            let result = try shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax") {
                $0.spec.linux.sysctl = ["net.ipv4.ip_unprivileged_port_start": "80", "kernel.msgmax": "4096"]
            }
            #expect(result.output == "80\n4096\n")
        }

        @Test func volatileLayerStartsAgain() throws {
            let container = try TestHost.shared.container(["sh", "-c", "echo x >> /count; wc -l < /count"])
            #expect(try container.run().code == 0)
            try container.launch()
            #expect(try container.wait().code == 0)
            #expect(try container.output() == "1\n2\n")
        }

        @Test func networkNamespaceCanBeJoined() throws {
            let holder = try TestHost.shared.container(["sleep", "60"])
            let pid = try holder.launch().pid
            let result = try shell("readlink /proc/self/ns/net") {
                $0.spec.linux.namespaces = $0.spec.linux.namespaces.map {
                    $0.type == .network ? .init(.network, path: "/proc/\(pid)/ns/net") : $0
                }
            }
            var buffer = [CChar](repeating: 0, count: 64)
            let count = readlink("/proc/\(pid)/ns/net", &buffer, 63)
            let name = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            #expect(result.output == name + "\n")
        }
    }
}
