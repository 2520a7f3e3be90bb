import StackModel

/// How one property of `Service` is compared, and what a difference asks for. `all` holds every property but `image`,
/// which is compared by its id.
struct FieldRule: Sendable {
    /// The Swift property.
    var property: String
    var effect: ChangeClass
    /// Paths, as Compose spells them, at which two services differ (new, old).
    var differences: @Sendable (Service, Service) -> [String]
    /// The values by those paths, for people.
    var values: @Sendable (Service) -> [(String, Any)]

    /// Compared as one value, after `value` has brought it into normal form.
    static func whole<Value: Equatable & SendableMetatype>(
        _ key: String, _ property: String, _ effect: ChangeClass = .replace,
        _ value: @escaping @Sendable (Service) -> Value
    ) -> FieldRule {
        FieldRule(
            property: property, effect: effect, differences: { value($0) == value($1) ? [] : [key] },
            values: { [(key, value($0))] })
    }

    /// Compared entry by entry; each entry that differs is named.
    static func entries<Value: Equatable & SendableMetatype>(
        _ key: String, _ property: String, _ effect: ChangeClass = .replace,
        _ value: @escaping @Sendable (Service) -> [String: Value]
    ) -> FieldRule {
        FieldRule(
            property: property, effect: effect,
            differences: { new, old in
                let (new, old) = (value(new), value(old))
                return Set(new.keys).union(old.keys).sorted().filter { new[$0] != old[$0] }.map { "\(key).\($0)" }
            }, values: { value($0).map { ("\(key).\($0)", $1) } })
    }

    static let all: [FieldRule] = process + placement + files + network + limits + control

    private static let process: [FieldRule] = [
        whole("command", "command") { $0.command },
        whole("entrypoint", "entrypoint") { $0.entrypoint },
        entries("environment", "environment") { $0.environment },
        whole("user", "user") { $0.user },
        whole("working_dir", "workingDirectory") { $0.workingDirectory },
        whole("init", "initProcess") { $0.initProcess ?? false },
        whole("tty", "tty") { $0.tty },
        whole("stdin_open", "stdinOpen") { $0.stdinOpen },
        whole("healthcheck", "healthcheck", .live) { $0.healthcheck },
        whole("pre_start", "preStart") { $0.preStart },
        whole("platform", "platform") { $0.platform },
        whole("provider", "provider") { $0.provider },
        whole("logging", "logging") { $0.logging },
        entries("annotations", "annotations") { $0.annotations },
    ]

    private static let placement: [FieldRule] = [
        whole("container_name", "containerName") { $0.containerName },
        whole("hostname", "hostname") { $0.hostname },
        whole("domainname", "domainname") { $0.domainname },
        whole("privileged", "privileged") { $0.privileged },
        whole("cap_add", "capAdd") { capabilities($0.capAdd) },
        whole("cap_drop", "capDrop") { capabilities($0.capDrop) },
        whole("security_opt", "securityOptions") { Set($0.securityOptions) },
        whole("group_add", "groupAdd") { Set($0.groupAdd) },
        whole("pid", "pidMode") { $0.pidMode },
        whole("ipc", "ipcMode") { $0.ipcMode },
        whole("userns_mode", "usernsMode") { $0.usernsMode },
        whole("uts", "utsMode") { $0.utsMode },
        whole("cgroup", "cgroupMode") { $0.cgroupMode ?? "private" },
        whole("cgroup_parent", "cgroupParent") { $0.cgroupParent },
        whole("runtime", "runtime") { $0.runtime },
        whole("isolation", "isolation") { $0.isolation ?? "default" },
        whole("credential_spec", "credentialSpec") { $0.credentialSpec },
        whole("use_api_socket", "useAPISocket") { $0.useAPISocket },
    ]

    private static let files: [FieldRule] = [
        entries("volumes", "mounts") { mountsByTarget($0.mounts) },
        whole("configs", "configs") { fileMounts($0.configs) },
        whole("secrets", "secrets") { fileMounts($0.secrets) },
        whole("volumes_from", "volumesFrom") { $0.volumesFrom },
        whole("devices", "devices") { Set($0.devices) },
        whole("device_cgroup_rules", "deviceCgroupRules") { Set($0.deviceCgroupRules) },
        whole("gpus", "deviceRequests") { $0.deviceRequests },
        entries("storage_opt", "storageOptions") { $0.storageOptions },
        whole("read_only", "readOnly") { $0.readOnly },
        whole("shm_size", "shmSize") { $0.shmSize },
    ]

    private static let network: [FieldRule] = [
        entries("networks", "networks", .live) { $0.networks.mapValues(normalAttachment) },
        whole("network_mode", "networkMode") { $0.networkMode },
        whole("ports", "ports", .live) { Set($0.ports.map(normalPort)) },
        whole("links", "links") { Set($0.links) },
        whole("external_links", "externalLinks") { Set($0.externalLinks) },
        entries("models", "models") { $0.models },
        whole("extra_hosts", "extraHosts") { $0.extraHosts },
        whole("dns", "dns") { $0.dns },
        whole("dns_search", "dnsSearch") { $0.dnsSearch },
        whole("dns_opt", "dnsOptions") { Set($0.dnsOptions) },
    ]

    private static let limits: [FieldRule] = [
        resources(.live) { $0.isLive(from: $1) }, resources(.replace) { !$0.isLive(from: $1) },
        entries("ulimits", "ulimits") { $0.ulimits },
        entries("sysctls", "sysctls") { $0.sysctls },
        whole("oom_score_adj", "oomScoreAdjust") { $0.oomScoreAdjust },
        whole("oom_kill_disable", "oomKillDisable", .live) { $0.oomKillDisable ?? false },
    ]

    private static func resources(
        _ effect: ChangeClass, _ isSo: @escaping @Sendable (Resources, Resources) -> Bool
    ) -> FieldRule {
        FieldRule(
            property: "resources", effect: effect,
            differences: { new, old in
                new.resources != old.resources && isSo(new.resources, old.resources) ? ["deploy.resources"] : []
            }, values: { [("deploy.resources", $0.resources)] })
    }

    /// What the engine acts on and the container never sees.
    private static let control: [FieldRule] = [
        whole("restart", "restart", .control) { $0.restart },
        entries("labels", "labels", .control) { $0.labels },
        whole("stop_signal", "stopSignal", .control) { signalName($0.stopSignal) },
        whole("stop_grace_period", "stopGracePeriod", .control) { $0.stopGracePeriod },
        whole("depends_on", "dependsOn", .control) { $0.dependsOn },
        whole("post_start", "postStart", .control) { $0.postStart },
        whole("pre_stop", "preStop", .control) { $0.preStop },
        whole("deploy", "deploy", .control) { $0.deploy },
        whole("deploy.resources.reservations", "reservations", .control) { $0.reservations },
        whole("x-gantry", "gantry", .control) { $0.gantry },
        whole("build", "build", .none) { $0.build },
        whole("pull_policy", "pullPolicy", .none) { $0.pullPolicy },
        whole("develop", "develop", .none) { $0.develop },
        whole("attach", "attach", .none) { $0.attach ?? true },
        whole("expose", "expose", .none) { Set($0.expose) },
        whole("scale", "replicas", .none) { $0.replicas },
        whole("profiles", "profiles", .none) { Set($0.profiles) },
    ]

    // MARK: Normal forms

    /// `cap_net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN` are one.
    private static func capabilities(_ names: [String]) -> Set<String> {
        Set(
            names.map { name in
                let upper = name.uppercased()
                return upper.hasPrefix("CAP_") ? String(upper.dropFirst(4)) : upper
            })
    }

    private static func signalName(_ name: String?) -> String {
        let upper = (name ?? "TERM").uppercased()
        return upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
    }

    /// A later mount of the same target hides an earlier one.
    private static func mountsByTarget(_ mounts: [Mount]) -> [String: Mount] {
        Dictionary(mounts.map { ($0.target, $0) }) { _, later in later }
    }

    private static func fileMounts(_ mounts: [FileMount]) -> [String: FileMount] {
        Dictionary(mounts.map { ($0.target, $0) }) { _, later in later }
    }

    /// Names of ports are for people.
    private static func normalPort(_ port: Port) -> Port {
        var normal = port
        (normal.name, normal.appProtocol) = (nil, nil)
        return normal
    }

    private static func normalAttachment(_ attachment: NetworkAttachment) -> NetworkAttachment {
        var normal = attachment
        normal.aliases = Set(attachment.aliases).sorted()
        return normal
    }
}

extension Resources {
    /// Whether a running container can be given these limits in place of `old`: what the kernel cannot be told to
    /// forget again, and what belongs to single devices, needs a new one.
    fileprivate func isLive(from old: Resources) -> Bool {
        if cpuset == nil, old.cpuset != nil { return false }
        if memorySwappiness == nil, old.memorySwappiness != nil { return false }
        var (new, same) = (self, old)
        for limit in [
            \Resources.memory, \.memoryReservation, \.memorySwap, \.memorySwappiness, \.nanoCPUs, \.cpuShares,
            \.cpuQuota,
            \.cpuPeriod, \.pids,
        ] {
            (new[keyPath: limit], same[keyPath: limit]) = (nil, nil)
        }
        (new.cpuset, same.cpuset) = (nil, nil)
        return new == same
    }
}

extension Network {
    /// Driver, addresses and options decide; labels do not, being no reason to take a network from under its users.
    func isSame(as other: Network) -> Bool {
        (driver ?? "bridge") == (other.driver ?? "bridge") && driverOptions == other.driverOptions
            && isInternal == other.isInternal && hasIPv4 == other.hasIPv4 && enableIPv6 == other.enableIPv6
            && subnets == other.subnets
    }
}

extension Volume {
    func isSame(as other: Volume) -> Bool {
        (driver ?? "local") == (other.driver ?? "local") && driverOptions == other.driverOptions
    }
}
