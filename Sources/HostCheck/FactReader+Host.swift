import CLinux
import Glibc
import LinuxSystem
import NameServer

// MARK: control groups

func readCgroups(isRoot: Bool) -> HostFacts.Cgroups {
    var cgroups = HostFacts.Cgroups()
    var unified: String?
    for line in readLines("/proc/self/mountinfo") {
        let words = line.split(separator: " ")
        guard let dash = words.firstIndex(of: "-"), words.count > dash + 3, words.count > 4 else { continue }
        let (point, type, options) = (String(words[4]), words[dash + 1], words[dash + 3])
        if type == "cgroup2" {
            cgroups.hasVersion2 = true
            if unified == nil { unified = point }
        } else if type == "cgroup" {
            for option in options.split(separator: ",") where !option.contains("=") && option != "rw" {
                cgroups.controllers1.insert(String(option))
            }
        }
    }
    if let unified { cgroups.controllers2 = words("\(unified)/cgroup.controllers") }
    if !isRoot { cgroups.delegated = readDelegation(unified) }
    cgroups.accountsSwap = readSwapAccounting(unified)
    return cgroups
}

private func words(_ path: String) -> Set<String> {
    Set((readText(path) ?? "").split(whereSeparator: \.isWhitespace).map(String.init))
}

/// The controllers of the nearest group above this process that its user may make groups in. cgroups(7), delegation.
private func readDelegation(_ unified: String?) -> Set<String> {
    guard let unified, let line = readLines("/proc/self/cgroup").first(where: { $0.hasPrefix("0::") }) else {
        return []
    }
    var path = unified + line.dropFirst("0::".count)
    while path.utf8.count > unified.utf8.count, access(path, W_OK) != 0 { path = FileSystem.parent(of: path) }
    guard access(path, W_OK) == 0, access("\(path)/cgroup.procs", W_OK) == 0 else { return [] }
    return words("\(path)/cgroup.controllers")
}

private func readSwapAccounting(_ unified: String?) -> Bool? {
    guard FileSystem.exists("/proc/swaps"), readLines("/proc/swaps").count > 1 else { return nil }
    if FileSystem.exists("/sys/fs/cgroup/memory") {
        return FileSystem.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
    }
    guard let unified, let line = readLines("/proc/self/cgroup").first(where: { $0.hasPrefix("0::") }) else {
        return nil
    }
    let own = unified + line.dropFirst("0::".count)
    // The root of the hierarchy has no limits of its own.
    guard FileSystem.exists("\(own)/memory.max") else { return nil }
    return FileSystem.exists("\(own)/memory.swap.max")
}

// MARK: users

func readUsers() -> HostFacts.Users {
    var users = HostFacts.Users()
    users.isRoot = geteuid() == 0
    users.name = userName(geteuid())
    users.namespacesMax = readNumber("/proc/sys/user/max_user_namespaces")
    users.unprivilegedClone = readSwitch("/proc/sys/kernel/unprivileged_userns_clone")
    users.restrictedByAppArmor = readSwitch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    users.subordinateUsers = subordinateIDs("/etc/subuid", users.name)
    users.subordinateGroups = subordinateIDs("/etc/subgid", users.name)
    users.hasMapHelpers = ["newuidmap", "newgidmap"].allSatisfy(mayMapIDs)
    return users
}

/// By /etc/passwd alone: name services may ask the network.
private func userName(_ id: UInt32) -> String {
    for line in readLines("/etc/passwd") {
        let fields = line.split(separator: ":", omittingEmptySubsequences: false)
        if fields.count > 2, fields[2] == "\(id)" { return String(fields[0]) }
    }
    return ""
}

/// subuid(5).
private func subordinateIDs(_ path: String, _ name: String) -> Int {
    readLines(path).reduce(0) { sum, line in
        let fields = line.split(separator: ":")
        guard fields.count == 3, fields[0] == name || fields[0] == "\(geteuid())", let count = Int(fields[2]) else {
            return sum
        }
        return sum.addingReportingOverflow(count).partialValue
    }
}

/// Set-user-id, or with a capability in its extended attributes.
private func mayMapIDs(_ program: String) -> Bool {
    ["/usr/bin", "/bin", "/usr/local/bin"].contains { folder in
        var status = stat()
        guard stat("\(folder)/\(program)", &status) == 0 else { return false }
        return status.st_mode & S_ISUID != 0 || getxattr("\(folder)/\(program)", "security.capability", nil, 0) > 0
    }
}

// MARK: storage

/// Of the nearest folder that is there already.
func readStorage(_ purpose: String, _ wanted: String) -> HostFacts.Storage? {
    var path = wanted
    while !FileSystem.exists(path), path != "/", !path.isEmpty { path = FileSystem.parent(of: path) }
    var status = statfs()
    guard statfs(path, &status) == 0 else { return nil }
    var storage = HostFacts.Storage(
        purpose: purpose, path: wanted, fileSystem: fileSystemName(UInt32(truncatingIfNeeded: Int(status.f_type))))
    let blockSize = UInt64(clamping: status.f_frsize)
    let bytes = { (blocks: UInt64) in blocks.multipliedReportingOverflow(by: blockSize).partialValue }
    storage.freeBytes = bytes(UInt64(status.f_bavail))
    storage.totalBytes = bytes(UInt64(status.f_blocks))
    storage.freeInodes = UInt64(status.f_ffree)
    storage.totalInodes = UInt64(status.f_files)
    storage.hasEntryTypes = hasEntryTypes(path)
    return storage
}

/// statfs(2), linux/magic.h.
func fileSystemName(_ magic: UInt32) -> String {
    switch magic {
    case 0xef53: "ext4"
    case 0x5846_5342: "xfs"
    case 0x9123_683e: "btrfs"
    case 0xf2f5_2010: "f2fs"
    case 0x2fc1_2fc1: "zfs"
    case 0x0102_1994: "tmpfs"
    case 0x794c_7630: "overlay"
    case 0x6969: "nfs"
    case 0x0102_1997: "9p"
    case 0x6573_5546: "fuse"
    case 0xff53_4d42, 0xfe53_4d42: "cifs"
    case 0x4d44: "vfat"
    case 0xf15f: "ecryptfs"
    default: "file system 0x\(String(magic, radix: 16))"
    }
}

/// `.` and `..` alone tell it.
private func hasEntryTypes(_ path: String) -> Bool? {
    guard let directory = opendir(path) else { return nil }
    defer { closedir(directory) }
    guard let entry = readdir(directory) else { return nil }
    // DT_UNKNOWN of <dirent.h>.
    return entry.pointee.d_type != 0
}

// MARK: limits

func readLimits() -> HostFacts.Limits {
    var limits = HostFacts.Limits()
    limits.processesMax = readNumber("/proc/sys/kernel/pid_max")
    limits.openFilesMax = readOpenFilesMax()
    limits.inotifyInstances = readNumber("/proc/sys/fs/inotify/max_user_instances")
    limits.inotifyWatches = readNumber("/proc/sys/fs/inotify/max_user_watches")
    limits.keysMax = readNumber("/proc/sys/kernel/keys/\(geteuid() == 0 ? "root_maxkeys" : "maxkeys")")
    limits.trackedConnections = readNumber("/proc/sys/net/netfilter/nf_conntrack_count")
    limits.trackedConnectionsMax = readNumber("/proc/sys/net/netfilter/nf_conntrack_max")
    return limits
}

/// The hard limit, proc_pid_limits(5).
private func readOpenFilesMax() -> UInt64? {
    guard let line = readLines("/proc/self/limits").first(where: { $0.hasPrefix("Max open files") }) else { return nil }
    let words = line.dropFirst("Max open files".count).split(separator: " ")
    return words.count > 1 ? UInt64(words[1]) ?? (words[1] == "unlimited" ? .max : nil) : nil
}

// MARK: names

func readNames(asks: Bool) -> HostFacts.Names {
    var names = HostFacts.Names()
    names.linkTarget = readLinkTarget("/etc/resolv.conf")
    do {
        let resolvers = HostResolver.list(try FileSystem.readFile("/etc/resolv.conf", byteCountMax: 64 << 10))
        names.resolvers = resolvers.map { resolver in
            HostFacts.Resolver(address: resolver.description, answers: asks ? resolver.answers() : nil)
        }
    } catch {
        names.failure = String(cString: strerror(error.code))
    }
    return names
}
