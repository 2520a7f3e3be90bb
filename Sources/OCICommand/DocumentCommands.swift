import ArgumentParser
import ContainerRuntime
import Glibc
import LinuxSystem

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
