import CLinux
import Glibc
import LinuxSystem

/// Per-interface settings under /proc/sys/net, of the network namespace of the calling thread. The kernel's
/// Documentation/networking/ip-sysctl.rst.
enum SystemControls {
    enum Family: String {
        case ipv4, ipv6
    }

    /// `interface`: a name, `all`, or `default` for those made later.
    static func path(_ family: Family, _ interface: String, _ key: String) -> String {
        "/proc/sys/net/\(family.rawValue)/conf/\(interface)/\(key)"
    }

    static func read(_ path: String) throws(SystemError) -> Int? { Int(try readText(path)) }

    /// Without the newline at the end.
    static func readText(_ path: String) throws(SystemError) -> String {
        let byteCountMax = 4096
        let text = String(decoding: try FileSystem.readFile(path, byteCountMax: byteCountMax), as: UTF8.self)
        return String(text.prefix { $0 != "\n" })
    }

    static func write(_ path: String, _ value: Int) throws(SystemError) { try write(path, "\(value)") }

    static func write(_ path: String, _ value: String) throws(SystemError) {
        try FileDescriptor.open(path, O_WRONLY).writeAll(Array(value.utf8))
    }

    /// Writes only what differs: some settings take the rtnl lock.
    static func set(_ family: Family, _ interface: String, _ key: String, _ value: Int) throws(NetworkError) {
        let path = path(family, interface, key)
        try system { () throws(SystemError) in
            if try read(path) != value { try write(path, value) }
        }
    }

    /// As `set`; false when there is no such setting: an older kernel, an interface that went, or one without IPv6.
    @discardableResult
    static func setIfPresent(
        _ family: Family, _ interface: String, _ key: String, _ value: Int
    ) throws(NetworkError) -> Bool {
        do {
            try set(family, interface, key, value)
            return true
        } catch {
            guard case .system(let cause) = error, cause.code == ENOENT else { throw error }
            return false
        }
    }

    /// Has the kernel make an interface's link-local address again, when somebody took it away.
    static func renewLinkLocal(_ interface: String) throws(NetworkError) {
        // IN6_ADDR_GEN_MODE_NONE and _EUI64: the address comes with the change.
        for mode in [1, 0] { try setIfPresent(.ipv6, interface, "addr_gen_mode", mode) }
    }

    /// `nil` when there is no such setting.
    static func value(_ family: Family, _ interface: String, _ key: String) throws(NetworkError) -> Int? {
        do {
            return try read(path(family, interface, key))
        } catch {
            if error.code == ENOENT { return nil }
            throw .system(error)
        }
    }
}

/// A kernel parameter of an interface that a user asked for, such as `net.ipv4.conf.IFNAME.log_martians`.
struct InterfaceParameter: Equatable, Sendable {
    var path: String
    var value: String

    private static let valueByteCountMax = 256
    /// What comes before the name of the interface.
    private static let folders = [
        ["net", "ipv4", "conf"], ["net", "ipv6", "conf"], ["net", "ipv4", "neigh"], ["net", "ipv6", "neigh"],
        ["net", "mpls", "conf"],
    ]

    /// - Throws: `invalidParameter` for everything that is not a setting of one interface by the name `IFNAME`: other
    ///   settings of the namespace would reach other interfaces, too.
    init(_ key: String, _ value: String, interface: String) throws(NetworkError) {
        let parts = key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, Self.folders.contains(Array(parts.prefix(3))), parts[3] == "IFNAME",
            !parts[4].isEmpty, parts[4].utf8.allSatisfy(Self.isKeyByte), !value.isEmpty,
            value.utf8.count <= Self.valueByteCountMax, value.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else { throw .invalidParameter(key) }
        path = "/proc/sys/\(parts[0])/\(parts[1])/\(parts[2])/\(interface)/\(parts[4])"
        self.value = value
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "_")
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// All of an interface, sorted.
    static func all(of spec: InterfaceSpec) throws(NetworkError) -> [InterfaceParameter] {
        var parameters: [InterfaceParameter] = []
        for (key, value) in spec.parameters.sorted(by: { $0.key < $1.key }) {
            parameters.append(try InterfaceParameter(key, value, interface: spec.containerInterface))
        }
        return parameters
    }

    /// On a thread inside of the namespace.
    func apply() throws(NetworkError) {
        try system { () throws(SystemError) in
            if try SystemControls.readText(path) != value { try SystemControls.write(path, value) }
        }
    }
}
