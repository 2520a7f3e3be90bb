import CLibSeccomp
import LinuxSystem
import Synchronization

/// Compiled filters by profile, in memory and in files: a start reads bytes instead of compiling for 12 ms.
final class SeccompCache: Sendable {
    private static let entriesMax = 64
    private static let fileByteCountMax = 1 << 20

    private let directory: String
    private let entries = Mutex<[String: [UInt8]]>([:])

    init(directory: String) { self.directory = directory }

    /// The filter for a container; empty means unconfined.
    func filter(_ spec: RuntimeSpec, policy: SeccompPolicy) throws(RuntimeError) -> [UInt8] {
        guard policy == .standard else { return [] }
        if let profile = spec.linux.seccomp {
            return try filter(key: Self.describe(profile)) { () throws(RuntimeError) in profile }
        }
        let capabilities = CapabilityNames.knownMask(spec.process.capabilities.bounding)
        return try filter(key: "\(SeccompStandard.version) \(String(capabilities, radix: 16))") {
            () throws(RuntimeError) in
            try SeccompStandard.profile(capabilities: capabilities)
        }
    }

    private func filter(
        key: String, profile: () throws(RuntimeError) -> RuntimeSpec.Seccomp
    ) throws(RuntimeError) -> [UInt8] {
        let key = "\(key) libseccomp \(Self.libraryVersion)\n"
        if let bytes = entries.withLock({ $0[key] }) { return bytes }
        let path = "\(directory)/seccomp-\(String(Self.hash(key), radix: 16)).bpf"
        let bytes: [UInt8]
        if let stored = read(path, key: key) {
            bytes = stored
        } else {
            bytes = try SeccompCompiler.compile(profile())
            // The file only saves time: the next engine compiles again where it cannot be written.
            try? FileSystem.replaceFile(path, with: Array(key.utf8) + bytes)
        }
        entries.withLock { entries in
            if entries.count >= Self.entriesMax { entries.removeAll() }
            entries[key] = bytes
        }
        return bytes
    }

    /// The file begins with its whole key: a hash alone could be another profile's.
    private func read(_ path: String, key: String) -> [UInt8]? {
        // Unreadable is as good as missing: compiled again then.
        guard let bytes = try? FileSystem.readFile(path, byteCountMax: Self.fileByteCountMax) else { return nil }
        guard bytes.starts(with: key.utf8) else { return nil }
        let filter = Array(bytes.dropFirst(key.utf8.count))
        return filter.isEmpty || filter.count % 8 != 0 ? nil : filter
    }

    private static let libraryVersion: String = {
        guard let version = seccomp_version() else { return "?" }
        return "\(version.pointee.major).\(version.pointee.minor).\(version.pointee.micro)"
    }()

    /// FNV-1a, 64 bits.
    private static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    private static func describe(_ profile: RuntimeSpec.Seccomp) -> String {
        var text = "profile \(profile.defaultAction) \(profile.defaultErrnoRet ?? 0) "
        text += (profile.architectures ?? []).joined(separator: ",")
        for rule in profile.syscalls ?? [] {
            text += ";\(rule.names.joined(separator: ",")) \(rule.action) \(rule.errnoRet ?? 0)"
            for argument in rule.args ?? [] {
                text += " \(argument.index) \(argument.op) \(argument.value) \(argument.valueTwo ?? 0)"
            }
        }
        return text.split(separator: "\n").joined(separator: " ")
    }
}
