import CLinux
import FoundationEssentials
import Glibc

/// A seccomp profile file, in Docker's format or in OCI's: the first is the second plus `archMap`, a single `name`, and
/// conditions (`includes`, `excludes`) that are decided when a container is made.
/// <https://docs.docker.com/engine/security/seccomp/>,
/// <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp>
struct SeccompProfile: Decodable {
    /// What the conditions of a profile ask about.
    struct Host: Equatable {
        /// As Docker names it: `amd64`, `arm64`.
        var architecture: String
        var kernel: KernelVersion
        /// The container's bounding set, `CAP_CHOWN`.
        var capabilities: Set<String>
    }

    struct KernelVersion: Equatable, Comparable {
        var major: Int
        var minor: Int

        /// `4.8`, or a release as uname(2) gives it: `6.18.0-1-amd64`.
        init?(_ text: String) {
            let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count >= 2, let major = Int(parts[0]), major >= 0 else { return nil }
            let digits = parts[1].prefix { $0.isASCII && $0.isNumber }
            guard let minor = Int(digits), parts.count > 2 || digits.count == parts[1].count else { return nil }
            (self.major, self.minor) = (major, minor)
        }

        static func < (left: Self, right: Self) -> Bool { (left.major, left.minor) < (right.major, right.minor) }
    }

    struct ArchitectureMap: Decodable {
        var architecture: String
        var subArchitectures: [String]?
    }

    struct Condition: Decodable {
        var caps: [String]?
        var arches: [String]?
        var minKernel: String?
    }

    struct Call: Decodable {
        var name: String?
        var names: [String]?
        var action: String
        var errnoRet: Int64?
        var args: [RuntimeSpec.Seccomp.Argument]?
        var includes: Condition?
        var excludes: Condition?
    }

    var defaultAction: String?
    var defaultErrnoRet: UInt32?
    var architectures: [String]?
    var archMap: [ArchitectureMap]?
    var flags: [String]?
    var listenerPath: String?
    var listenerMetadata: String?
    var syscalls: [Call]?
}

extension SeccompProfile {
    private static let byteCountMax = 4 << 20

    init(json: [UInt8]) throws(RuntimeError) {
        guard json.count <= Self.byteCountMax else { throw .invalidSpec("the seccomp profile is over 4 MiB") }
        do {
            self = try JSONDecoder().decode(SeccompProfile.self, from: Data(json))
        } catch let error as DecodingError {
            throw .invalidSpec("the seccomp profile cannot be read: \(Self.describe(error))")
        } catch {
            throw .invalidSpec("the seccomp profile cannot be read: \(error)")
        }
    }

    private static func describe(_ error: DecodingError) -> String {
        let (context, what): (DecodingError.Context, String)
        switch error {
        case .keyNotFound(let key, let found): (context, what) = (found, "'\(key.stringValue)' is missing")
        case .typeMismatch(_, let found): (context, what) = (found, "a value of another type is expected")
        case .valueNotFound(_, let found): (context, what) = (found, "a value is expected in place of null")
        case .dataCorrupted(let found):
            (context, what) = (found, found.codingPath.isEmpty ? "not JSON" : found.debugDescription)
        @unknown default: return "not a profile"
        }
        let path = context.codingPath.map { $0.intValue.map { "\($0 + 1)" } ?? $0.stringValue }
        return path.isEmpty ? what : "\(what) at \(path.joined(separator: " "))"
    }

    /// The rules that apply to one container, in the file's order.
    func resolve(_ host: Host) throws(RuntimeError) -> RuntimeSpec.Seccomp {
        guard let defaultAction, !defaultAction.isEmpty else {
            throw .invalidSpec("the seccomp profile has no defaultAction; use 'seccomp=unconfined' to have none")
        }
        var resolved = RuntimeSpec.Seccomp(defaultAction: defaultAction, defaultErrnoRet: defaultErrnoRet)
        resolved.architectures = try resolveArchitectures(host)
        resolved.flags = flags
        resolved.listenerPath = listenerPath
        resolved.listenerMetadata = listenerMetadata
        var rules: [RuntimeSpec.Seccomp.Rule] = []
        for (index, call) in (syscalls ?? []).enumerated() {
            let place = "seccomp rule \(index + 1)"
            let names = try Self.names(call, place)
            guard try Self.applies(call, host, "\(place) (\(names.first ?? ""))") else { continue }
            guard (0...0xffff).contains(call.errnoRet ?? 0) else {
                throw .invalidSpec("\(place) (\(names.first ?? "")): errnoRet \(call.errnoRet ?? 0) is out of range")
            }
            let code = call.errnoRet.map { UInt32($0) }
            rules.append(.init(names: names, action: call.action, errnoRet: code, args: call.args ?? []))
        }
        resolved.syscalls = rules
        return resolved
    }

    private func resolveArchitectures(_ host: Host) throws(RuntimeError) -> [String]? {
        let (listed, mapped) = (architectures ?? [], archMap ?? [])
        guard listed.isEmpty || mapped.isEmpty else {
            throw .invalidSpec("the seccomp profile has both 'architectures' and 'archMap': keep one")
        }
        guard !mapped.isEmpty else { return listed.isEmpty ? nil : listed }
        let native = ["amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"][host.architecture]
        guard let own = mapped.first(where: { $0.architecture == native }) else { return nil }
        return [own.architecture] + (own.subArchitectures ?? [])
    }

    private static func names(_ call: Call, _ place: String) throws(RuntimeError) -> [String] {
        let names = call.names ?? []
        guard let name = call.name, !name.isEmpty else {
            guard !names.isEmpty else { throw .invalidSpec("\(place) names no system call") }
            return names
        }
        guard names.isEmpty else { throw .invalidSpec("\(place) has both 'name' and 'names': keep one") }
        return [name]
    }

    /// `includes` must hold in all its parts, `excludes` in none: any one capability or architecture is enough there.
    private static func applies(_ call: Call, _ host: Host, _ place: String) throws(RuntimeError) -> Bool {
        if let excludes = call.excludes {
            if (excludes.arches ?? []).contains(host.architecture) { return false }
            if (excludes.caps ?? []).contains(where: host.capabilities.contains) { return false }
            if let least = try kernel(excludes, place), host.kernel >= least { return false }
        }
        guard let includes = call.includes else { return true }
        if let arches = includes.arches, !arches.isEmpty, !arches.contains(host.architecture) { return false }
        guard (includes.caps ?? []).allSatisfy(host.capabilities.contains) else { return false }
        if let least = try kernel(includes, place), host.kernel < least { return false }
        return true
    }

    private static func kernel(_ condition: Condition, _ place: String) throws(RuntimeError) -> KernelVersion? {
        guard let text = condition.minKernel, !text.isEmpty else { return nil }
        guard let version = KernelVersion(text) else {
            throw .invalidSpec("\(place): minKernel '\(text)' is not a version such as 4.8")
        }
        return version
    }
}

extension SeccompProfile.Host {
    /// This machine, for a container with these capabilities in its bounding set.
    static func current(capabilities: [String]) throws(RuntimeError) -> Self {
        let release = KernelRelease.text
        guard let kernel = SeccompProfile.KernelVersion(release) else {
            throw .unsupported("the kernel's release '\(release)' is not understood")
        }
        return Self(
            architecture: KernelRelease.architecture, kernel: kernel,
            capabilities: Set(capabilities.map(CapabilityNames.canonical)))
    }
}

/// What uname(2) says, read once.
enum KernelRelease {
    static let text: String = {
        var names = utsname()
        guard uname(&names) == 0 else { return "" }
        return withUnsafeBytes(of: names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }()

    #if arch(x86_64)
        static let architecture = "amd64"
    #elseif arch(arm64)
        static let architecture = "arm64"
    #endif
}

extension RuntimeSpec.Seccomp {
    /// Reads a profile in Docker's or OCI's JSON (they need not be told apart) and keeps the rules that apply to a
    /// container with `capabilities` in its bounding set on this machine and kernel.
    ///
    /// Errors say which rule is wrong. Names of system calls, actions and operators are checked when the filter is
    /// made; unknown system calls are skipped, they may be of a newer kernel.
    public init(profile json: [UInt8], capabilities: [String]) throws(RuntimeError) {
        self = try SeccompProfile(json: json).resolve(.current(capabilities: capabilities))
        _ = try SeccompCompiler.compile(self)
    }
}
