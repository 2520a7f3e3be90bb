import CLinux
import Glibc
import LinuxSystem
import Netlink
import Synchronization

/// Makes and repairs what containers need of the kernel's network: bridges, namespaces, interfaces, the firewall table.
///
/// Calls block (microseconds to a few milliseconds) and may come from any thread; it works in the network namespace of
/// the thread that made it, and calling threads must be in that namespace too. Nothing is remembered but what was last
/// applied to the firewall: every call asks the kernel, and may be repeated.
public final class NetworkManager: Sendable {
    /// Name of the nftables table, family `inet`; also the mark of ownership in the aliases of bridges.
    public let tableName: String
    /// Where namespaces are pinned, one file each.
    public let namespaceDirectory: String
    let route: NetlinkSocket
    let netfilter: NetlinkSocket
    let pool: NamespacePool
    /// Set when the host's ports are in another network namespace than ours.
    let hostPorts: HostPortClient?
    /// Set when published ports are to be had on the host's IPv6 too.
    let portRelays: (any PortRelays)?
    let firewall = Mutex<AppliedFirewall?>(nil)
    /// Interfaces that forward because this manager made them.
    let openedUplinks = Mutex(OpenedUplinks())
    /// Set once a bridge with IPv6 was asked for: before, the host's IPv6 is left alone.
    let needsIPv6 = Mutex(false)
    /// Other firewalls at the last look: asked again when the rule set has changed.
    let foreignLook = Mutex<ForeignLook?>(nil)
    /// False when the kernel was started with `ipv6.disable=1`.
    let hasIPv6: Bool
    /// Whether IPv6 can be forwarded by interface (kernel >= 6.17).
    let forcesForwarding: Bool

    /// `readyNamespaceCountMax`: how many namespaces are made ahead of time, from the first use on.
    public convenience init(
        tableName: String, namespaceDirectory: String, readyNamespaceCountMax: Int = 6,
        hostPorts: HostPortClient? = nil, portRelays: (any PortRelays)? = nil
    ) throws(NetworkError) {
        try self.init(
            tableName: tableName, namespaceDirectory: namespaceDirectory,
            readyNamespaceCountMax: readyNamespaceCountMax, hostPorts: hostPorts, portRelays: portRelays,
            forcesForwarding: FileSystem.exists(SystemControls.path(.ipv6, "all", "force_forwarding")))
    }

    init(
        tableName: String, namespaceDirectory: String, readyNamespaceCountMax: Int, hostPorts: HostPortClient? = nil,
        portRelays: (any PortRelays)? = nil, forcesForwarding: Bool
    ) throws(NetworkError) {
        guard isTableName(tableName) else { throw .invalidName(tableName) }
        self.tableName = tableName
        self.namespaceDirectory = namespaceDirectory
        self.hostPorts = hostPorts
        self.portRelays = portRelays
        route = try Netlink.NetlinkSocket.make(.route)
        netfilter = try NetlinkSocket.make(.netfilter)
        self.forcesForwarding = forcesForwarding
        hasIPv6 = FileSystem.exists("/proc/sys/net/ipv6")
        pool = NamespacePool(countMax: readyNamespaceCountMax)
        try system { () throws(SystemError) in try FileSystem.makeDirectories(namespaceDirectory) }
    }
}

extension NetlinkSocket {
    static func make(_ subsystem: NetlinkProtocol) throws(NetworkError) -> NetlinkSocket {
        try netlink { () throws(NetlinkError) in try NetlinkSocket(subsystem) }
    }
}

/// Letters, digits and underscores, starting with a letter: what `nft` can name without quotes.
private func isTableName(_ name: String) -> Bool {
    let nameByteCountMax = 64
    guard let first = name.utf8.first, isLetter(first), name.utf8.count <= nameByteCountMax else { return false }
    return name.utf8.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "_") }
}

/// What dev_valid_name() of the kernel takes, of ASCII only and without `%`, where the kernel would put a number: up to
/// 15 bytes.
func checkInterfaceName(_ name: String) throws(NetworkError) {
    let refused = "/:%".utf8
    let allowed = name.utf8.allSatisfy { (0x21...0x7e).contains($0) && !refused.contains($0) }
    guard allowed, (1..<Int(IFNAMSIZ)).contains(name.utf8.count), name != ".", name != ".." else {
        throw .invalidName(name)
    }
}

private func isLetter(_ byte: UInt8) -> Bool {
    (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
}
private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
