import Glibc
import StackModel

/// Why a short form cannot be read; `hint` says how to write it.
struct SyntaxError: Error, Equatable {
    var message: String
    var hint: String?
}

/// `[[HOST_IP:]PUBLISHED[-RANGE]:]TARGET[-RANGE][/PROTOCOL]` of the Compose Specification, chapter ports.
struct PortSyntax: Equatable {
    var hostIP: String?
    /// A port or a range; `nil` and `0` let the engine choose.
    var published: String?
    var target: UInt16
    var transport = "tcp"

    private static let hint = "write [[HOST_IP:]PUBLISHED:]TARGET[/tcp|udp|sctp], for example \"127.0.0.1:8080:80\""

    /// The ports of one short form; ranges of equal length are expanded pairwise.
    static func parse(_ text: String) throws(SyntaxError) -> [PortSyntax] {
        let halves = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let transport = halves.count > 1 && !halves[1].isEmpty ? halves[1].lowercased() : "tcp"
        guard ["tcp", "udp", "sctp"].contains(transport) else {
            throw SyntaxError(message: "invalid protocol '\(transport)' in port '\(text)'", hint: hint)
        }
        let (address, published, target) = try split(String(halves.first ?? ""))
        if let address, !isAddress(address) {
            throw SyntaxError(
                message: "invalid host address '\(address)' in port '\(text)'",
                hint: "write an IP address, for example \"127.0.0.1:8080:80\"")
        }
        let targets = try range(target, in: text)
        guard let published, !published.isEmpty else {
            return targets.map { PortSyntax(hostIP: address, target: $0, transport: transport) }
        }
        if targets.count == 1, UInt16(published) == 0 {
            return targets.map { PortSyntax(hostIP: address, published: "0", target: $0, transport: transport) }
        }
        let hosts = try range(published, in: text)
        if targets.count == 1, hosts.count > 1, let target = targets.first {
            return [PortSyntax(hostIP: address, published: published, target: target, transport: transport)]
        }
        guard targets.count == hosts.count else {
            throw SyntaxError(
                message: "port ranges of '\(text)' differ in length",
                hint: "publish as many ports as there are targets, for example \"8000-8002:80-82\"")
        }
        return zip(hosts, targets).map { host, target in
            PortSyntax(hostIP: address, published: String(host), target: target, transport: transport)
        }
    }

    private static func split(_ text: String) throws(SyntaxError) -> (String?, String?, String) {
        if text.hasPrefix("[") {
            let parts = text.dropFirst().split(separator: "]", maxSplits: 1, omittingEmptySubsequences: false)
            guard let address = parts.first, let tail = parts.dropFirst().first, tail.hasPrefix(":") else {
                throw SyntaxError(message: "invalid port '\(text)'", hint: hint)
            }
            let ports = tail.dropFirst().split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard ports.count == 2 else { throw SyntaxError(message: "invalid port '\(text)'", hint: hint) }
            return (String(address), ports[0], ports[1])
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        switch parts.count {
        case 1: return (nil, nil, parts[0])
        case 2: return (nil, parts[0], parts[1])
        default:
            let address = parts.dropLast(2).joined(separator: ":")
            return (address, parts[parts.count - 2], parts[parts.count - 1])
        }
    }

    private static func range(_ text: String, in whole: String) throws(SyntaxError) -> [UInt16] {
        guard let range = portRange(text) else {
            let place = text == whole ? "" : " in '\(whole)'"
            throw SyntaxError(message: "invalid port '\(text)'\(place)", hint: "ports are numbers from 1 to 65535")
        }
        return Array(range)
    }
}

/// `80` or `80-90`; ports from 1.
func portRange(_ text: String) -> ClosedRange<UInt16>? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count <= 2, ends.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
        let first = ends.first.flatMap({ UInt16($0) }), let last = ends.last.flatMap({ UInt16($0) }),
        first > 0, first <= last
    else { return nil }
    return first...last
}

/// An IPv4 or IPv6 address in text (inet_pton(3)).
func isAddress(_ text: String) -> Bool {
    var buffer = in6_addr()
    return inet_pton(AF_INET, text, &buffer) == 1 || inet_pton(AF_INET6, text, &buffer) == 1
}
