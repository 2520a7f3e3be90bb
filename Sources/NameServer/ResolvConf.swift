import CLinux
import Glibc
import LinuxSystem

/// Address and port of a DNS server.
struct ResolverAddress: Hashable, Sendable, CustomStringConvertible {
    enum IP: Hashable, Sendable {
        /// Host order.
        case v4(UInt32)
        /// 16 bytes, and the interface index of a link-local address or 0.
        case v6([UInt8], scope: UInt32)
    }

    static let standardPort: UInt16 = 53

    var ip: IP
    var port: UInt16
    let description: String

    /// `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`; a port follows a `#`.
    init?(_ text: String) {
        let parts = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        guard let host = parts.first else { return nil }
        if parts.count > 1 {
            guard let port = UInt16(parts[1]), port > 0 else { return nil }
            self.port = port
        } else {
            port = Self.standardPort
        }
        guard let ip = Self.parse(host) else { return nil }
        self.ip = ip
        description = text
    }

    private static func parse(_ host: Substring) -> IP? {
        var v4 = in_addr()
        if inet_pton(AF_INET, String(host), &v4) == 1 { return .v4(UInt32(bigEndian: v4.s_addr)) }
        let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        var v6 = in6_addr()
        guard let address = parts.first, inet_pton(AF_INET6, String(address), &v6) == 1 else { return nil }
        let bytes = withUnsafeBytes(of: &v6) { Array($0) }
        guard parts.count > 1 else { return .v6(bytes, scope: 0) }
        let interface = String(parts[1])
        let index = UInt32(interface) ?? if_nametoindex(interface)
        return index > 0 ? .v6(bytes, scope: index) : nil
    }
}

/// What of a resolv.conf matters to who asks the servers (resolv.conf(5)).
struct ResolvConf: Equatable, Sendable {
    var servers: [ResolverAddress] = []
    /// How long one server may take.
    var timeoutMilliseconds = DNSLimits.serverMillisecondsMax
    /// How often each server is asked.
    var attemptCount = DNSLimits.attemptCount
    /// Whether each question begins with another server.
    var rotates = false

    init(servers: [ResolverAddress] = []) { self.servers = servers }

    /// The first three usable `nameserver` lines and the `options`. Everything else, and every line that cannot be
    /// understood, is passed over: this file is written by many programs and none of them asks us.
    init(_ bytes: [UInt8]) {
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 2 else { continue }
            switch words[0] {
            case "nameserver": addServer(words[1])
            case "options": for word in words.dropFirst() { addOption(word) }
            default: continue
            }
        }
    }

    private mutating func addServer(_ word: Substring) {
        let address = word.prefix { $0 != ";" && $0 != "," }
        guard servers.count < DNSLimits.serverCountMax, let server = ResolverAddress(String(address)),
            !servers.contains(server)
        else { return }
        servers.append(server)
    }

    private mutating func addOption(_ word: Substring) {
        let parts = word.split(separator: ":", maxSplits: 1)
        let number = parts.count == 2 ? Int(parts[1]) : nil
        switch parts.first {
        case "rotate": rotates = true
        case "timeout":
            guard let number, number > 0 else { return }
            timeoutMilliseconds = UInt64(min(number, DNSLimits.timeoutSecondsMax)) * 1_000
        case "attempts":
            guard let number, number > 0 else { return }
            attemptCount = min(number, DNSLimits.attemptCountMax)
        default: return
        }
    }
}

/// A resolv.conf, read again when it changed. A `stat(2)` at each use costs a microsecond before a network round trip,
/// follows symbolic links (`/etc/resolv.conf` is mostly one) and cannot miss a change.
struct ResolvConfFile {
    private struct Stamp: Equatable {
        var device: dev_t
        var inode: ino_t
        var size: Int
        var modifiedSeconds: Int
        var modifiedNanoseconds: Int
    }

    private let path: String
    private var stamp: Stamp?
    private var content = ResolvConf()

    init(path: String) { self.path = path }

    /// Without servers when the file is missing or names none.
    mutating func current() -> ResolvConf {
        var status = stat()
        guard stat(path, &status) == 0 else {
            (stamp, content) = (nil, ResolvConf())
            return content
        }
        let now = Stamp(
            device: status.st_dev, inode: status.st_ino, size: status.st_size,
            modifiedSeconds: status.st_mtim.tv_sec, modifiedNanoseconds: status.st_mtim.tv_nsec)
        if let stamp, stamp == now { return content }
        do {
            content = ResolvConf(try FileSystem.readFile(path, byteCountMax: DNSLimits.resolvConfByteCountMax))
        } catch {
            // It went between the two calls, or cannot be read: the servers that are known are the best there is.
            return content
        }
        // A file written twice within one tick of the clock has the same stamp: one that is younger than two seconds is
        // read again.
        let settledSeconds = 2
        stamp = time(nil) - now.modifiedSeconds > settledSeconds ? now : nil
        return content
    }
}
