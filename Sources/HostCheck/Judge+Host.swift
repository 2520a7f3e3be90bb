func judgeUsers(_ users: HostFacts.Users) -> [Finding] {
    // Root needs none of this; a plain user cannot run an engine without it.
    let level: Finding.Level = users.isRoot ? .note : .problem
    let effect = "an engine without root cannot run"
    var findings: [Finding] = []
    if users.namespacesMax == 0 {
        findings.append(
            Finding(
                level, "users.namespaces", .users, "user namespaces are switched off", meaning: effect,
                mend: ["sysctl -w user.max_user_namespaces=28633", "and in /etc/sysctl.d/gantry.conf"]))
    }
    if users.unprivilegedClone == false {
        findings.append(
            Finding(
                level, "users.unprivileged", .users, "plain users may not make user namespaces", meaning: effect,
                mend: ["sysctl -w kernel.unprivileged_userns_clone=1", "and in /etc/sysctl.d/gantry.conf"]))
    }
    if users.restrictedByAppArmor == true {
        findings.append(
            Finding(
                level, "users.apparmor", .users, "AppArmor restricts user namespaces of plain users", meaning: effect,
                mend: [
                    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
                    "or a profile for gantry-supervisor with the rule `userns,`",
                ]))
    }
    if !users.isRoot { findings += judgeIDs(users) }
    if findings.isEmpty {
        findings.append(Finding(.ok, "users.namespaces", .users, "user namespaces may be made"))
    }
    return findings
}

private func judgeIDs(_ users: HostFacts.Users) -> [Finding] {
    // As many as a usual image uses: 0 to 65535.
    let wanted = 65_536
    let name = users.name.isEmpty ? "USER" : users.name
    var findings: [Finding] = []
    if min(users.subordinateUsers, users.subordinateGroups) < wanted {
        let few = min(users.subordinateUsers, users.subordinateGroups)
        findings.append(
            Finding(
                .warning, "users.ids", .users,
                few == 0
                    ? "no ids are set aside for \(name) in /etc/subuid and /etc/subgid"
                    : "only \(few) ids are set aside for \(name) in /etc/subuid and /etc/subgid",
                meaning: "images with files of several users cannot be used fully",
                mend: ["as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 \(name)"]))
    }
    if !users.hasMapHelpers {
        findings.append(
            Finding(
                .warning, "users.helpers", .users, "newuidmap and newgidmap are not there or may not change ids",
                meaning: "containers without root have one user id only",
                mend: ["apt install uidmap (Fedora: dnf install shadow-utils)"]))
    }
    return findings
}

// MARK: storage

private let gibibyte: UInt64 = 1 << 30

func judgeStorage(_ storage: HostFacts.Storage) -> [Finding] {
    var findings: [Finding] = []
    let place = "\(storage.purpose) \(storage.path)"
    // Overlayfs takes these not as its upper layer: kernel documentation, filesystems/overlayfs.rst.
    let unsuitable = ["overlay", "nfs", "cifs", "9p", "fuse", "vfat", "ecryptfs"]
    if storage.purpose == "data root", unsuitable.contains(storage.fileSystem) {
        findings.append(
            Finding(
                .problem, "storage.type", .storage, "\(place) is on \(storage.fileSystem)",
                meaning: "overlayfs cannot keep writable layers there",
                mend: ["use a folder on ext4, xfs or btrfs: gantry engine --data-root PATH, or GANTRY_DATA_ROOT"]))
    }
    if storage.hasEntryTypes == false {
        findings.append(
            Finding(
                .problem, "storage.d-type", .storage, "\(place): directory entries have no type (d_type)",
                meaning: "overlayfs cannot use it",
                mend: ["make the file system anew: mkfs.xfs -n ftype=1 (ext4: tune2fs -O filetype)"]))
    }
    findings += judgeSpace(storage, place: place)
    if findings.isEmpty {
        findings.append(
            Finding(
                .ok, "storage.space", .storage,
                "\(place): \(storage.fileSystem), \(sizeText(storage.freeBytes)) free"))
    }
    return findings
}

private func judgeSpace(_ storage: HostFacts.Storage, place: String) -> [Finding] {
    let isData = storage.purpose == "data root"
    let (bad, low) = isData ? (gibibyte / 4, gibibyte * 2) : (gibibyte / 64, gibibyte / 16)
    var findings: [Finding] = []
    if storage.freeBytes < low {
        findings.append(
            Finding(
                storage.freeBytes < bad ? .problem : .warning, "storage.space", .storage,
                "\(place): only \(sizeText(storage.freeBytes)) free",
                meaning: isData
                    ? "images cannot be loaded, and containers cannot write" : "containers cannot be started",
                mend: ["free space: `df -h \(storage.path)` and `du -xh \(storage.path) | sort -h | tail`"]))
    }
    // Some file systems (btrfs) have no fixed number: 0 of 0.
    if storage.totalInodes > 0, storage.freeInodes < 10_000 {
        findings.append(
            Finding(
                storage.freeInodes < 1_000 ? .problem : .warning, "storage.inodes", .storage,
                "\(place): only \(storage.freeInodes) inodes free",
                meaning: "no files can be made although there is space",
                mend: ["remove many small files: `du --inodes -x \(storage.path) | sort -n | tail`"]))
    }
    return findings
}

/// In the unit that leaves few digits: `3.4 GiB`.
func sizeText(_ bytes: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var (unit, divisor) = (0, UInt64(1))
    while unit + 1 < units.count, bytes / divisor >= 1024 {
        unit += 1
        divisor *= 1024
    }
    guard divisor > 1 else { return "\(bytes) B" }
    return "\(bytes / divisor).\(bytes % divisor * 10 / divisor) \(units[unit])"
}

// MARK: limits

func judgeLimits(_ limits: HostFacts.Limits) -> [Finding] {
    var findings: [Finding] = []
    func low(_ value: Int?, _ least: Int, _ name: String, _ meaning: String, advice: String) {
        guard let value, value < least else { return }
        findings.append(
            Finding(
                .warning, "limits.\(name.split(separator: ".").last ?? "")", .limits, "\(name) is \(value)",
                meaning: meaning, mend: [advice]))
    }
    let setting = { (name: String, value: Int) in
        "sysctl -w \(name)=\(value), and in /etc/sysctl.d/gantry.conf"
    }
    low(
        limits.processesMax, 16_384, "kernel.pid_max", "all containers together can have few processes",
        advice: setting("kernel.pid_max", 4_194_304))
    low(
        limits.openFilesMax.map { Int(clamping: $0) }, 4_096, "nofile", "many containers need many descriptors",
        advice: "raise the hard limit: `ulimit -Hn 1048576`, or LimitNOFILE= in gantry.service")
    low(
        limits.inotifyInstances, 128, "fs.inotify.max_user_instances",
        "programs that watch files fail in the containers of one user",
        advice: setting("fs.inotify.max_user_instances", 1024))
    low(
        limits.inotifyWatches, 8_192, "fs.inotify.max_user_watches",
        "programs that watch files fail in the containers of one user",
        advice: setting("fs.inotify.max_user_watches", 524_288))
    low(
        limits.keysMax, 200, "kernel.keys.maxkeys", "each container has a key ring: more than that do not start",
        advice: setting("kernel.keys.maxkeys", 20_000))
    if let count = limits.trackedConnections, let most = limits.trackedConnectionsMax, most > 0 {
        let full = Double(count) / Double(most)
        if full >= 0.75 {
            findings.append(
                Finding(
                    full >= 0.95 ? .problem : .warning, "limits.conntrack", .limits,
                    "\(count) of \(most) tracked connections are in use",
                    meaning: "new connections are dropped when it is full",
                    mend: [setting("net.netfilter.nf_conntrack_max", max(262_144, most * 2))]))
        }
    }
    if findings.isEmpty {
        findings.append(Finding(.ok, "limits.all", .limits, "processes, files, keys and connections: room enough"))
    }
    return findings
}
