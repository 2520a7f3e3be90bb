import Glibc
import InternetAddress
import LinuxSystem
import StackModel

/// Sockets of the host that others can connect or send to: proc_net(5), proc_pid_fd(5).
struct HostListeners: Sendable {
    struct Socket: Equatable, Sendable {
        var address: IPAddress
        var port: UInt16
        var transport: Port.Transport
        var inode: UInt64
    }

    let sockets: [Socket]

    /// What listens now; what cannot be read has no sockets. Takes milliseconds.
    static func now() -> HostListeners {
        var sockets: [Socket] = []
        for (name, transport) in [
            ("tcp", Port.Transport.tcp), ("tcp6", .tcp), ("udp", .udp), ("udp6", .udp),
        ] {
            // A kernel without IPv6 has no such file.
            guard let bytes = try? FileSystem.readFile("/proc/self/net/\(name)") else { continue }
            sockets += parse(String(decoding: bytes, as: UTF8.self), transport)
        }
        return HostListeners(sockets: sockets)
    }

    /// Lines of /proc/net/tcp and the like: `sl local_address rem_address st …`, inode as the tenth word.
    static func parse(_ text: String, _ transport: Port.Transport) -> [Socket] {
        let listening = transport == .tcp ? "0A" : "07"
        return text.split(separator: "\n").dropFirst().compactMap { line in
            let words = line.split(separator: " ")
            guard words.count > 9, words[3] == listening, let inode = UInt64(words[9]) else { return nil }
            let parts = words[1].split(separator: ":")
            guard parts.count == 2, let port = UInt16(parts[1], radix: 16), let address = address(parts[0]) else {
                return nil
            }
            return Socket(address: address, port: port, transport: transport, inode: inode)
        }
    }

    /// Words of 32 bits in the host's byte order, which is little-endian here. What a socket of both families has of
    /// IPv4 (`::ffff:127.0.0.1`, RFC 4291 section 2.5.5.2) is IPv4.
    static func address(_ text: Substring) -> IPAddress? {
        var bytes: [UInt8] = []
        var rest = text
        while !rest.isEmpty {
            guard let word = UInt32(rest.prefix(8), radix: 16), rest.count >= 8 else { return nil }
            withUnsafeBytes(of: word) { bytes += $0 }
            rest = rest.dropFirst(8)
        }
        let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        return IPAddress(bytes: bytes.count == 16 && bytes.starts(with: mappedPrefix) ? bytes.suffix(4) : bytes[...])
    }

    /// Who has a port that a stack wants, as people know it; `nil`: nobody, or a listener of our own.
    func owner(of key: PortRegistry.Key) -> String? {
        let found = sockets.filter { socket in
            guard socket.port == key.port, socket.transport == key.transport else { return false }
            guard let wanted = key.hostIP else { return true }
            // A socket on `::` has, unless it says otherwise, the port of IPv4 too.
            if socket.address.isAny { return socket.address.isV6 || !wanted.isV6 }
            return wanted == socket.address || (wanted.isAny && wanted.isV6 == socket.address.isV6)
        }
        for socket in found {
            guard let program = program(with: socket.inode) else { return "another program" }
            if !program.name.hasPrefix("gantry") { return "\(program.name) (pid \(program.pid))" }
        }
        return nil
    }

    private func program(with inode: UInt64) -> (name: String, pid: Int)? {
        let wanted = "socket:[\(inode)]"
        // Processes come and go while we look: those that are gone have no sockets.
        for entry in (try? FileSystem.list("/proc")) ?? [] {
            guard let pid = Int(entry) else { continue }
            // As above.
            for descriptor in (try? FileSystem.list("/proc/\(entry)/fd")) ?? [] {
                guard Self.link("/proc/\(entry)/fd/\(descriptor)") == wanted else { continue }
                // It ended just now: it is told without its name.
                let name = (try? FileSystem.readFile("/proc/\(entry)/comm")) ?? []
                return (String(decoding: name.filter { $0 != 10 }, as: UTF8.self), pid)
            }
        }
        return nil
    }

    /// readlink(2) of what is short.
    private static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 64)
        let count = readlink(path, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }
}
