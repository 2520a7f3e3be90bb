import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

/// tmpfs learnt it in Linux 6.3; what else /tmp may be can do it from 5.12 on.
private let mapsMounts: Bool = {
    var place = statfs()
    var system = utsname()
    guard statfs("/tmp", &place) == 0, uname(&system) == 0 else { return false }
    let release = withUnsafeBytes(of: system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    let numbers = release.split(separator: ".").prefix(2).compactMap { Int($0) }
    guard numbers.count == 2 else { return false }
    return place.f_type != Int(TMPFS_MAGIC) || (numbers[0], numbers[1]) >= (6, 3)
}()

/// Gives a request a user namespace whose root is the host's 100000.
func useUserNamespace(_ request: inout LaunchRequest, base: UInt32 = 100_000) {
    let map = [IDMapping(containerID: 0, hostID: base, size: 65_536)]
    request.spec.linux.namespaces.append(.init(.user))
    (request.spec.linux.uidMappings, request.spec.linux.gidMappings) = (map, map)
}

extension KernelTests {
    @Suite struct UserNamespaceTests {
        @Test func rootInsideIsNobodyOutside() throws {
            let container = try TestHost.shared.container([
                "sh", "-c",
                "id -u; id -g; id -G; cat /proc/self/uid_map; echo x > /etc/new; stat -c %u:%g /etc/new /bin",
            ])
            useUserNamespace(&container.request)
            let result = try container.run()
            #expect(result.code == 0, "\(result.output)")
            let words = result.output.split(whereSeparator: { $0 == " " || $0 == "\n" })
            #expect(words == ["0", "0", "0", "0", "100000", "65536", "0:0", "0:0"])
            // On disk with the container's ids: any other map reads the same.
            var status = stat()
            #expect(stat("\(container.home)/upper/etc/new", &status) == 0 && status.st_uid == 0)
        }

        @Test func processBelongsToTheMappedID() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            useUserNamespace(&container.request)
            container.request.user = "user"
            let pid = try container.launch().pid
            let status = String(decoding: try FileSystem.readFile("/proc/\(pid)/status"), as: UTF8.self)
            #expect(status.contains("Uid:\t101000\t101000\t101000\t101000"))
        }

        @Test func devicesMountsAndStreamsWork() throws {
            let container = try TestHost.shared.container([
                "sh", "-c",
                """
                echo x > /dev/null && head -c 2 /dev/zero | wc -c; hostname; echo again > /dev/stdout; \
                ls -d /dev/pts/ptmx /dev/mqueue /sys/fs/cgroup; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; \
                test -d /sys/kernel && echo sys; cat /run/secret; stat -c %u /run/secret /dev/shm; ip link show lo \
                | grep -c UP
                """,
            ])
            useUserNamespace(&container.request)
            container.request.spec.linux.sysctl = ["net.ipv4.ip_unprivileged_port_start": "81"]
            container.request.files = [InjectedFile(path: "/run/secret", bytes: Array("s\n".utf8), mode: 0o400)]
            let result = try container.run()
            #expect(
                result.output == "2\nbox\nagain\n/dev/mqueue\n/dev/pts/ptmx\n/sys/fs/cgroup\n81\nsys\ns\n0\n0\n1\n")
        }

        @Test func terminalWorks() throws {
            // What the last process writes as it ends may be lost with the terminal: hence the pause.
            let container = try TestHost.shared.container(["sh", "-c", "tty; ls -l /dev/console | cut -c1; sleep 2"])
            useUserNamespace(&container.request)
            container.request.spec.process.terminal = true
            let output = try container.run().output
            #expect(output == "/dev/pts/0\r\nc\r\n", "\(Array(output.utf8))")
        }

        @Test func execArrivesInIt() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            useUserNamespace(&container.request)
            try container.launch()
            var request = ExecRequest(
                directory: container.request.directory, spec: container.request.spec,
                args: [
                    "sh", "-c",
                    "id -u; grep CapEff /proc/self/status; echo y > /dev/stdout; touch /made; readlink "
                        + "/proc/1/ns/user; readlink /proc/self/ns/user",
                ])
            var outcome = try TestHost.shared.runtime.execute(request)
                .collect(timeoutMilliseconds: 30_000, outputMax: 1 << 20)
            let lines = String(decoding: outcome.output, as: UTF8.self).split(separator: "\n")
            #expect(outcome.exitCode == 0)
            try #require(lines.count == 5)
            #expect(lines[0] == "0" && lines[1] == "CapEff:\t00000000800405fb" && lines[2] == "y")
            #expect(lines[3] == lines[4])
            request.args = ["id", "-u"]
            request.user = "1000"
            outcome = try TestHost.shared.runtime.execute(request)
                .collect(timeoutMilliseconds: 30_000, outputMax: 1 << 20)
            #expect(outcome.output == Array("1000\n".utf8))
        }

        @Test func hostsNamespacesAreJoinedFromIt() throws {
            let holder = try TestHost.shared.container(["sleep", "60"])
            let pid = try holder.launch().pid
            let container = try TestHost.shared.container(["sh", "-c", "readlink /proc/self/ns/net; ls /dev/mqueue"])
            useUserNamespace(&container.request)
            container.request.spec.linux.namespaces.removeAll { $0.type == .network || $0.type == .ipc }
            container.request.spec.linux.namespaces += [
                .init(.network, path: "/proc/\(pid)/ns/net"), .init(.ipc, path: "/proc/\(pid)/ns/ipc"),
            ]
            let result = try container.run()
            #expect(result.code == 0)
            #expect(result.output == NamespaceTests.link("/proc/\(pid)/ns/net") + "\n")
        }

        @Test func anotherContainersUserNamespaceIsJoined() throws {
            let holder = try TestHost.shared.container(["sleep", "60"])
            useUserNamespace(&holder.request)
            let pid = try holder.launch().pid
            let container = try TestHost.shared.container([
                "sh", "-c", "readlink /proc/self/ns/user; id -u; hostname; stat -c %u /bin; echo $$",
            ])
            container.request.spec.linux.namespaces.append(.init(.user, path: "/proc/\(pid)/ns/user"))
            let result = try container.run()
            #expect(result.output == NamespaceTests.link("/proc/\(pid)/ns/user") + "\n0\nbox\n0\n1\n")
        }

        @Test func limitsAndScoreAreTheHostsToGive() throws {
            let container = try TestHost.shared.container([
                "sh", "-c", "cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn",
            ])
            useUserNamespace(&container.request)
            container.request.spec.process.oomScoreAdj = 123
            container.request.spec.process.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 77, hard: 88)]
            #expect(try container.run().output == "123\n77\n88\n")
        }

        @Test func hostDeviceIsBound() throws {
            let container = try TestHost.shared.container(["sh", "-c", "stat -c '%t %T' /dev/kmsg"])
            useUserNamespace(&container.request)
            container.request.spec.linux.devices = [.init(type: "c", path: "/dev/kmsg", major: 1, minor: 11)]
            #expect(try container.run().output == "1 b\n")
        }
    }

    @Suite(.enabled(if: mapsMounts, "this kernel maps no ids on the file system of /tmp"))
    struct IdmappedMountTests {
        private func volume() throws -> String {
            let path = "\(TestHost.shared.directory)/mapped-\(TestContainer.newNumber())"
            try FileSystem.makeDirectories(path, mode: 0o777)
            try FileSystem.replaceFile("\(path)/file", with: Array("x".utf8), mode: 0o644)
            chown("\(path)/file", 5, 6)
            return path
        }

        @Test func ownersAreMapped() throws {
            let path = try volume()
            let result = try shell("stat -c %u:%g /v/file /w/file; echo > /v/new; stat -c %u /v/new") {
                var mount = RuntimeSpec.Mount(destination: "/v", type: "bind", source: path, options: ["bind"])
                mount.uidMappings = [
                    .init(containerID: 0, hostID: 0, size: 1), .init(containerID: 5, hostID: 1005, size: 1),
                ]
                mount.gidMappings = [
                    .init(containerID: 0, hostID: 0, size: 1), .init(containerID: 6, hostID: 1006, size: 1),
                ]
                $0.spec.mounts += [mount, .init(destination: "/w", type: "bind", source: path, options: ["bind"])]
            }
            #expect(result.output == "1005:1006\n5:6\n0\n")
        }

        @Test func containersOwnMapIsUsed() throws {
            let path = try volume()
            let container = try TestHost.shared.container([
                "sh", "-c", "stat -c %u:%g /v/file /w/file; echo > /v/new",
            ])
            useUserNamespace(&container.request)
            container.request.spec.mounts += [
                .init(destination: "/v", type: "bind", source: path, options: ["rbind", "ridmap"]),
                .init(destination: "/w", type: "bind", source: path, options: ["rbind"]),
            ]
            #expect(try container.run().output == "5:6\n65534:65534\n")
            var status = stat()
            #expect(stat("\(path)/new", &status) == 0 && status.st_uid == 0)
        }

        @Test func fileSystemsWithoutSupportAreAnError() throws {
            let container = try TestHost.shared.container(["true"])
            useUserNamespace(&container.request)
            container.request.spec.mounts.append(
                .init(destination: "/v", type: "bind", source: "/proc/sys", options: ["bind", "idmap"]))
            let error = #expect(throws: RuntimeError.self) { try container.launch() }
            #expect(error?.description.contains("does not support mapped ids") == true, "\(String(describing: error))")
        }
    }
}
