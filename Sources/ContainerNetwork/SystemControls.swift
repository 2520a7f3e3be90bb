import CLinux
import Glibc
import LinuxSystem

/// Per-interface settings under /proc/sys/net, of the namespace of the calling thread.
enum SystemControls {
    enum Family: String {
        case ipv4, ipv6
    }

    static func path(_ family: Family, _ interface: String, _ key: String) -> String {
        "/proc/sys/net/\(family.rawValue)/conf/\(interface)/\(key)"
    }

    static func read(_ path: String) throws(SystemError) -> Int? {
        let text = String(decoding: try FileSystem.readFile(path, byteCountMax: 64), as: UTF8.self)
        return Int(text.prefix { $0 != "\n" })
    }

    static func write(_ path: String, _ value: Int) throws(SystemError) {
        try FileDescriptor.open(path, O_WRONLY).writeAll(Array("\(value)".utf8))
    }

    /// Writes only what differs: some settings take the rtnl lock.
    static func set(_ family: Family, _ interface: String, _ key: String, _ value: Int) throws(NetworkError) {
        let path = path(family, interface, key)
        try system { () throws(SystemError) in
            if try read(path) != value { try write(path, value) }
        }
    }
}
