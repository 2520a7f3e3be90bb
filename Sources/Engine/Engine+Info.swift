import CLinux
import EngineWire
import Glibc
import Images
import LinuxSystem

/// `GET /info`.
extension Engine {
    public func info(version: String) async throws(EngineError) -> InfoReply {
        var info = InfoReply()
        info.ID = identity
        count(into: &info)
        info.Images = try await onImages { images throws(ImageError) in try images.images().count }
        info.NEventsListener = events.listenerCount
        let rootless = options.rootless != nil
        let filled = info
        info = try await onPool { () throws(SystemError) in
            var info = filled
            HostFacts(isRootless: rootless).fill(&info)
            return info
        }
        info.DriverStatus = [
            ["Backing Filesystem", FileSystemName.of(options.dataRoot)], ["Supports d_type", "true"],
            ["Using metacopy", "false"], ["Native Overlay Diff", "true"], ["userxattr", rootless ? "true" : "false"],
        ]
        info.DockerRootDir = options.dataRoot
        info.SystemTime = rfc3339(Clock.now())
        info.ServerVersion = version
        info.Runtimes = ["gantry": InfoReply.OCIRuntime(path: options.supervisorPath)]
        info.DefaultRuntime = "gantry"
        return info
    }

    /// The same for as long as the data root is.
    private var identity: String {
        let digits = Array((0..<4).map { fnv1aHex("\($0):\(options.dataRoot)") }.joined())
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }.joined(separator: "-")
    }

    private func count(into info: inout InfoReply) {
        info.Containers = containers.count
        for container in containers.values {
            if container.process == nil {
                info.ContainersStopped += 1
            } else if isFrozen(container.stored.id) {
                info.ContainersPaused += 1
            } else {
                info.ContainersRunning += 1
            }
        }
    }
}

/// What the kernel and the files of the host say.
private struct HostFacts {
    let isRootless: Bool

    func fill(_ info: inout InfoReply) {
        var names = utsname()
        uname(&names)
        info.KernelVersion = text(&names.release)
        info.Architecture = text(&names.machine)
        info.Name = text(&names.nodename)
        let system = operatingSystem()
        (info.OperatingSystem, info.OSVersion) = (system.name, system.version)
        info.NCPU = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        info.MemTotal = Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
        info.CgroupVersion = FileSystem.exists("/sys/fs/cgroup/cgroup.controllers") ? "2" : "1"
        info.IPv4Forwarding = number("/proc/sys/net/ipv4/ip_forward") == "1"
        // A list that cannot be read counts for nothing.
        info.NFd = (try? FileSystem.list("/proc/self/fd").count) ?? 0
        info.NGoroutines = (try? FileSystem.list("/proc/self/task").count) ?? 0  // As above.
        info.SecurityOptions = ["name=seccomp,profile=builtin"]
        if info.CgroupVersion == "2" { info.SecurityOptions.append("name=cgroupns") }
        if isRootless { info.SecurityOptions.append("name=rootless") }
    }

    private func text<Field>(_ field: inout Field) -> String {
        // SAFETY: a fixed array of the kernel's, read within its own size.
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private func number(_ path: String) -> String? {
        // Not there: unknown.
        guard let bytes = try? FileSystem.readFile(path, byteCountMax: 64) else { return nil }
        return String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
    }

    /// os-release(5).
    private func operatingSystem() -> (name: String, version: String) {
        for path in ["/etc/os-release", "/usr/lib/os-release"] {
            // The other file says it, or nobody does.
            guard let bytes = try? FileSystem.readFile(path, byteCountMax: 64 << 10) else { continue }
            var values: [Substring: Substring] = [:]
            let document = String(decoding: bytes, as: UTF8.self)
            for line in document.split(separator: "\n") {
                let parts = line.split(separator: "=", maxSplits: 1)
                guard parts.count == 2 else { continue }
                values[parts[0]] =
                    parts[1].count >= 2 && parts[1].first == "\"" ? parts[1].dropFirst().dropLast() : parts[1]
            }
            return (String(values["PRETTY_NAME"] ?? "Linux"), String(values["VERSION_ID"] ?? ""))
        }
        return ("Linux", "")
    }
}

/// The kind of a file system, in the words of Docker's storage driver.
private enum FileSystemName {
    static func of(_ path: String) -> String {
        var status = statfs()
        guard statfs(path, &status) == 0 else { return "<unknown>" }
        return switch UInt32(truncatingIfNeeded: status.f_type) {
        case 0xEF53: "extfs"
        case 0x5846_5342: "xfs"
        case 0x9123_683E: "btrfs"
        case 0x0102_1994: "tmpfs"
        case 0x2FC1_2FC1: "zfs"
        case 0x794C_7630: "overlayfs"
        default: "<unknown>"
        }
    }
}
