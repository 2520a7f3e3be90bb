import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests {
    /// In the test's own mount namespace, see private_host.sh.
    @Suite struct PropagationTests {
        /// A mount of the host with the given propagation, and a folder to mount on below it.
        private func hostMount(_ propagation: Int) throws -> String {
            let path = "\(TestHost.shared.directory)/peer-\(TestContainer.newNumber())"
            try FileSystem.makeDirectories(path, mode: 0o755)
            try check("mount") { mount("tmpfs", path, "tmpfs", 0, nil) }
            try check("mount") { mount(nil, path, nil, UInt(propagation), nil) }
            for folder in ["in", "out"] { try FileSystem.makeDirectories("\(path)/\(folder)", mode: 0o755) }
            return path
        }

        private func leave(_ path: String) { while umount2(path, Int32(MNT_DETACH)) == 0 {} }

        private func run(_ option: String, at path: String) throws -> (seesHost: Bool, reachesHost: Bool) {
            let container = try TestHost.shared.container([
                "sh", "-c",
                "mount -t tmpfs mine /v/out; touch /v/out/mine /v/ready; while ! test -e /v/done; do sleep 0.05; done; "
                    + "test -e /v/in/theirs",
            ])
            container.request.spec.process.capabilities = .init(
                all: RuntimeSpec.defaultCapabilities + ["CAP_SYS_ADMIN"])
            container.request.seccomp = .unconfined
            container.request.spec.mounts.append(
                .init(destination: "/v", type: "bind", source: path, options: ["rbind", option]))
            try container.launch()
            for _ in 0..<200 where !FileSystem.exists("\(path)/ready") { usleep(50_000) }
            let reaches = FileSystem.exists("\(path)/out/mine")
            try check("mount") { mount("tmpfs", "\(path)/in", "tmpfs", 0, nil) }
            defer { leave("\(path)/in") }
            try FileSystem.replaceFile("\(path)/in/theirs", with: [])
            try FileSystem.replaceFile("\(path)/done", with: [])
            let code = try container.wait().code
            leave("\(path)/out")
            return (code == 0, reaches)
        }

        @Test(arguments: [
            ("rprivate", false, false), ("private", false, false), ("rslave", true, false), ("slave", true, false),
            ("rshared", true, true), ("shared", true, true),
        ])
        func volumesPropagateAsAsked(option: String, seesHost: Bool, reachesHost: Bool) throws {
            let path = try hostMount(MS_SHARED)
            defer { leave(path) }
            let result = try run(option, at: path)
            #expect(result.seesHost == seesHost)
            #expect(result.reachesHost == reachesHost)
        }

        @Test(arguments: [
            ("shared", "shared:"), ("rshared", "shared:"), ("private", ""), ("unbindable", "unbindable"),
        ])
        func rootHasItsPropagation(name: String, expected: String) throws {
            let output = try shell("grep ' / / ' /proc/self/mountinfo | cut -d' ' -f7") {
                $0.spec.linux.rootfsPropagation = name
            }.output
            #expect(expected.isEmpty ? output == "-\n" : output.hasPrefix(expected))
        }

        @Test func readOnlyIsOfOneMountOrOfTheTree() throws {
            let path = try hostMount(MS_PRIVATE)
            try check("mount") { mount("tmpfs", "\(path)/in", "tmpfs", 0, nil) }
            defer {
                leave("\(path)/in")
                leave(path)
            }
            let result = try shell("for d in one tree; do touch /$d/a; touch /$d/in/a && echo $d; done 2>/dev/null; :")
            {
                $0.spec.mounts += [
                    .init(destination: "/one", type: "bind", source: path, options: ["rbind", "ro"]),
                    .init(destination: "/tree", type: "bind", source: path, options: ["rbind", "rro", "rnosuid"]),
                ]
            }
            #expect(result.output == "one\n")
        }

        @Test func temporaryFileSystemCopiesUp() throws {
            let result = try shell("ls -A /etc; stat -c '%a %u' /etc/passwd; touch /etc/x && echo w; touch /tmp/x 2>&1")
            {
                $0.spec.mounts += [
                    .init(destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=1m"]),
                    .init(destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["ro", "sync", "mode=755"]),
                    .init(destination: "/tmp/sub", type: "tmpfs", source: "tmpfs"),
                ]
            }
            #expect(result.output.hasPrefix("group\npasswd\n644 0\nw\n"))
            #expect(result.output.contains("Read-only file system"))
        }

        @Test func linksAreCopiedOrMountedOver() throws {
            let folder = "\(TestHost.shared.directory)/links-\(TestContainer.newNumber())"
            try FileSystem.makeDirectories(folder, mode: 0o755)
            try FileSystem.replaceFile("\(folder)/file", with: Array("content\n".utf8), mode: 0o644)
            symlink("file", "\(folder)/link")
            let result = try shell("readlink /copied; cat /over; readlink /tmp/here || echo mounted; cat /data") {
                $0.spec.mounts += [
                    .init(
                        destination: "/copied", type: "bind", source: "\(folder)/link",
                        options: ["bind", "copy-symlink"]),
                    .init(
                        destination: "/over", type: "bind", source: "\(folder)/file",
                        options: ["bind", "dest-nofollow"]),
                    .init(
                        destination: "/data", type: "none", source: "\(folder)/link", options: ["bind", "mode=755"]),
                ]
            }
            #expect(result.output == "file\ncontent\nmounted\ncontent\n")
        }

        @Test func processInformationIsHidden() throws {
            let output = try shell("grep ' /proc proc' /proc/mounts; grep ' /dev/shm ' /proc/mounts") {
                $0.spec.mounts = $0.spec.mounts.map { mount in
                    var mount = mount
                    if mount.destination == "/proc" { mount.options?.append("hidepid=2") }
                    return mount
                }
                $0.spec.mounts.append(
                    .init(destination: "/dev/shm", type: "tmpfs", options: ["remount", "noatime", "size=8k"]))
            }.output
            #expect(output.contains("hidepid=invisible") && output.contains("noatime") && output.contains("size=8k"))
        }
    }
}
