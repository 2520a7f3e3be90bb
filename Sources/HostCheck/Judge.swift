import ContainerNetwork

/// What the facts mean: every finding, also the good ones, group by group.
public func judge(_ facts: HostFacts) -> [Finding] {
    let findings =
        judgeKernel(facts.kernel) + judgeCgroups(facts.cgroups, isRoot: facts.users.isRoot)
        + judgeNetwork(facts.network) + judgeFirewall(facts.firewall, isRoot: facts.users.isRoot)
        + judgeNames(facts.names) + judgeUsers(facts.users) + facts.storage.flatMap(judgeStorage)
        + judgeLimits(facts.limits)
    return Finding.Group.allCases.flatMap { group in findings.filter { $0.group == group } }
}

/// Major and minor number of a release.
func version(_ release: String) -> (Int, Int)? {
    let numbers = release.split(separator: "-")[0].split(separator: ".").prefix(2).map {
        Int($0.prefix { $0.isNumber })
    }
    guard numbers.count == 2, let major = numbers[0], let minor = numbers[1] else { return nil }
    return (major, minor)
}

private func judgeKernel(_ kernel: HostFacts.Kernel) -> [Finding] {
    [judgeVersion(kernel.release)] + judgeNamespaces(kernel) + judgeCalls(kernel) + judgeFeatures(kernel.features)
        + judgeClock(kernel.time)
}

private func judgeVersion(_ release: String) -> Finding {
    guard !release.isEmpty, let number = version(release) else {
        return Finding(.note, "kernel.version", .kernel, "the kernel's version could not be read")
    }
    if number < (5, 10) {
        return Finding(
            .problem, "kernel.version", .kernel, "Linux \(release) is too old",
            meaning: "Gantry needs system calls that came with Linux 5.10",
            mend: ["install a kernel of 5.15 or later from your distribution"])
    }
    if number < (5, 15) {
        return Finding(
            .warning, "kernel.version", .kernel, "Linux \(release) works with limits",
            meaning: "containers without root need 5.11 and id-mapped mounts 5.12",
            mend: ["install a kernel of 5.15 or later from your distribution"])
    }
    return Finding(.ok, "kernel.version", .kernel, "Linux \(release)")
}

private func judgeNamespaces(_ kernel: HostFacts.Kernel) -> [Finding] {
    let needed = ["cgroup", "ipc", "mnt", "net", "pid", "uts"]
    let missing = needed.filter { !kernel.namespaces.contains($0) }
    var findings: [Finding] = []
    if missing.isEmpty {
        let all = kernel.namespaces.sorted().joined(separator: ", ")
        findings.append(Finding(.ok, "kernel.namespaces", .kernel, "namespaces: \(all)"))
    } else {
        let options = missing.map { "CONFIG_\($0 == "mnt" ? "NAMESPACES" : $0.uppercased() + "_NS")" }
        findings.append(
            Finding(
                .problem, "kernel.namespaces", .kernel,
                "the kernel has no namespaces of kind \(missing.joined(separator: ", "))",
                meaning: "containers cannot be kept apart from the host",
                mend: ["use a kernel built with \(options.joined(separator: ", "))"]))
    }
    if !kernel.namespaces.contains("user") {
        findings.append(
            Finding(
                .warning, "kernel.namespaces", .kernel, "the kernel has no user namespaces",
                meaning: "neither rootless engines nor containers with other user ids (userns_mode) work",
                mend: ["use a kernel built with CONFIG_USER_NS"]))
    }
    return findings
}

private func judgeCalls(_ kernel: HostFacts.Kernel) -> [Finding] {
    kernel.missingCalls.map { call in
        let isNeeded = call != "mount_setattr"
        return Finding(
            isNeeded ? .problem : .warning, "kernel.calls", .kernel, "the kernel does not know \(call)(2)",
            meaning: isNeeded ? "containers cannot be started" : "volumes cannot be mapped to other user ids",
            mend: [
                "update the kernel, or the sandbox (an old seccomp profile, gVisor) that hides the call"
            ])
    }
}

/// What it is, how bad it is to be without it, and what does not work then.
private let featureMeanings: [(feature: KernelFeature, level: Finding.Level, name: String, meaning: String)] = [
    (.overlay, .problem, "overlayfs", "images cannot be mounted"),
    (.veth, .problem, "veth", "containers cannot be connected to networks"),
    (.bridge, .problem, "bridge", "networks cannot be made"),
    (.nfTables, .problem, "nf_tables", "ports cannot be published, and networks not be kept apart"),
    (.nftNAT, .problem, "nftables NAT", "ports cannot be published"),
    (.nftMasquerade, .problem, "nftables masquerading", "containers have no way out"),
    (.nftConntrack, .problem, "nftables connection tracking", "ports cannot be published"),
    (.nftFIB, .problem, "nftables fib", "ports cannot be published"),
    (.nftNumgen, .warning, "nftables numgen", "published ports of several replicas cannot be balanced"),
    (.nftHash, .warning, "nftables hash", "connections of one client cannot be kept at one replica"),
    (.seccomp, .warning, "seccomp filters", "containers run without a filter of system calls"),
    (.macvlan, .note, "macvlan", "networks with driver macvlan cannot be made"),
    (.ipvlan, .note, "ipvlan", "networks with driver ipvlan cannot be made; macvlan or a bridge may do"),
]

private func judgeFeatures(_ features: [KernelFeature: HostFacts.Presence]) -> [Finding] {
    var present: [String] = []
    var loadable: [String] = []
    var findings: [Finding] = []
    for entry in featureMeanings {
        switch features[entry.feature] ?? .unknown {
        case .present: present.append(entry.name)
        case .loadable: loadable.append(entry.name)
        case .unknown:
            findings.append(
                Finding(
                    .note, "kernel.features", .kernel, "whether the kernel has \(entry.name) is not known",
                    meaning: "neither its configuration nor its modules can be read here"))
        case .absent:
            findings.append(
                Finding(
                    entry.level, "kernel.features", .kernel, "the kernel has no \(entry.name)", meaning: entry.meaning,
                    mend: [
                        "use a kernel with CONFIG_\(entry.feature.option), or install its package of further modules"
                    ]))
        }
    }
    if !loadable.isEmpty {
        present.append("on first use \(loadable.joined(separator: ", "))")
    }
    if !present.isEmpty {
        findings.insert(
            Finding(.ok, "kernel.features", .kernel, "features: \(present.joined(separator: ", "))"), at: 0)
    }
    return findings
}

private func judgeClock(_ time: Int64) -> [Finding] {
    // 1 January 2025: before this was written.
    let earliest: Int64 = 1_735_689_600
    guard time < earliest else { return [] }
    return [
        Finding(
            .warning, "kernel.clock", .kernel, "the host's clock is years behind",
            meaning: "certificates of registries look as if they were not valid yet, and logs are out of order",
            mend: ["timedatectl set-ntp true", "or: date -s 'YYYY-MM-DD hh:mm:ss'"])
    ]
}

// MARK: control groups

private func judgeCgroups(_ cgroups: HostFacts.Cgroups, isRoot: Bool) -> [Finding] {
    let all = cgroups.controllers1.union(cgroups.controllers2)
    let kind =
        switch (cgroups.hasVersion2, cgroups.controllers1.isEmpty) {
        case (true, true): "version 2"
        case (true, false): "version 1 (hybrid)"
        case (false, false): "version 1"
        case (false, true): "none"
        }
    guard kind != "none" else {
        return [
            Finding(
                .problem, "cgroups.missing", .cgroups, "no control groups are mounted",
                meaning: "containers can neither be limited nor reliably ended",
                mend: ["mount -t cgroup2 cgroup2 /sys/fs/cgroup"])
        ]
    }
    var findings = [
        Finding(.ok, "cgroups.version", .cgroups, "\(kind): \(all.sorted().joined(separator: ", "))")
    ]
    let missing = ["cpu", "memory", "pids"].filter { !all.contains($0) }
    if !missing.isEmpty {
        findings.append(
            Finding(
                .warning, "cgroups.controllers", .cgroups, "no controller for \(missing.joined(separator: ", "))",
                meaning: "limits of containers for it have no effect",
                mend: ["boot with `cgroup_enable=\(missing.joined(separator: ","))` (memory is off on some boards)"]))
    }
    if !isRoot { findings.append(judgeDelegation(cgroups)) }
    if cgroups.accountsSwap == false {
        findings.append(
            Finding(
                .note, "cgroups.swap", .cgroups, "swap is not accounted to control groups",
                meaning: "a container's memswap_limit has no effect", mend: ["boot with `swapaccount=1`"]))
    }
    return findings
}

private func judgeDelegation(_ cgroups: HostFacts.Cgroups) -> Finding {
    let delegated = cgroups.delegated ?? []
    guard !delegated.isDisjoint(with: ["cpu", "memory", "pids"]) else {
        return Finding(
            .warning, "cgroups.delegation", .cgroups, "no controllers are delegated to this user",
            meaning: "limits of containers have no effect in an engine without root",
            mend: [
                cgroups.controllers1.isEmpty
                    ? "as root, for systemd: `systemctl edit user@.service` with `[Service]` and "
                        + "`Delegate=cpu cpuset io memory pids`; then log in anew"
                    : "version 1 cannot be delegated: boot with `systemd.unified_cgroup_hierarchy=1`"
            ])
    }
    return Finding(
        .ok, "cgroups.delegation", .cgroups, "delegated to this user: \(delegated.sorted().joined(separator: ", "))")
}
