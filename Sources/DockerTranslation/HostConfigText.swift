import JSONDocument
import StackModel

extension ContainerRequest {
    /// Every member of Docker's `HostConfig` and `Config`, with what is meant where nothing was said.
    static let hostDefaults: [String: JSONValue] = [
        "AutoRemove": .bool(false), "Binds": .null, "BlkioDeviceReadBps": .array([]),
        "BlkioDeviceReadIOps": .array([]), "BlkioDeviceWriteBps": .array([]), "BlkioDeviceWriteIOps": .array([]),
        "BlkioWeight": .integer(0), "BlkioWeightDevice": .array([]), "CapAdd": .null, "CapDrop": .null,
        "Cgroup": .string(""), "CgroupParent": .string(""), "CgroupnsMode": .string("private"),
        "ConsoleSize": .array([.integer(0), .integer(0)]), "ContainerIDFile": .string(""), "CpuCount": .integer(0),
        "CpuPercent": .integer(0), "CpuPeriod": .integer(0), "CpuQuota": .integer(0),
        "CpuRealtimePeriod": .integer(0), "CpuRealtimeRuntime": .integer(0), "CpuShares": .integer(0),
        "CpusetCpus": .string(""), "CpusetMems": .string(""), "DeviceCgroupRules": .null, "DeviceRequests": .null,
        "Devices": .array([]), "Dns": .null, "DnsOptions": .null, "DnsSearch": .null,
        "ExtraHosts": .null, "GroupAdd": .null, "IOMaximumBandwidth": .integer(0), "IOMaximumIOps": .integer(0),
        "IpcMode": .string("private"), "Isolation": .string(""), "Links": .null,
        "LogConfig": .object(["Type": .string("json-file"), "Config": .object([:])]),
        "MaskedPaths": .array(defaultMaskedPaths.map { .string($0) }), "Memory": .integer(0),
        "MemoryReservation": .integer(0), "MemorySwap": .integer(0), "MemorySwappiness": .null,
        "NanoCpus": .integer(0), "NetworkMode": .string("bridge"), "OomKillDisable": .null,
        "OomScoreAdj": .integer(0), "PidMode": .string(""), "PidsLimit": .null, "PortBindings": .object([:]),
        "Privileged": .bool(false), "PublishAllPorts": .bool(false),
        "ReadonlyPaths": .array(defaultReadonlyPaths.map { .string($0) }), "ReadonlyRootfs": .bool(false),
        "RestartPolicy": .object(["Name": .string("no"), "MaximumRetryCount": .integer(0)]),
        "Runtime": .string("runc"), "SecurityOpt": .null, "ShmSize": .integer(64 << 20), "UTSMode": .string(""),
        "Ulimits": .array([]), "UsernsMode": .string(""), "VolumeDriver": .string(""), "VolumesFrom": .null,
    ]

    static let configDefaults: [String: JSONValue] = [
        "AttachStderr": .bool(false), "AttachStdin": .bool(false), "AttachStdout": .bool(false), "Cmd": .null,
        "Domainname": .string(""), "Entrypoint": .null, "Env": .array([]), "Hostname": .string(""),
        "Image": .string(""), "Labels": .object([:]), "OnBuild": .null, "OpenStdin": .bool(false),
        "StdinOnce": .bool(false), "Tty": .bool(false), "User": .string(""), "Volumes": .null,
        "WorkingDir": .string(""),
    ]

    private static let defaultMaskedPaths = [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
        "/sys/firmware",
    ]

    private static let defaultReadonlyPaths = [
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    ]

    /// Docker does not mind capitals in names, and docker-py writes some as it likes.
    static func named(_ members: [String: JSONValue], _ known: [String: JSONValue]) -> [String: JSONValue] {
        guard members.keys.contains(where: { known[$0] == nil }) else { return members }
        let names = Dictionary(known.keys.map { ($0.lowercased(), $0) }) { first, _ in first }
        var result = members
        for (name, value) in members.sorted(by: { $0.key < $1.key }) where known[name] == nil {
            guard let right = names[name.lowercased()], result[right] == nil else { continue }
            result[right] = value
            result[name] = nil
        }
        return result
    }

    /// What was asked for, complete.
    public var shownHostConfig: [String: JSONValue] {
        var shown = Self.hostDefaults.merging(hostConfig.filter { $0.value != .null }) { _, asked in asked }
        // Unset in a way of its own.
        if shown["MemorySwappiness"] == .integer(-1) { shown["MemorySwappiness"] = .null }
        if shown["NetworkMode"] == .string("default") || shown["NetworkMode"] == .string("") {
            shown["NetworkMode"] = .string(NetworkChoice.bridge)
        }
        for name in ["IpcMode", "CgroupnsMode", "Runtime"] where shown[name] == .string("") {
            shown[name] = Self.hostDefaults[name]
        }
        if shown["ShmSize"] == .integer(0) { shown["ShmSize"] = Self.hostDefaults["ShmSize"] }
        if shown["PidsLimit"] == .integer(0) { shown["PidsLimit"] = .null }
        shown["LogConfig"] = Self.complete(shown["LogConfig"], Self.hostDefaults["LogConfig"])
        shown["RestartPolicy"] = Self.complete(shown["RestartPolicy"], Self.hostDefaults["RestartPolicy"])
        return shown
    }

    /// `asked` with the members of `standard` where it has none, or empty ones.
    private static func complete(_ asked: JSONValue?, _ standard: JSONValue?) -> JSONValue {
        guard case .object(let asked)? = asked, case .object(var members)? = standard else { return standard ?? .null }
        for (name, value) in asked where value != .null && value != .string("") { members[name] = value }
        return .object(members)
    }

    public var shownConfig: [String: JSONValue] {
        var shown = Self.configDefaults.merging(config.filter { $0.value != .null }) { _, asked in asked }
        if case .object(let check)? = shown["Healthcheck"] {
            let unsaid: [JSONValue] = [.null, .integer(0), .array([])]
            shown["Healthcheck"] = .object(check.filter { !unsaid.contains($0.value) })
        }
        return shown
    }

    /// The request that would have made this service's container: how containers of stacks look to Docker's clients.
    public init(_ service: Service, networkMode: String, autoRemove: Bool) {
        config = Self.config(service)
        hostConfig = Self.host(service)
        endpoints = [:]
        hostConfig["NetworkMode"] = .string(networkMode)
        hostConfig["AutoRemove"] = .bool(autoRemove)
        platform = service.platform
    }

    private static func config(_ service: Service) -> [String: JSONValue] {
        var config: [String: JSONValue] = [
            "Image": .string(service.image), "Tty": .bool(service.tty), "OpenStdin": .bool(service.stdinOpen),
            "Labels": .object(service.labels.mapValues { .string($0) }),
        ]
        config["Hostname"] = service.hostname.map { .string($0) }
        config["Domainname"] = service.domainname.map { .string($0) }
        config["User"] = service.user.map { .string($0) }
        config["WorkingDir"] = service.workingDirectory.map { .string($0) }
        config["Entrypoint"] = service.entrypoint.map(texts)
        config["Cmd"] = service.command.map(texts)
        config["StopSignal"] = service.stopSignal.map { .string($0) }
        config["StopTimeout"] = service.stopGracePeriod.map { .integer($0 / 1_000_000_000) }
        config["Env"] = texts(
            service.environment.sorted { $0.key < $1.key }.map { key, value in value.map { "\(key)=\($0)" } ?? key })
        config["Healthcheck"] = service.healthcheck.map { .object($0.docker) }
        if !service.expose.isEmpty {
            let names = service.expose.map { $0.contains("/") ? $0 : "\($0)/tcp" }
            config["ExposedPorts"] = .object(Dictionary(names.map { ($0, .object([:])) }) { first, _ in first })
        }
        return config
    }

    private static func texts(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }

    private static func host(_ service: Service) -> [String: JSONValue] {
        var host: [String: JSONValue] = [:]
        for (name, list) in [
            ("CapAdd", service.capAdd), ("CapDrop", service.capDrop), ("SecurityOpt", service.securityOptions),
            ("GroupAdd", service.groupAdd), ("Dns", service.dns), ("DnsSearch", service.dnsSearch),
            ("DnsOptions", service.dnsOptions), ("DeviceCgroupRules", service.deviceCgroupRules),
            ("ExtraHosts", service.extraHosts.map { "\($0.name):\($0.address)" }),
            ("Binds", service.mounts.compactMap(\.bindText)),
        ] where !list.isEmpty {
            host[name] = texts(list)
        }
        if service.privileged { host["Privileged"] = .bool(true) }
        if service.readOnly { host["ReadonlyRootfs"] = .bool(true) }
        for (name, text) in [
            ("PidMode", service.pidMode), ("IpcMode", service.ipcMode), ("UTSMode", service.utsMode),
            ("UsernsMode", service.usernsMode), ("CgroupnsMode", service.cgroupMode),
            ("CgroupParent", service.cgroupParent),
        ] {
            host[name] = text.map { .string($0) }
        }
        host["Init"] = service.initProcess.map { .bool($0) }
        host["ShmSize"] = service.shmSize.map { .integer($0) }
        host["OomScoreAdj"] = service.oomScoreAdjust.map { .integer(Int64($0)) }
        host["OomKillDisable"] = service.oomKillDisable.map { .bool($0) }
        if !service.sysctls.isEmpty { host["Sysctls"] = .object(service.sysctls.mapValues { .string($0) }) }
        host.merge(service.resources.docker) { _, new in new }
        host["RestartPolicy"] = service.restart.docker
        host["Ulimits"] = .array(
            service.ulimits.sorted { $0.key < $1.key }.map { name, limit in
                .object(["Name": .string(name), "Soft": .integer(limit.soft), "Hard": .integer(limit.hard)])
            })
        host["Devices"] = .array(service.devices.map(device))
        host["PortBindings"] = bindings(service.ports)
        if let logging = service.logging {
            host["LogConfig"] = .object([
                "Type": .string(logging.driver ?? "json-file"),
                "Config": .object(logging.options.mapValues { .string($0) }),
            ])
        }
        let tmpfs = service.mounts.filter { $0.kind == .tmpfs }
        if !tmpfs.isEmpty {
            host["Tmpfs"] = .object(
                Dictionary(tmpfs.map { ($0.target, .string($0.size.map { "size=\($0)" } ?? "")) }) { first, _ in first }
            )
        }
        return host
    }

    private static func device(_ text: String) -> JSONValue {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        return .object([
            "PathOnHost": .string(parts[0]), "PathInContainer": .string(parts.count > 1 ? parts[1] : parts[0]),
            "CgroupPermissions": .string(parts.count > 2 ? parts[2] : "rwm"),
        ])
    }

    private static func bindings(_ ports: [Port]) -> JSONValue {
        var bindings: [String: [JSONValue]] = [:]
        for port in ports {
            var text = port.published.map { "\($0)" } ?? ""
            if let last = port.publishedLast { text += "-\(last)" }
            bindings[port.dockerName, default: []].append(
                .object(["HostIp": .string(port.hostIP ?? ""), "HostPort": .string(text)]))
        }
        return .object(bindings.mapValues { .array($0) })
    }
}

extension RestartPolicy {
    public var docker: JSONValue {
        .object(["Name": .string(mode.rawValue), "MaximumRetryCount": .integer(Int64(attemptsMax ?? 0))])
    }
}

extension Healthcheck {
    /// As members of a `Config`; only what is said.
    public var docker: [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        members["Test"] = test.map { .array($0.map { .string($0) }) }
        members["Interval"] = interval.map { .integer($0) }
        members["Timeout"] = timeout.map { .integer($0) }
        members["Retries"] = retries.map { .integer(Int64($0)) }
        members["StartPeriod"] = startPeriod.map { .integer($0) }
        members["StartInterval"] = startInterval.map { .integer($0) }
        return members
    }
}

extension Resources {
    /// As members of a `HostConfig`; only what is said.
    public var docker: [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        for (name, number) in [
            ("Memory", memory), ("MemoryReservation", memoryReservation), ("MemorySwap", memorySwap),
            ("MemorySwappiness", memorySwappiness), ("NanoCpus", nanoCPUs), ("CpuShares", cpuShares),
            ("CpuQuota", cpuQuota), ("CpuPeriod", cpuPeriod), ("CpuRealtimePeriod", cpuRealtimePeriod),
            ("CpuRealtimeRuntime", cpuRealtimeRuntime), ("PidsLimit", pids), ("BlkioWeight", blockIO?.weight),
        ] {
            members[name] = number.map { .integer($0) }
        }
        members["CpusetCpus"] = cpuset.map { .string($0) }
        return members
    }
}

extension Mount {
    /// As in `Binds`; `nil` for what has no source.
    fileprivate var bindText: String? {
        guard kind == .bind || kind == .volume, let source else { return nil }
        return "\(source):\(target):\(readOnly ? "ro" : "rw")"
    }
}
