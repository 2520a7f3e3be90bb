import InternetAddress
import LinuxSystem
import Netlink

/// Why something of the network could not be made, changed or read.
public enum NetworkError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A system call failed.
    case system(SystemError)
    /// The kernel refused a netlink request.
    case netlink(NetlinkError)
    /// A published port is taken by another program (or another engine).
    case portInUse(hostIP: IPv4Address?, port: UInt16, transport: Transport)
    /// The host has no such address to publish on.
    case noSuchHostAddress(IPv4Address)
    case noSuchHostAddress6(IPv6Address)
    /// An interface is called for that is not there.
    case missingInterface(String)
    /// An interface of this name is there, but of another kind.
    case foreignInterface(name: String, kind: String?)
    /// An interface of a kind that the kernel was built without: the kind and the option it lacks.
    case unsupportedKind(String, option: String)
    /// No mode of a macvlan or ipvlan.
    case invalidMode(kind: String, mode: String)
    /// Not a setting of one interface.
    case invalidParameter(String)
    /// IPv6 needs 1280 bytes.
    case mtuTooSmall(interface: String, mtu: Int)
    /// A name that the kernel or a path cannot take.
    case invalidName(String)
    /// No free subnet in the pools.
    case poolsExhausted
    /// No free address in a subnet.
    case subnetExhausted(CIDR)
    /// A requested subnet overlaps one in use.
    case subnetInUse(CIDR, CIDR)
    /// A requested address is outside of its subnet.
    case addressOutsideSubnet(IPAddress, CIDR)
    /// A requested address is of a family that its network does not have.
    case familyMissing(IPAddress, network: String)
    /// A published port is taken, and it is known by whom: `nginx (pid 123)`, `stack 'shop'`.
    case portTaken(hostIP: IPAddress?, port: UInt16, transport: Transport, by: String)
    /// A requested address is taken or reserved.
    case addressInUse(IPAddress)
    /// Two entries of the firewall state claim the same host port.
    case conflictingPorts(PublishedPort, PublishedPort)
    /// Two services have the same virtual address.
    case conflictingAddresses(IPAddress)
    /// A plain user may not bind a port as low as this.
    case portNotPermitted(port: UInt16, transport: Transport)
    /// Without root, ports of this transport cannot be published.
    case transportNotForwarded(Transport)

    public var description: String {
        switch self {
        case .system(let error): return error.description
        case .netlink(let error): return error.description
        case .portInUse(let hostIP, let port, let transport):
            return "port \(hostIP.map { "\($0):" } ?? "")\(port)/\(transport.rawValue) is in use"
        case .noSuchHostAddress(let address): return "the host has no address \(address)"
        case .noSuchHostAddress6(let address): return "the host has no address \(address) to publish on"
        case .missingInterface(let name): return "network interface \(name) does not exist"
        case .foreignInterface(let name, let kind):
            return "network interface \(name) exists and is not ours (\(kind ?? "physical"))"
        case .unsupportedKind(let kind, let option): return "this kernel has no \(kind) (\(option))"
        case .invalidMode(let kind, let mode): return "\(kind) has no mode '\(mode)'"
        case .invalidParameter(let key):
            return "\(key) cannot be set for an interface; use net.ipv4.conf.IFNAME.NAME, or ipv6, neigh, mpls likewise"
        case .mtuTooSmall(let interface, let mtu):
            return "network interface \(interface) cannot have IPv6 with an MTU of \(mtu); it takes 1280 bytes at least"
        case .invalidName(let name): return "\"\(name)\" is no valid name"
        case .poolsExhausted: return "no free subnet is left in the address pools"
        case .subnetExhausted(let subnet): return "no free address is left in \(subnet)"
        case .subnetInUse(let subnet, let other): return "subnet \(subnet) overlaps \(other), which is in use"
        case .addressOutsideSubnet(let address, let subnet): return "address \(address) is not in subnet \(subnet)"
        case .addressInUse(let address): return "address \(address) is in use"
        case .familyMissing(let address, let network):
            return "network \(network) has no \(address.isV6 ? "IPv6" : "IPv4") for address \(address)"
        case .portTaken(let hostIP, let port, let transport, let owner):
            let host = hostIP.map { $0.isV6 ? "[\($0)]:" : "\($0):" } ?? ""
            return "port \(host)\(port)/\(transport.rawValue) is in use by \(owner)"
        case .conflictingPorts(let one, _):
            let host = one.hostIP.map { $0.isV6 ? "[\($0)]:" : "\($0):" } ?? ""
            let ports = one.lastPort.map { "\(one.port)-\($0)" } ?? "\(one.port)"
            return "port \(host)\(ports)/\(one.transport.rawValue) is published twice"
        case .conflictingAddresses(let address): return "virtual address \(address) is used twice"
        case .portNotPermitted(let port, let transport):
            return "port \(port)/\(transport.rawValue) is too low for a user without root"
        case .transportNotForwarded(let transport):
            return "\(transport.rawValue) ports cannot be published without root"
        }
    }
}

/// Runs calls of the rooms below and gives their errors this room's type.
func system<Result: ~Copyable>(_ body: () throws(SystemError) -> Result) throws(NetworkError) -> Result {
    do { return try body() } catch { throw .system(error) }
}

func netlink<Result: ~Copyable>(_ body: () throws(NetlinkError) -> Result) throws(NetworkError) -> Result {
    do { return try body() } catch { throw .netlink(error) }
}
