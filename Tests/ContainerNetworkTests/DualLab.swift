import CLinux
import Glibc
import InternetAddress
import LinuxSystem

@testable import ContainerNetwork

/// As `NetworkFixture`, in both families:
///
///     lan 192.0.2.2 ── 192.0.2.1 host ┬ gn-a 10.89.1.0/24 fd00:89:0:1::/64
///     2001:db8:1::2    2001:db8:1::1  ├ gn-b 10.89.2.0/24 fd00:89:0:2::/64
///                                     └ …
struct DualLab {
    let lab: HostLab
    let manager: NetworkManager
    let lan: Place
    let lanPath = "\(HostLab.directory)/netns/lan"

    init() throws {
        let fixture = try NetworkFixture()
        lab = fixture.lab
        manager = fixture.manager
        lan = .namespace(lanPath)
        try lab.shell(
            """
            \(Self.withoutDetection)
            ip -6 addr add 2001:db8:1::1/64 dev up0 nodad
            nsenter --net=\(lanPath) sh -ec '
                ip -6 addr add 2001:db8:1::2/64 dev eth0 nodad
                ip -6 route add fd00:89::/32 via 2001:db8:1::1'
            """)
        try waitForIPv6()
    }

    /// No second of duplicate detection before link-local addresses can be used.
    private static let withoutDetection = """
        for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done
        """

    private func waitForIPv6() throws {
        try lab.shell(
            """
            for i in $(seq 100); do
                if busybox ping -6 -c1 -W1 2001:db8:1::2 >/dev/null; then exit 0; fi
                sleep 0.05
            done
            exit 1
            """)
    }

    /// The other families' gateway modes too.
    static func network(
        _ number: Int, isInternal: Bool = false, interContainer: Bool = true, gateway: BridgeSpec.Gateway = .nat
    ) -> BridgeSpec {
        let ranges = ["10.89.\(number).0/24", "fd00:89:0:\(number)::/64"].compactMap { CIDR($0) }
        return BridgeSpec(
            name: "net-\(number)", bridge: "gn-\(number)", subnets: ranges.map { .init($0, gateway: $0.firstHost) },
            isInternal: isInternal, interContainer: interContainer, gateway4: gateway, gateway6: gateway)
    }

    static func address(_ network: Int, _ host: Int, isV6: Bool) -> String {
        isV6 ? "fd00:89:0:\(network)::\(String(host, radix: 16))" : "10.89.\(network).\(host)"
    }

    /// A container with an address of both families.
    func container(_ id: String, on network: BridgeSpec, host: Int) throws -> Place {
        let manager = manager
        let path = try lab.run { try manager.makeNamespace(id: id) }
        try lab.shell("nsenter --net=\(path) sh -c '\(Self.withoutDetection)'")
        let number = Int(network.bridge.dropFirst(3)) ?? 0
        let addresses = [false, true].compactMap { isV6 in
            IPAddress(Self.address(number, host, isV6: isV6)).map {
                InterfaceSpec.Address($0, prefixLength: isV6 ? 64 : 24)
            }
        }
        let spec = InterfaceSpec(
            kind: .bridge(network.bridge), hostInterface: "gv\(id)", containerInterface: "eth0", addresses: addresses,
            gateways: network.subnets.compactMap(\.gateway), isIsolated: !network.interContainer)
        try lab.run {
            try manager.ensureBridge(network)
            try manager.attach(namespaceID: id, [spec])
        }
        return .namespace(path)
    }

    func setBridgeFiltering(_ isOn: Bool) throws {
        for file in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
            let path = "/proc/sys/net/bridge/\(file)"
            try lab.shell("if [ -e \(path) ]; then echo \(isOn ? 1 : 0) >\(path); fi")
        }
    }

    func apply(
        _ bridges: [BridgeSpec], _ ports: [PublishedPort] = [], virtual: [VirtualAddress] = []
    ) throws {
        let manager = manager
        let state = FirewallState(bridges: bridges, ports: ports, virtualAddresses: virtual)
        try lab.run { try manager.applyFirewall(state) }
    }

    static func backends(_ network: Int, _ hosts: [Int], port: UInt16 = 80) -> [Backend] {
        hosts.flatMap { host in
            [false, true].map { backend(address(network, host, isV6: $0), port) }
        }
    }

    static func hostAddress(isV6: Bool) -> String { isV6 ? "2001:db8:1::1" : "192.0.2.1" }
    static func lanAddress(isV6: Bool) -> String { isV6 ? "2001:db8:1::2" : "192.0.2.2" }
}

/// What became of a connection or datagram.
enum Outcome: Equatable, Sendable {
    /// Which server got it, and whom it sees.
    case reached(String, peer: String)
    /// The client was told.
    case refused
    case silence

    var server: String? { if case .reached(let server, _) = self { server } else { nil } }
}

/// A listening or datagram socket of both families.
struct DualServer: Sendable {
    let name: String
    let socket: SharedDescriptor
    let isStream: Bool
}

extension DualLab {
    func inside<Value: Sendable>(
        _ place: Place, _ body: @escaping @Sendable () throws(SystemError) -> Value
    ) throws -> Value {
        try lab.run {
            switch place {
            case .host: try body()
            case .namespace(let path):
                try withNetworkNamespace(path) { () throws(NetworkError) in
                    try system { () throws(SystemError) in try body() }
                }
            }
        }
    }

    func server(_ name: String, in place: Place, port: UInt16, _ transport: Transport = .tcp) throws -> DualServer {
        let isStream = transport != .udp
        let raw: Int32 = try inside(place) { () throws(SystemError) in
            let socket = try openSocket(AF_INET6, transport)
            let raw = socket.raw
            for (level, option, value) in [
                (Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0), (SOL_SOCKET, SO_REUSEADDR, 1),
            ] as [(Int32, Int32, Int32)] {
                var value = value
                try check("setsockopt") { setsockopt(raw, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) }
            }
            try check("bind") { withAddress(.v6(.any), port) { bind(raw, $0, $1) } }
            if isStream { try check("listen") { listen(raw, 512) } }
            return socket.take()
        }
        return DualServer(
            name: name, socket: SharedDescriptor(FileDescriptor(owning: raw)), isStream: isStream)
    }

    /// Connects, or sends a datagram.
    func reach(
        from place: Place, to text: String, _ port: UInt16, _ servers: [DualServer], _ transport: Transport = .tcp,
        sourcePort: UInt16? = nil, waitMilliseconds: Int32 = 400
    ) throws -> Outcome {
        guard let address = IPAddress(text) else { throw LabError.noResult }
        return try inside(place) { () throws(SystemError) in
            let client = try openSocket(address.isV6 ? AF_INET6 : AF_INET, transport)
            let raw = client.raw
            if let sourcePort {
                var on: Int32 = 1
                setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
                let any: IPAddress = address.isV6 ? .v6(.any) : .v4(.any)
                try check("bind") { withAddress(any, sourcePort) { bind(raw, $0, $1) } }
            }
            let connected = withAddress(address, port) { connect(raw, $0, $1) }
            if connected < 0, errno != EINPROGRESS { return errno == ECONNREFUSED ? .refused : .silence }
            if transport == .udp {
                var byte: UInt8 = 1
                send(raw, &byte, 1, 0)
            }
            return outcome(raw, servers, waitMilliseconds)
        }
    }
}

private func openSocket(_ family: Int32, _ transport: Transport) throws(SystemError) -> FileDescriptor {
    let type = transport == .udp ? SOCK_DGRAM : SOCK_STREAM
    return FileDescriptor(
        owning: try check("socket") {
            socket(family, Int32(type.rawValue) | O_CLOEXEC | O_NONBLOCK, Int32(transport.number))
        })
}

private func outcome(_ client: Int32, _ servers: [DualServer], _ waitMilliseconds: Int32) -> Outcome {
    var entries = servers.map { pollfd(fd: $0.socket.raw, events: Int16(POLLIN), revents: 0) }
    // A refusal shows at the client only, an accepted connection at the server.
    entries.append(pollfd(fd: client, events: 0, revents: 0))
    guard poll(&entries, nfds_t(entries.count), waitMilliseconds) > 0 else { return .silence }
    guard let index = entries.dropLast().firstIndex(where: { $0.revents != 0 }) else { return .refused }
    var peer = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    var byte: UInt8 = 0
    let raw = servers[index].socket.raw
    withUnsafeMutablePointer(to: &peer) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            if servers[index].isStream {
                close(accept(raw, __SOCKADDR_ARG(__sockaddr__: $0), &length))
            } else {
                _ = recvfrom(raw, &byte, 1, 0, __SOCKADDR_ARG(__sockaddr__: $0), &length)
            }
        }
    }
    let bytes = withUnsafeBytes(of: peer.sin6_addr) { Array($0) }
    let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
    let address = IPAddress(bytes: bytes.starts(with: mapped) ? Array(bytes.dropFirst(12)) : bytes)
    return .reached(servers[index].name, peer: address?.description ?? "?")
}

/// The address as the system calls want it.
func withAddress<Result>(
    _ address: IPAddress, _ port: UInt16, _ body: (__CONST_SOCKADDR_ARG, socklen_t) -> Result
) -> Result {
    func call<Kind>(_ value: Kind) -> Result {
        withUnsafePointer(to: value) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body(__CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<Kind>.size))
            }
        }
    }
    switch address {
    case .v4(let address):
        var value = sockaddr_in()
        value.sin_family = sa_family_t(AF_INET)
        value.sin_port = port.bigEndian
        value.sin_addr.s_addr = address.value.bigEndian
        return call(value)
    case .v6(let address):
        var value = sockaddr_in6()
        value.sin6_family = sa_family_t(AF_INET6)
        value.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &value.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return call(value)
    }
}

/// Whether the kernel has SCTP.
func hasSCTP() throws(SystemError) -> Bool {
    do {
        _ = try openSocket(AF_INET, .sctp)
        return true
    } catch {
        if error.code == EPROTONOSUPPORT { return false }
        throw error
    }
}
