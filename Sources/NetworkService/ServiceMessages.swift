import InternetAddress
import NameServer

/// A port of the host's IPv6 that leads to an IPv4 address and the same port there.
public struct RelayedPort: Hashable, Sendable {
    public enum Transport: UInt8, Sendable { case tcp, udp }

    public var transport: Transport
    /// `::` for every IPv6 address of the host.
    public var address: IPv6Address
    public var port: UInt16
    public var target: IPv4Address

    public init(transport: Transport, address: IPv6Address, port: UInt16, target: IPv4Address = .loopback) {
        self.transport = transport
        self.address = address
        self.port = port
        self.target = target
    }
}

/// What an engine asks of the process that serves its networks.
enum ServiceRequest: Equatable {
    /// An engine starts: what the one before it asked for is kept until `sweep`.
    case claim
    /// Drops containers and ports that were not named since `claim`.
    case sweep
    case setZone(String, DNSZone)
    case forgetZone(String)
    /// With two descriptors: a bound UDP socket and a listening TCP socket.
    case serve(scope: String, zone: String)
    case assign(scopes: [String], zone: String)
    case remove(scope: String)
    /// Answered.
    case open(RelayedPort)
    case close(RelayedPort)
    /// Answered by every container's sockets; then the process ends.
    case handOver
    /// The same in every version of this protocol.
    case end

    /// To be raised when the meaning of a message changes.
    static let version = 1

    private enum Kind: UInt8 {
        case claim, sweep, setZone, forgetZone, serve, assign, remove, open, close, handOver
        case end = 255
    }

    var bytes: [UInt8] {
        switch self {
        case .claim: ServiceWriter(Kind.claim.rawValue).bytes
        case .sweep: ServiceWriter(Kind.sweep.rawValue).bytes
        case .setZone(let id, let zone):
            Self.write(.setZone) {
                $0.text(id); $0.zone(zone)
            }
        case .forgetZone(let id): Self.write(.forgetZone) { $0.text(id) }
        case .serve(let scope, let zone):
            Self.write(.serve) {
                $0.text(scope); $0.text(zone)
            }
        case .assign(let scopes, let zone):
            Self.write(.assign) {
                $0.texts(scopes); $0.text(zone)
            }
        case .remove(let scope): Self.write(.remove) { $0.text(scope) }
        case .open(let port): Self.write(.open) { $0.port(port) }
        case .close(let port): Self.write(.close) { $0.port(port) }
        case .handOver: ServiceWriter(Kind.handOver.rawValue).bytes
        case .end: ServiceWriter(Kind.end.rawValue).bytes
        }
    }

    private static func write(_ kind: Kind, _ body: (inout ServiceWriter) -> Void) -> [UInt8] {
        var writer = ServiceWriter(kind.rawValue)
        body(&writer)
        return writer.bytes
    }

    init(_ bytes: [UInt8]) throws(ServiceReader.Malformed) {
        var reader = ServiceReader(bytes)
        guard let kind = Kind(rawValue: try reader.byte()) else { throw ServiceReader.Malformed() }
        switch kind {
        case .claim: self = .claim
        case .sweep: self = .sweep
        case .setZone: self = .setZone(try reader.text(), try reader.zone())
        case .forgetZone: self = .forgetZone(try reader.text())
        case .serve: self = .serve(scope: try reader.text(), zone: try reader.text())
        case .assign: self = .assign(scopes: try reader.texts(), zone: try reader.text())
        case .remove: self = .remove(scope: try reader.text())
        case .open: self = .open(try reader.port())
        case .close: self = .close(try reader.port())
        case .handOver: self = .handOver
        case .end: self = .end
        }
        guard reader.isAtEnd else { throw ServiceReader.Malformed() }
    }
}

/// What the process says.
enum ServiceReply: Equatable {
    /// To everybody who connects.
    case hello(version: Int, build: String, pid: Int32, scopes: [String])
    /// An `errno`, or 0.
    case opened(Int32)
    /// With the two descriptors of `serve`.
    case sockets(scope: String)
    case handedOver

    private enum Kind: UInt8 { case hello, opened, sockets, handedOver }

    var bytes: [UInt8] {
        switch self {
        case .hello(let version, let build, let pid, let scopes):
            var writer = ServiceWriter(Kind.hello.rawValue)
            writer.number(version)
            writer.number(Int(pid))
            writer.text(build)
            writer.texts(scopes)
            return writer.bytes
        case .opened(let code):
            var writer = ServiceWriter(Kind.opened.rawValue)
            writer.number(Int(code))
            return writer.bytes
        case .sockets(let scope):
            var writer = ServiceWriter(Kind.sockets.rawValue)
            writer.text(scope)
            return writer.bytes
        case .handedOver: return ServiceWriter(Kind.handedOver.rawValue).bytes
        }
    }

    init(_ bytes: [UInt8]) throws(ServiceReader.Malformed) {
        var reader = ServiceReader(bytes)
        guard let kind = Kind(rawValue: try reader.byte()) else { throw ServiceReader.Malformed() }
        switch kind {
        case .hello:
            let version = try reader.number()
            let pid = Int32(clamping: try reader.number())
            self = .hello(version: version, build: try reader.text(), pid: pid, scopes: try reader.texts())
        case .opened: self = .opened(Int32(clamping: try reader.number()))
        case .sockets: self = .sockets(scope: try reader.text())
        case .handedOver: self = .handedOver
        }
        guard reader.isAtEnd else { throw ServiceReader.Malformed() }
    }
}

extension ServiceWriter {
    mutating func zone(_ zone: DNSZone) {
        number(zone.external ? 1 : 0)
        texts(zone.forwarders)
        number(zone.names.count)
        for (name, addresses) in zone.names {
            text(name)
            number(addresses.count)
            for address in addresses { data(address.bytes) }
        }
    }

    mutating func port(_ port: RelayedPort) {
        number(Int(port.transport.rawValue))
        data(port.address.bytes)
        number(Int(port.port))
        data(port.target.bytes)
    }
}

extension ServiceReader {
    mutating func address() throws(Malformed) -> IPAddress {
        guard let address = IPAddress(bytes: try data()) else { throw Malformed() }
        return address
    }

    mutating func zone() throws(Malformed) -> DNSZone {
        let external = try number() == 1
        var zone = DNSZone(external: external, forwarders: try texts())
        for _ in 0..<(try number()) {
            let name = try text()
            var addresses: [IPAddress] = []
            for _ in 0..<(try number()) { addresses.append(try address()) }
            zone.names[name] = addresses
        }
        return zone
    }

    mutating func port() throws(Malformed) -> RelayedPort {
        guard let transport = RelayedPort.Transport(rawValue: UInt8(clamping: try number())),
            let address = IPv6Address(bytes: try data()), let port = UInt16(exactly: try number()),
            let target = IPv4Address(bytes: try data())
        else { throw Malformed() }
        return RelayedPort(transport: transport, address: address, port: port, target: target)
    }
}
