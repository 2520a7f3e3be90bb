import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import StackModel

/// Mounts a volume's file system on its folder, and takes it away again. Blocks: the server of a file system may be
/// slow to answer.
struct VolumeMounter: Sendable {
    /// File systems whose `addr` the kernel wants as a number.
    private static let networkTypes: Set<String> = ["nfs", "nfs4", "cifs", "smb3"]
    /// mount(2)'s flags by mount(8)'s words, and whether the word sets them; other words go to the file system.
    private static let flags: [String: (bits: Int, isSet: Bool)] = {
        var table: [String: (bits: Int, isSet: Bool)] = [
            "bind": (MS_BIND, true), "rbind": (MS_BIND | MS_REC, true), "defaults": (0, true), "": (0, true),
        ]
        let pairs: [(String, String, Int)] = [
            ("ro", "rw", MS_RDONLY), ("nosuid", "suid", MS_NOSUID), ("nodev", "dev", MS_NODEV),
            ("noexec", "exec", MS_NOEXEC), ("sync", "async", MS_SYNCHRONOUS), ("dirsync", "nodirsync", MS_DIRSYNC),
            ("mand", "nomand", MS_MANDLOCK), ("noatime", "atime", MS_NOATIME),
            ("nodiratime", "diratime", MS_NODIRATIME), ("relatime", "norelatime", MS_RELATIME),
            ("strictatime", "nostrictatime", MS_STRICTATIME),
        ]
        for (set, clear, bits) in pairs {
            table[set] = (bits, true)
            table[clear] = (bits, false)
        }
        return table
    }()

    var mount: VolumeMount
    /// The volume's folder, which is there.
    var folder: String

    /// - Throws: in Docker's words, without what follows `password=`.
    func makeMounted() throws(EngineError) {
        var (bits, data) = (0, [String]())
        for word in mount.options {
            if let flag = Self.flags[word] {
                bits = flag.isSet ? bits | flag.bits : bits & ~flag.bits
            } else {
                data.append(word)
            }
        }
        do throws(SystemError) {
            if try Self.isMounted(folder) { return }
            data = data.map(addressed)
            try attach(bits & ~(bits & MS_BIND == 0 ? 0 : MS_RDONLY), data)
            guard bits & MS_BIND != 0 else { return }
            // A bind mount takes its flags only afterwards (mount(2)).
            do throws(SystemError) { try attach(bits | MS_REMOUNT, []) } catch {
                try makeUnmounted()
                throw error
            }
        } catch {
            throw .answered(500, "failed to mount local volume: \(text(data)): \(error.reason.lowercased())")
        }
    }

    private func attach(_ bits: Int, _ data: [String]) throws(SystemError) {
        try check("mount", path: folder) {
            Glibc.mount(mount.device, folder, mount.type, UInt(bits), data.joined(separator: ","))
        }
    }

    private func text(_ data: [String]) -> String {
        let shown = data.map { $0.hasPrefix("password=") ? "password=********" : $0 }.joined(separator: ",")
        return "mount \(mount.device):\(folder)" + (shown.isEmpty ? "" : ", data: \(shown)")
    }

    /// With a name's address in the name's place.
    private func addressed(_ word: String) -> String {
        guard Self.networkTypes.contains(mount.type), word.hasPrefix("addr=") else { return word }
        let name = String(word.dropFirst("addr=".count))
        guard IPAddress(name) == nil, let address = Self.address(of: name) else { return word }
        return "addr=\(address)"
    }

    private static func address(of name: String) -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &found) == 0, let found else { return nil }
        defer { freeaddrinfo(found) }
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        guard
            getnameinfo(
                found.pointee.ai_addr, found.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
                == 0
        else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Nothing where nothing is mounted. Who has a file of it open keeps it until it is closed.
    func makeUnmounted() throws(SystemError) {
        while try Self.isMounted(folder) {
            try check("umount2", path: folder) { umount2(folder, Int32(MNT_DETACH | UMOUNT_NOFOLLOW)) }
        }
    }

    private static func isMounted(_ folder: String) throws(SystemError) -> Bool {
        try check("statx", path: folder) { gantry_is_mount_root(folder) } == 1
    }
}
