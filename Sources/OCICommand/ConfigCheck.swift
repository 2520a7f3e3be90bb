import ContainerRuntime

/// What of a `config.json` can be told to be wrong before anything is done, against the runtime specification 1.3.
/// <https://github.com/opencontainers/runtime-spec/blob/main/config.md>
struct ConfigCheck {
    /// Known capabilities, and those that can be granted here.
    let known: Set<String>
    let grantable: Set<String>

    /// The specification as it is carried out; what is left out of it is warned of.
    func check(_ given: RuntimeSpec, hasProcess: Bool) throws(OCIError) -> (RuntimeSpec, warnings: [String]) {
        var spec = given
        var warnings: [String] = []
        try Self.checkVersion(spec.ociVersion)
        guard !spec.root.path.isEmpty else { throw OCIError("config.json: root.path is missing") }
        if hasProcess { try Self.check(process: spec.process) }
        for index in spec.mounts.indices where !spec.mounts[index].destination.hasPrefix("/") {
            // The specification, for what older versions allowed: as seen from the root.
            warnings.append("mount target '\(spec.mounts[index].destination)' is not absolute")
            spec.mounts[index].destination = "/\(spec.mounts[index].destination)"
        }
        for key in (spec.annotations ?? [:]).keys where key.isEmpty {
            throw OCIError("config.json: an annotation has no name")
        }
        try Self.check(linux: spec.linux)
        let hooks = spec.hooks
        for list in [
            hooks?.prestart, hooks?.createRuntime, hooks?.createContainer, hooks?.startContainer, hooks?.poststart,
            hooks?.poststop,
        ] {
            for hook in list ?? [] { try Self.check(hook: hook) }
        }
        spec.process.capabilities = reduce(spec.process.capabilities, &warnings)
        return (spec, warnings)
    }

    /// Of an exec's process file.
    func check(process given: RuntimeSpec.Process) throws(OCIError) -> (RuntimeSpec.Process, warnings: [String]) {
        var process = given
        var warnings: [String] = []
        try Self.check(process: process)
        process.capabilities = reduce(process.capabilities, &warnings)
        return (process, warnings)
    }

    /// `1.0.0` to `1.3.x`, whatever follows a hyphen.
    static func checkVersion(_ version: String) throws(OCIError) {
        let minorMax = 3
        let core = version.prefix { $0 != "-" && $0 != "+" }
        let numbers = core.split(separator: ".", omittingEmptySubsequences: false).map { UInt32($0) }
        guard numbers.count == 3, numbers.allSatisfy({ $0 != nil }) else {
            throw OCIError("config.json: ociVersion '\(version)' is not a version")
        }
        guard numbers[0] == 1, let minor = numbers[1], minor <= minorMax else {
            throw OCIError("config.json: unknown version '\(version)' of the specification: 1.0.0 to 1.3 are known")
        }
    }

    private static func check(process: RuntimeSpec.Process) throws(OCIError) {
        guard let program = process.args.first, !program.isEmpty else {
            throw OCIError("config.json: process.args must not be empty")
        }
        guard process.cwd.hasPrefix("/") else {
            throw OCIError("config.json: process.cwd '\(process.cwd)' must be an absolute path")
        }
        var seen: Set<String> = []
        for limit in process.rlimits where !seen.insert(limit.type).inserted {
            throw OCIError("config.json: process.rlimits has '\(limit.type)' twice")
        }
    }

    private static func check(linux: RuntimeSpec.Linux) throws(OCIError) {
        if let path = linux.cgroupsPath { _ = try cgroupName(path) }
        let propagations = ["shared", "slave", "private", "unbindable"]
        if let propagation = linux.rootfsPropagation, !propagation.isEmpty,
            !propagations.contains(propagation), !propagations.contains(String(propagation.dropFirst()))
        {
            throw OCIError("config.json: linux.rootfsPropagation '\(propagation)' is unknown")
        }
        for device in linux.devices where ["c", "u", "b"].contains(device.type) {
            guard device.major != nil, device.minor != nil else {
                throw OCIError("config.json: device '\(device.path)' needs major and minor")
            }
        }
    }

    private static func check(hook: RuntimeSpec.Hook) throws(OCIError) {
        guard hook.path.hasPrefix("/") else {
            throw OCIError("config.json: hook '\(hook.path)' must be an absolute path")
        }
        if let timeout = hook.timeout, timeout <= 0 {
            throw OCIError("config.json: hook '\(hook.path)': timeout must be above 0")
        }
    }

    /// A cgroup's path below each hierarchy, without the slash at its start.
    static func cgroupName(_ path: String) throws(OCIError) -> String {
        let components = path.split(separator: "/")
        guard !components.isEmpty, !components.contains(".."), !components.contains("."), !path.contains(" "),
            !path.contains("\n")
        else { throw OCIError("config.json: linux.cgroupsPath '\(path)' is not the path of a cgroup") }
        guard !path.contains(":") else {
            throw OCIError(
                "config.json: linux.cgroupsPath '\(path)' names a systemd unit: use the cgroup manager cgroupfs")
        }
        return components.joined(separator: "/")
    }

    /// Capabilities that are unknown or cannot be granted are left out: the specification wants a warning.
    private func reduce(
        _ sets: RuntimeSpec.Capabilities, _ warnings: inout [String]
    ) -> RuntimeSpec.Capabilities {
        var (unknown, ungranted) = (Set<String>(), Set<String>())
        func keep(_ names: [String]) -> [String] {
            names.filter { name in
                let name = CapabilityNames.canonical(name)
                guard known.contains(name) else {
                    unknown.insert(name)
                    return false
                }
                if !grantable.contains(name) { ungranted.insert(name) }
                return grantable.contains(name)
            }
        }
        let reduced = RuntimeSpec.Capabilities(
            bounding: keep(sets.bounding), effective: keep(sets.effective), permitted: keep(sets.permitted),
            inheritable: keep(sets.inheritable), ambient: keep(sets.ambient))
        if !unknown.isEmpty { warnings.append("unknown capabilities are left out: \(list(unknown))") }
        if !ungranted.isEmpty { warnings.append("capabilities that cannot be granted here: \(list(ungranted))") }
        return reduced
    }

    private func list(_ names: Set<String>) -> String { names.sorted().joined(separator: ", ") }
}
