import CLibSeccomp
import CLinux
import Glibc
import LinuxSystem
import Synchronization

/// Compiled filters by profile, in memory and in files: a start reads bytes instead of compiling for 12 ms.
///
/// A file is `key`, a newline, eight bytes of checksum, and the filter. The key tells everything that decides about the
/// bytes: the profile as resolved for the container's capabilities, architecture, kernel and libseccomp's version. A
/// file that is damaged, belongs to somebody else, or that somebody else may write, is compiled anew.
final class SeccompCache: Sendable {
    private static let entriesMax = 64
    private static let fileByteCountMax = 1 << 20
    private static let checksumByteCount = 8

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
        let key = Self.platform + key
        if let bytes = entries.withLock({ $0[key] }) { return bytes }
        let path = "\(directory)/seccomp-\(String(Self.hash(key.utf8), radix: 16)).bpf"
        let bytes: [UInt8]
        if let stored = read(path, key: key) {
            bytes = stored
        } else {
            bytes = try SeccompCompiler.compile(profile())
            // The file only saves time: the next engine compiles again where it cannot be written.
            try? FileSystem.replaceFile(path, with: Self.file(key: key, filter: bytes))
        }
        entries.withLock { entries in
            if entries.count >= Self.entriesMax { entries.removeAll() }
            entries[key] = bytes
        }
        return bytes
    }

    // MARK: - Files

    static func file(key: String, filter: [UInt8]) -> [UInt8] {
        let checksum = hash(filter)
        return Array(key.utf8) + [0x0a] + withUnsafeBytes(of: checksum.littleEndian) { Array($0) } + filter
    }

    /// The file begins with its whole key: a hash alone could be another profile's.
    private func read(_ path: String, key: String) -> [UInt8]? {
        // Unreadable is as good as missing: compiled again then.
        guard let file = try? FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) else { return nil }
        var status = stat()
        guard fstat(file.raw, &status) == 0, gantry_is_regular(status.st_mode) != 0, status.st_uid == geteuid(),
            status.st_mode & 0o022 == 0
        else { return nil }
        // Likewise.
        guard let bytes = try? file.readAll(byteCountMax: Self.fileByteCountMax) else { return nil }
        let start = key.utf8.count + 1 + Self.checksumByteCount
        guard bytes.count > start, (bytes.count - start) % 8 == 0 else { return nil }
        let filter = Array(bytes[start...])
        return Self.file(key: key, filter: filter) == bytes ? filter : nil
    }

    /// FNV-1a, 64 bits: against damage. Against malice there are the file's owner and mode.
    private static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    // MARK: - Keys

    private static let platform: String = {
        let library = seccomp_version().map { "\($0.pointee.major).\($0.pointee.minor).\($0.pointee.micro)" } ?? "?"
        return "gantry-2 \(KernelRelease.architecture) linux \(KernelRelease.text) libseccomp \(library) "
    }()

    /// Every text with its length before it: no two profiles read the same.
    private static func describe(_ profile: RuntimeSpec.Seccomp) -> String {
        func text(_ text: String) -> String { "\(text.utf8.count):\(text)" }
        func list(_ texts: [String]) -> String { "\(texts.count)[\(texts.map(text).joined())]" }
        var key = "profile " + text(profile.defaultAction) + " \(profile.defaultErrnoRet ?? 1) "
        key += list(profile.architectures ?? [])
        for rule in profile.syscalls ?? [] {
            key += " " + list(rule.names) + text(rule.action) + "\(rule.errnoRet ?? 1)"
            for argument in rule.args ?? [] {
                key += "(\(argument.index) \(text(argument.op)) \(argument.value) \(argument.valueTwo ?? 0))"
            }
        }
        return key
    }
}
