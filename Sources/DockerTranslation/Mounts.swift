import JSONDocument
import StackModel

/// `Binds`, `Mounts`, `Tmpfs` and `Volumes` of a request, as a service's mounts. What a volume is called is its source.
func mounts(_ request: ContainerRequest) throws(TranslationError) -> [Mount] {
    let host = request.hostFields
    var mounts: [Mount] = []
    func add(_ mount: Mount) throws(TranslationError) {
        guard mount.target.hasPrefix("/"), mount.target != "/" else {
            throw TranslationError("invalid mount path: '\(mount.target)' mount path must be absolute")
        }
        guard !mounts.contains(where: { $0.target == mount.target }) else {
            throw TranslationError("Duplicate mount point: \(mount.target)")
        }
        mounts.append(mount)
    }
    for text in try host.texts("Binds") { try add(try bind(text)) }
    for fields in try host.objects("Mounts") { try add(try mount(fields)) }
    for (target, options) in try host.map("Tmpfs").sorted(by: { $0.key < $1.key }) {
        try add(try tmpfs(cleaned(target), options))
    }
    for target in try request.configFields.names("Volumes") {
        // With `name:/path` old clients mean a bind.
        let path = cleaned(target)
        if mounts.contains(where: { $0.target == path }) { continue }
        try add(Mount(kind: .volume, target: path))
    }
    return mounts
}

/// What `Mounts` tell the driver of volumes that are made for them, by their targets.
public func volumeOptions(_ request: ContainerRequest) throws(TranslationError) -> [String: [String: String]] {
    var options: [String: [String: String]] = [:]
    for fields in try request.hostFields.objects("Mounts") {
        guard let target = try fields.text("Target"),
            let driver = try fields.object("VolumeOptions")?.object("DriverConfig")
        else { continue }
        options[cleaned(target)] = try driver.map("Options")
    }
    return options
}

/// Without a slash at the end.
func cleaned(_ path: String) -> String {
    let parts = path.split(separator: "/").filter { $0 != "." }
    return path.hasPrefix("/") ? "/" + parts.joined(separator: "/") : path
}

/// `SOURCE:TARGET[:OPTIONS]`; a source that is no path is a volume's name.
private func bind(_ text: String) throws(TranslationError) -> Mount {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard (1...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else {
        throw TranslationError("invalid volume specification: '\(text)'")
    }
    guard parts.count > 1 else { return Mount(kind: .volume, target: cleaned(parts[0])) }
    let isPath = parts[0].hasPrefix("/")
    guard isPath || isVolumeName(parts[0]) else {
        throw TranslationError(
            "invalid volume specification: '\(text)': \"\(parts[0])\" includes invalid characters for a local volume "
                + "name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use "
                + "absolute path")
    }
    var mount = Mount(
        kind: isPath ? .bind : .volume, source: isPath ? cleaned(parts[0]) : parts[0], target: cleaned(parts[1]))
    mount.createHostPath = isPath
    for option in parts.count > 2 ? parts[2].split(separator: ",").map(String.init) : [] {
        guard apply(option, to: &mount) else {
            throw TranslationError("invalid volume specification: '\(text)': invalid mode: \(parts[2])")
        }
    }
    return mount
}

private func apply(_ option: String, to mount: inout Mount) -> Bool {
    switch option {
    case "ro": mount.readOnly = true
    case "rw": mount.readOnly = false
    case "z", "Z": mount.selinux = option
    case "nocopy": mount.noCopy = true
    case "cached", "delegated", "consistent", "default": mount.consistency = option
    case "private", "rprivate", "slave", "rslave", "shared", "rshared":
        guard mount.kind == .bind else { return false }
        mount.propagation = option
    default: return false
    }
    return true
}

public func isVolumeName(_ name: String) -> Bool {
    let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    guard let first = name.first, first.isLetter || first.isNumber else { return false }
    return name.utf8.count > 1 && name.allSatisfy(allowed.contains)
}

private func mount(_ fields: Fields) throws(TranslationError) -> Mount {
    guard let target = try fields.text("Target").map(cleaned) else { throw fields.refuse("Target", "is missing") }
    let source = try fields.text("Source")
    var mount: Mount
    switch try fields.text("Type") ?? "" {
    case "bind":
        guard let source, source.hasPrefix("/") else {
            throw fields.refuse("Source", "a bind needs the absolute path of a file or folder of the host")
        }
        mount = Mount(kind: .bind, source: cleaned(source), target: target)
        try bindOptions(try fields.object("BindOptions"), &mount)
    case "volume":
        if let source, !isVolumeName(source) { throw fields.refuse("Source", "'\(source)' is no name of a volume") }
        mount = Mount(kind: .volume, source: source, target: target)
        try volumeOptions(try fields.object("VolumeOptions"), &mount)
    case "tmpfs":
        guard source == nil else { throw fields.refuse("Source", "a tmpfs has none") }
        mount = Mount(kind: .tmpfs, target: target)
        let options = try fields.object("TmpfsOptions")
        mount.size = try options?.amount("SizeBytes")
        mount.mode = try options?.amount("Mode").map { UInt32(clamping: $0) }
    case let kind:
        throw fields.refuse("Type", "mounts of type '\(kind)' cannot be made here; use bind, volume or tmpfs")
    }
    mount.readOnly = try fields.isSet("ReadOnly")
    mount.consistency = try fields.text("Consistency")
    return mount
}

private func bindOptions(_ options: Fields?, _ mount: inout Mount) throws(TranslationError) {
    guard let options else { return }
    mount.propagation = try options.text("Propagation")
    mount.createHostPath = try options.isSet("CreateMountpoint")
    if try options.isSet("NonRecursive") { mount.recursion = .disabled }
    if try options.isSet("ReadOnlyNonRecursive") { mount.recursion = .writable }
}

private func volumeOptions(_ options: Fields?, _ mount: inout Mount) throws(TranslationError) {
    guard let options else { return }
    mount.noCopy = try options.isSet("NoCopy")
    mount.volumeLabels = try options.map("Labels")
    if try options.text("Subpath") != nil {
        throw options.refuse("Subpath", "a folder within a volume cannot be mounted here")
    }
    if let driver = try options.object("DriverConfig"), let name = try driver.text("Name"), name != "local" {
        throw driver.refuse("Name", "there is no volume driver '\(name)'; use local")
    }
}

/// `size=64m,mode=1777,exec`.
private func tmpfs(_ target: String, _ options: String) throws(TranslationError) -> Mount {
    var mount = Mount(kind: .tmpfs, target: target)
    for option in options.split(separator: ",") {
        let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
        switch (parts[0], parts.count) {
        case ("size", 2):
            guard let size = byteCount(parts[1]) else {
                throw TranslationError("HostConfig.Tmpfs.\(target): '\(parts[1])' is no size")
            }
            mount.size = size
        case ("mode", 2):
            guard let mode = UInt32(parts[1], radix: 8) else {
                throw TranslationError("HostConfig.Tmpfs.\(target): '\(parts[1])' is no mode")
            }
            mount.mode = mode
        case ("ro", 1): mount.readOnly = true
        case _ where isTmpfsOption(parts[0], hasValue: parts.count == 2): continue
        default: throw TranslationError("HostConfig.Tmpfs.\(target): invalid tmpfs option \"\(option)\"")
        }
    }
    return mount
}

private let plainTmpfsOptions: Set<String> = [
    "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "sync", "dirsync", "noatime", "nodiratime", "relatime",
    "strictatime",
]

private func isTmpfsOption(_ name: String, hasValue: Bool) -> Bool {
    hasValue ? ["uid", "gid", "nr_inodes", "nr_blocks"].contains(name) : plainTmpfsOptions.contains(name)
}

/// What of a tmpfs's options a service cannot say: `exec`, `uid=1000`.
public func furtherTmpfsOptions(_ options: String) -> [String] {
    options.split(separator: ",").map(String.init).filter { option in
        let name = String(option.prefix { $0 != "=" })
        return isTmpfsOption(name, hasValue: option.contains("=")) && name != "rw"
    }
}

/// `64m`, `1g`, `4096`.
func byteCount(_ text: String) -> Int64? {
    var digits = text.lowercased()
    if digits.hasSuffix("b") { digits.removeLast() }
    var shift: Int64 = 0
    if let unit = digits.last, let power = Array("kmgt").firstIndex(of: unit) {
        shift = 10 * Int64(power + 1)
        digits.removeLast()
    }
    guard let number = Int64(digits), number >= 0, number < 1 << (62 - shift) else { return nil }
    return number << shift
}
