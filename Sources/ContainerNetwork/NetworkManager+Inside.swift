import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Netlink

/// What is not as it was made in a container's namespace.
public enum InsideProblem: Hashable, Sendable {
    /// By the name of the host's end.
    case missing(hostInterface: String)
    case down(hostInterface: String)
    case addressMissing(hostInterface: String)
    case routeMissing(hostInterface: String)
    /// A kernel parameter of the interface, with its own name in it: `net.ipv4.conf.eth0.log_martians`.
    case settingChanged(hostInterface: String, name: String)
}

extension NetworkManager {
    /// What to look at in one namespace.
    public struct InsideVisit: Sendable {
        var id: String
        /// Those on bridges; others are left out (`observeStackedLinks`).
        var interfaces: [InterfaceSpec]
        /// Kernel parameters of the whole namespace (`net.ipv4.ip_forward`) and what they must be. One that differs is
        /// said of the first interface.
        var parameters: [String: String]

        public init(id: String, _ interfaces: [InterfaceSpec], parameters: [String: String] = [:]) {
            self.id = id
            self.interfaces = interfaces.filter { if case .bridge = $0.kind { true } else { false } }
            self.parameters = parameters
        }
    }

    /// Compares the interfaces in namespaces with what they are to be, as far as `attach` puts it right. One thread
    /// goes from one to the next.
    public func lookInside(
        _ visits: [InsideVisit]
    ) throws(NetworkError) -> [Result<[InsideProblem], NetworkError>] {
        let hasIPv6 = hasIPv6
        return try onOwnThread(named: "netns-visit") { [self] () throws(NetworkError) in
            visits.map { visit in
                if visit.interfaces.isEmpty { return .success([]) }
                do throws(NetworkError) {
                    try enterNetworkNamespace(try namespacePath(id: visit.id))
                    return .success(try visit.problems(hostHasIPv6: hasIPv6))
                } catch {
                    return .failure(error)
                }
            }
        }
    }

    /// Writes kernel parameters of a namespace that differ; one that this kernel lacks is passed over.
    public func restoreParameters(id: String, _ parameters: [String: String]) throws(NetworkError) {
        guard !parameters.isEmpty else { return }
        try withNetworkNamespace(try namespacePath(id: id)) { () throws(NetworkError) in
            for (name, value) in parameters.sorted(by: { $0.key < $1.key }) {
                let parameter = NamespaceParameter(name, value)
                guard try parameter.isChanged() else { continue }
                try system { () throws(SystemError) in try SystemControls.write(parameter.path, value) }
            }
        }
    }

    /// Whether a bridge's switches are other than `ensureBridge` sets them. False for one that is not there.
    public func hasChangedControls(_ spec: BridgeSpec) throws(NetworkError) -> Bool {
        let isForwarding = !spec.isInternal || hasVirtualAddresses(spec.bridge) ? 1 : 0
        var wanted: [(SystemControls.Family, String, Int)] = [
            (.ipv4, "route_localnet", 1), (.ipv4, "rp_filter", 2), (.ipv4, "forwarding", isForwarding),
        ]
        if hasIPv6 { wanted.append((.ipv6, "disable_ipv6", spec.hasIPv6 ? 0 : 1)) }
        for (family, key, value) in wanted {
            if let present = try SystemControls.value(family, spec.bridge, key), present != value { return true }
        }
        return false
    }

    /// Whether the route to one of a bridge's networks is gone while the bridge is up and has the address.
    func lacksRoute(_ link: Link, _ addresses: [String], in routes: [Route]) -> Bool {
        addresses.contains { text in
            let parts = text.split(separator: "/")
            guard parts.count == 2, let address = IPAddress(parts[0]), let length = Int(parts[1]),
                length < address.bitCount, let range = CIDR(address, prefixLength: length)
            else { return false }
            return !routes.contains {
                $0.outputIndex == link.index && $0.destination == range.network.bytes
                    && Int($0.prefixLength) == range.prefixLength
            }
        }
    }

    func mainRoutes() throws(NetlinkError) -> [Route] {
        let all = try route.routes(family: AF_INET) + (hasIPv6 ? try route.routes(family: AF_INET6) : [])
        return all.filter { $0.table == RT_TABLE_MAIN.kernelValue }
    }
}

extension NetworkManager.InsideVisit {
    /// On a thread inside of the namespace.
    fileprivate func problems(hostHasIPv6: Bool) throws(NetworkError) -> [InsideProblem] {
        let route = try NetlinkSocket.make(.route)
        // What is not there to be lost needs not be asked for.
        let hasIPv6 = interfaces.contains { $0.addresses.contains { $0.address.bitCount == 128 } }
        let view = try netlink { () throws(NetlinkError) in try InsideView(route, withIPv6: hostHasIPv6 && hasIPv6) }
        var problems: [InsideProblem] = []
        for spec in interfaces { problems += try view.problems(of: spec) }
        for (name, value) in parameters.sorted(by: { $0.key < $1.key }) {
            guard try NamespaceParameter(name, value).isChanged() else { continue }
            problems.append(.settingChanged(hostInterface: interfaces[0].hostInterface, name: name))
        }
        return problems
    }
}

/// On a thread inside of the namespace.
private struct NamespaceParameter {
    let path: String
    private let value: String

    init(_ name: String, _ value: String) {
        path = "/proc/sys/" + name.replacing(".", with: "/")
        self.value = value
    }

    /// The kernel puts tabs between numbers.
    func isChanged() throws(NetworkError) -> Bool {
        do {
            return try SystemControls.readText(path).split(whereSeparator: \.isWhitespace)
                != value.split(whereSeparator: \.isWhitespace)
        } catch {
            if error.code == ENOENT { return false }
            throw .system(error)
        }
    }
}

/// The interfaces of one namespace.
private struct InsideView {
    private let links: [Link]
    private let addresses: [InterfaceAddress]
    private let routes: [Route]

    /// On a thread inside of the namespace.
    init(_ route: NetlinkSocket, withIPv6: Bool) throws(NetlinkError) {
        links = try route.links()
        addresses = try route.addresses(family: AF_INET) + (withIPv6 ? try route.addresses(family: AF_INET6) : [])
        routes = try (route.routes(family: AF_INET) + (withIPv6 ? try route.routes(family: AF_INET6) : []))
            .filter { $0.table == RT_TABLE_MAIN.kernelValue }
    }

    func problems(of spec: InterfaceSpec) throws(NetworkError) -> [InsideProblem] {
        let host = spec.hostInterface
        guard let link = links.first(where: { $0.name == spec.containerInterface }) else {
            return [.missing(hostInterface: host)]
        }
        guard link.isUp else { return [.down(hostInterface: host)] }
        let own = addresses.filter { $0.index == link.index }
        let hasAll = spec.addresses.allSatisfy { wanted in
            own.contains {
                $0.address == wanted.address.bytes && Int($0.prefixLength) == wanted.prefixLength
            }
        }
        var problems: [InsideProblem] = hasAll ? [] : [.addressMissing(hostInterface: host)]
        if hasAll, lacksRoute(spec, link) { problems.append(.routeMissing(hostInterface: host)) }
        for parameter in try InterfaceParameter.all(of: spec) where try parameter.isChanged() {
            problems.append(.settingChanged(hostInterface: host, name: parameter.name))
        }
        return problems
    }

    private func lacksRoute(_ spec: InterfaceSpec, _ link: Link) -> Bool {
        let own = routes.filter { $0.outputIndex == link.index }
        let lacksGateway = spec.gateways.contains { gateway in
            !own.contains { $0.prefixLength == 0 && $0.gateway == gateway.bytes }
        }
        if lacksGateway { return true }
        return spec.addresses.contains { wanted in
            guard wanted.prefixLength < wanted.address.bitCount,
                let range = CIDR(wanted.address, prefixLength: wanted.prefixLength)
            else { return false }
            return !own.contains {
                $0.destination == range.network.bytes && Int($0.prefixLength) == range.prefixLength
            }
        }
    }
}

extension InterfaceParameter {
    /// `net.ipv4.conf.eth0.log_martians`.
    fileprivate var name: String { path.split(separator: "/").dropFirst(2).joined(separator: ".") }

    /// On a thread inside of the namespace. One that is not there cannot be set either.
    fileprivate func isChanged() throws(NetworkError) -> Bool {
        do {
            return try SystemControls.readText(path) != value
        } catch {
            if error.code == ENOENT { return false }
            throw .system(error)
        }
    }
}
