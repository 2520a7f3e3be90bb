import CLinux
import Glibc
import LinuxSystem

extension RuntimeSpec {
    /// Podman's eleven. Docker's three others go: CAP_NET_RAW forges the packets of neighbours (CVE-2020-13401),
    /// CAP_MKNOD and CAP_AUDIT_WRITE reach the host's devices and audit log; `cap_add` brings each back. `ping` works
    /// by `unprivilegedNetworkSysctls`.
    public static let defaultCapabilities = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP",
        "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    ]

    /// What Docker's fourteen have besides: for the containers and builds of Docker's clients, which count on them.
    public static let dockersFurtherCapabilities = ["CAP_NET_RAW", "CAP_MKNOD", "CAP_AUDIT_WRITE"]

    /// For a network namespace of the container's own, as Docker sets them: everyone may ping and listen on every
    /// port. ip-sysctl.rst.
    ///
    /// - Parameter mapped: only some ids exist, as in a plain user's engine; the kernel takes no others for the range.
    public static func unprivilegedNetworkSysctls(mapped: Bool) -> [String: String] {
        [
            "net.ipv4.ping_group_range": mapped ? "0 0" : "0 2147483647",
            "net.ipv4.ip_unprivileged_port_start": "0",
        ]
    }

    /// Docker's masked paths: what tells of, or acts on, the host's hardware and kernel.
    public static let defaultMaskedPaths = [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
        "/sys/devices/virtual/powercap", "/sys/firmware",
    ]

    public static let defaultReadonlyPaths = [
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    ]

    /// Podman's default; Docker has none, and one fork bomb takes the host with it. Threads count. A limit of the
    /// request's, -1 for none, takes its place.
    public static let defaultProcessCountMax: Int64 = 2048

    /// Devices a container may use; making nodes of any other is allowed, opening them is not.
    public static let defaultDeviceRules: [DeviceRule] = [
        DeviceRule(allow: false, type: "a", access: "rwm"),
        DeviceRule(allow: true, type: "c", access: "m"),
        DeviceRule(allow: true, type: "b", access: "m"),
        DeviceRule(allow: true, type: "c", major: 1, minor: 3),
        DeviceRule(allow: true, type: "c", major: 1, minor: 5),
        DeviceRule(allow: true, type: "c", major: 1, minor: 7),
        DeviceRule(allow: true, type: "c", major: 1, minor: 8),
        DeviceRule(allow: true, type: "c", major: 1, minor: 9),
        DeviceRule(allow: true, type: "c", major: 5, minor: 0),
        DeviceRule(allow: true, type: "c", major: 5, minor: 1),
        DeviceRule(allow: true, type: "c", major: 5, minor: 2),
        DeviceRule(allow: true, type: "c", major: 136),
    ]

    private static let defaultMounts: [Mount] = [
        Mount(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
        Mount(
            destination: "/dev", type: "tmpfs", source: "tmpfs",
            options: ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]),
        Mount(
            destination: "/dev/pts", type: "devpts", source: "devpts",
            options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        Mount(destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
        Mount(
            destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
            options: ["ro", "nosuid", "noexec", "nodev"]),
        Mount(destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
        Mount(
            destination: "/dev/shm", type: "tmpfs", source: "shm",
            options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ]

    /// A container as Docker sets it up: own namespaces (the network one without a path), default capabilities,
    /// mounts, masked and read-only paths, devices. The program is `/bin/sh` until the caller says otherwise.
    public static func containerDefault() -> RuntimeSpec {
        var spec = RuntimeSpec(process: Process(args: ["/bin/sh"]), mounts: defaultMounts)
        spec.process.env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        spec.process.capabilities = Capabilities(all: defaultCapabilities)
        spec.linux.namespaces = [.mount, .pid, .network, .ipc, .uts, .cgroup].map { Namespace($0) }
        spec.linux.maskedPaths = defaultMaskedPaths + thermalThrottlePaths
        spec.linux.readonlyPaths = defaultReadonlyPaths
        spec.linux.resources.devices = defaultDeviceRules
        if canLimitProcesses { spec.linux.resources.pids = .init(limit: defaultProcessCountMax) }
        return spec
    }

    /// A limit that nobody asked for must not be what keeps a container from starting where there is no controller.
    private static let canLimitProcesses: Bool = {
        // An unreadable table of mounts is an error elsewhere, before any container.
        (try? CgroupLayout.current())?.hierarchy(of: "pids") != nil
    }()

    /// `/sys/devices/system/cpu/cpuN/thermal_throttle` of the processors that have one; looked for once.
    private static let thermalThrottlePaths: [String] = {
        let folder = "/sys/devices/system/cpu"
        // Unreadable: no such paths to hide.
        let names = (try? FileSystem.list(folder)) ?? []
        return names.filter { $0.hasPrefix("cpu") }.map { "\(folder)/\($0)/thermal_throttle" }
            .filter { FileSystem.exists($0) }
    }()

    /// Docker's `--privileged`: every capability, every device, nothing masked or read-only. The launch request's
    /// `seccomp` must be `.unconfined` besides.
    public mutating func makePrivileged() throws(RuntimeError) {
        process.capabilities = Capabilities(all: CapabilityNames.all())
        linux.maskedPaths = []
        linux.readonlyPaths = []
        linux.resources.devices = nil
        linux.devices = try HostDevices.all()
        for index in mounts.indices where ["/sys", "/sys/fs/cgroup", "/proc"].contains(mounts[index].destination) {
            mounts[index].options?.removeAll { $0 == "ro" }
        }
    }
}

/// The host's device nodes, for privileged containers.
enum HostDevices {
    private static let depthMax = 8
    private static let skipped: Set<String> = ["pts", "shm", "mqueue", "fd", "console", "core", "ptmx"]

    static func all() throws(RuntimeError) -> [RuntimeSpec.Device] {
        var found: [RuntimeSpec.Device] = []
        do {
            try collect("/dev", depth: 0, into: &found)
        } catch {
            throw .system("list the host's devices", error)
        }
        return found
    }

    private static func collect(
        _ folder: String, depth: Int, into found: inout [RuntimeSpec.Device]
    ) throws(SystemError) {
        guard depth < depthMax else { return }
        for name in try FileSystem.list(folder) where depth > 0 || !skipped.contains(name) {
            let path = "\(folder)/\(name)"
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            let type: String
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                try collect(path, depth: depth + 1, into: &found)
                continue
            case S_IFCHR: type = "c"
            case S_IFBLK: type = "b"
            default: continue
            }
            var device = RuntimeSpec.Device(
                type: type, path: path, major: Int64(gantry_major(status.st_rdev)),
                minor: Int64(gantry_minor(status.st_rdev)), fileMode: UInt32(status.st_mode & 0o777))
            (device.uid, device.gid) = (status.st_uid, status.st_gid)
            found.append(device)
        }
    }
}
