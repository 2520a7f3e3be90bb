import ArgumentParser
import ContainerRuntime
import Glibc
import LinuxSystem

struct FeaturesCommand: OCICommand {
    static let configuration = CommandConfiguration(
        commandName: "features", abstract: "Print what this runtime can do.")

    /// <https://github.com/opencontainers/runtime-spec/blob/main/features.md>
    struct Features: Encodable {
        struct Enabled: Encodable { var enabled: Bool }
        struct Cgroup: Encodable {
            var v1 = true
            var v2 = true
            var systemd = false
            var systemdUser = false
            var rdma = false
        }
        struct Seccomp: Encodable {
            var enabled = true
            var actions = [
                "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
                "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
            ]
            var operators = [
                "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
                "SCMP_CMP_NE",
            ]
            var archs = ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"]
            var knownFlags = [
                "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
            ]
            var supportedFlags = [
                "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
            ]
        }
        struct Linux: Encodable {
            var namespaces = RuntimeSpec.Namespace.Kind.allCases.map(\.rawValue).sorted()
            var capabilities = CapabilityNames.all()
            var cgroup = Cgroup()
            var seccomp = Seccomp()
            var apparmor = Enabled(enabled: false)
            var selinux = Enabled(enabled: false)
            var intelRdt = Enabled(enabled: false)
        }
        var ociVersionMin = "1.0.0"
        var ociVersionMax = GantryOCI.specification
        var hooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
        var mountOptions = MountOptionNames.all
        var linux = Linux()
        var annotations = ["org.gantry.version": GantryOCI.version]
    }

    func run(_ context: Context) throws { print(try JSON.encode(Features())) }
}

struct SpecCommand: OCICommand {
    static let configuration = CommandConfiguration(
        commandName: "spec", abstract: "Write a config.json to start from.")

    @Option(name: [.short, .long], help: "Folder to write it into (default: the working directory).")
    var bundle = "."

    @Flag(help: "For a plain user.")
    var rootless = false

    func run(_ context: Context) throws {
        let path = "\(bundle)/config.json"
        guard !FileSystem.exists(path) else { throw OCIError("\(path) exists already: remove it first") }
        try FileSystem.replaceFile(
            path, with: Array(SpecTemplate.text(rootless: rootless, uid: geteuid(), gid: getegid()).utf8), mode: 0o644)
    }
}

enum SpecTemplate {
    static func text(rootless: Bool, uid: UInt32, gid: UInt32) -> String {
        let capabilities = #"["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]"#
        let namespaces = ["pid", "ipc", "uts", "mount", "cgroup"] + (rootless ? ["user"] : ["network"])
        let kinds = namespaces.map { #"{"type": "\#($0)"}"# }.joined(separator: ", ")
        let masked = RuntimeSpec.defaultMaskedPaths.map { #""\#($0)""# }.joined(separator: ", ")
        let readOnly = RuntimeSpec.defaultReadonlyPaths.map { #""\#($0)""# }.joined(separator: ", ")
        let mappings =
            rootless
            ? """
            "uidMappings": [{"containerID": 0, "hostID": \(uid), "size": 1}],
                "gidMappings": [{"containerID": 0, "hostID": \(gid), "size": 1}],
            """
            : #""resources": {"devices": [{"allow": false, "access": "rwm"}]},"#
        let system =
            rootless
            ? #""type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]"#
            : #""type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]"#
        let terminals = rootless ? "" : #", "gid=5""#
        return """
            {
              "ociVersion": "\(GantryOCI.specification)",
              "process": {
                "terminal": true,
                "user": {"uid": 0, "gid": 0},
                "args": ["sh"],
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
                "cwd": "/",
                "capabilities": {
                  "bounding": \(capabilities),
                  "effective": \(capabilities),
                  "permitted": \(capabilities)
                },
                "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
                "noNewPrivileges": true
              },
              "root": {"path": "rootfs", "readonly": true},
              "hostname": "gantry",
              "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                  "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                  "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"\(terminals)]},
                {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                  "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
                {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
                  "options": ["nosuid", "noexec", "nodev"]},
                {"destination": "/sys", \(system)},
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                  "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
              ],
              "linux": {
                \(mappings)
                "namespaces": [\(kinds)],
                "maskedPaths": [\(masked)],
                "readonlyPaths": [\(readOnly)]
              }
            }

            """
    }
}
