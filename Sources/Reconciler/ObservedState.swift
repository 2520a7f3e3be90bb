import InternetAddress
import StackModel

/// What is on the machine for one stack, as one consistent snapshot. Built by the engine from its store and the kernel;
/// the planner only reads it. Order of the arrays does not matter.
public struct ObservedState: Equatable, Sendable {
    public var containers: [ObservedContainer]
    /// The stack's own networks, and the external ones that were found.
    public var networks: [ObservedNetwork]
    /// The stack's own volumes, and the external ones that were found.
    public var volumes: [ObservedVolume]
    /// What is missing or changed in the firewall table, one phrase each: `chain forward is missing`.
    public var firewallProblems: [String]
    /// Addresses of services with `endpoint_mode: vip`.
    public var serviceAddresses: [ServiceAddresses]
    /// Nanoseconds since 1970: when this was seen.
    public var at: Int64 = 0

    public init(
        containers: [ObservedContainer] = [], networks: [ObservedNetwork] = [], volumes: [ObservedVolume] = [],
        firewallProblems: [String] = [], serviceAddresses: [ServiceAddresses] = []
    ) {
        self.containers = containers
        self.networks = networks
        self.volumes = volumes
        self.firewallProblems = firewallProblems
        self.serviceAddresses = serviceAddresses
    }

    /// The same state in the one order that the planner works in.
    func sorted() -> ObservedState {
        if isSorted { return self }
        var sorted = ObservedState(
            containers: containers.sorted { ($0.service, $0.number, $0.id) < ($1.service, $1.number, $1.id) },
            networks: networks.sorted { $0.name < $1.name }, volumes: volumes.sorted { $0.name < $1.name },
            firewallProblems: firewallProblems.sorted(),
            serviceAddresses: serviceAddresses.sorted { ($0.service, $0.network) < ($1.service, $1.network) })
        sorted.at = at
        return sorted
    }

    /// As the engine hands it over; looking is cheaper than sorting.
    private var isSorted: Bool {
        Self.isSorted(containers) { ($0.service, $0.number, $0.id) < ($1.service, $1.number, $1.id) }
            && Self.isSorted(networks) { $0.name < $1.name } && Self.isSorted(volumes) { $0.name < $1.name }
            && Self.isSorted(firewallProblems, by: <)
            && Self.isSorted(serviceAddresses) { ($0.service, $0.network) < ($1.service, $1.network) }
    }

    private static func isSorted<Element>(_ list: [Element], by areInOrder: (Element, Element) -> Bool) -> Bool {
        for index in list.indices.dropFirst() where !areInOrder(list[index - 1], list[index]) { return false }
        return true
    }
}

/// The addresses of a service's own on one network, at most one of each family.
public struct ServiceAddresses: Equatable, Sendable {
    public struct Place: Hashable, Sendable {
        public var service: String
        /// Engine name.
        public var network: String

        public init(service: String, network: String) {
            self.service = service
            self.network = network
        }
    }

    public var place: Place
    public var addresses: [IPAddress]

    public var service: String { place.service }
    public var network: String { place.network }

    public init(service: String, network: String, addresses: [IPAddress]) {
        place = Place(service: service, network: network)
        self.addresses = addresses
    }
}

/// One container of the stack, running or not.
public struct ObservedContainer: Equatable, Sendable, Identifiable {
    /// As in the Docker Engine API.
    public enum State: String, Codable, Sendable {
        /// Made, and not started yet. With `finishedAt` set: the start was tried and failed then.
        case created
        case running, paused
        /// Exited, and the restart policy is waiting for its time.
        case restarting
        case exited
        /// Half removed: only good for being removed.
        case dead
    }

    public enum Problem: Equatable, Sendable {
        /// The interface on this network (engine name) is gone, down or not plugged into the bridge.
        case vethMissing(network: String)
        /// The address on this network (engine name) is gone.
        case addressMissing(network: String)
        /// The interface on this network (engine name) is down.
        case interfaceDown(network: String)
        /// The route to this network (engine name), or out by it, is gone.
        case routeMissing(network: String)
        /// A kernel parameter (`net.ipv4.conf.eth0.rp_filter`) of the interface on this network (engine name) has
        /// another value.
        case settingChanged(network: String, name: String)
        /// Nobody answers what it looks up.
        case resolverMissing
        /// The network namespace, its own or the one it shares with another service, is not the one that is in use.
        case namespaceLost

        /// The network to plug in again; `nil` when only a restart helps.
        public var network: String? {
            switch self {
            case .vethMissing(let network), .addressMissing(let network), .interfaceDown(let network),
                .routeMissing(let network), .settingChanged(let network, _):
                network
            case .namespaceLost, .resolverMissing: nil
            }
        }

        var text: String {
            switch self {
            case .vethMissing(let network): "interface on \(network) is missing"
            case .addressMissing(let network): "address on \(network) is missing"
            case .interfaceDown(let network): "interface on \(network) is down"
            case .routeMissing(let network): "route by \(network) is missing"
            case .settingChanged(_, let name): "\(name) was changed"
            case .resolverMissing: "resolver is missing"
            case .namespaceLost: "network namespace is lost"
            }
        }

        public var kind: DriftClass {
            switch self {
            case .settingChanged: .sysctl
            case .resolverMissing: .dns
            default: .network
            }
        }
    }

    /// 64 hex digits.
    public var id: String
    public var name: String
    public var service: String
    /// Replica number, from 1. One-off containers have numbers of their own that mean nothing.
    public var number: Int
    /// Made by `run`.
    public var oneOff: Bool
    /// As it was applied when the container was made (or last updated in place).
    @Boxed public var definition: ContainerDefinition
    public var state: State
    /// It has been told to stop and still runs.
    public var stopping: Bool
    /// Its `post_start` hooks are not through yet; when it does not run, one of them has failed.
    public var isStarting = false
    public var health: ContainerHealth
    /// The service or its image defines a healthcheck that is not disabled.
    public var healthcheckDefined: Bool
    /// Of the last run; `nil` when it never ran or the engine could not learn it.
    public var exitCode: Int?
    /// Nanoseconds since 1970.
    public var createdAt: Int64
    /// Nanoseconds since 1970; of the last run.
    public var startedAt: Int64?
    /// Nanoseconds since 1970; of the last run.
    public var finishedAt: Int64?
    /// Consecutive restarts by policy; see `RestartBackoff`.
    public var restarts: Int
    /// How many before it, of its number, were replaced in a row because they were unhealthy; see `UnhealthyBackoff`.
    public var unhealthyReplacements = 0
    /// A command stopped it, so the restart policy leaves it.
    public var stoppedByUser: Bool
    /// Engine network name to its addresses there, of both families; the main one of each comes first.
    public var addresses: [String: [IPAddress]]
    /// Engine network name to what it was connected with by hand, beyond its definition.
    public var connections: [String: NetworkAttachment]
    /// The host ports the engine chose for ports that do not name one.
    public var chosenPorts: [Port: UInt16]
    /// Published TCP ports of the container that nothing in it listens on, as far as it has just started.
    public var silentPorts: Set<UInt16>
    /// Nanoseconds since 1970: it has been ready without a break from then on; `nil` when it is not, or nobody knows
    /// since when.
    public var readySince: Int64?
    /// It has volumes of its own, which its successor takes over.
    public var hasOwnVolumes: Bool
    public var problems: [Problem]
    /// An update of it while it runs was begun and not ended.
    public var isHalfUpdated = false
    /// Limits whose control files say something else.
    public var limits: [ChangedLimit] = []
    /// Nanoseconds since 1970: its processes stand still from then on, as far as is known.
    public var pausedSince: Int64?
    /// A command has paused it.
    public var pausedByUser = false

    public init(
        id: String, name: String, service: String, number: Int, definition: ContainerDefinition, state: State,
        oneOff: Bool = false
    ) {
        self.init(
            id: id, name: name, service: service, number: number, definition: Boxed(wrappedValue: definition),
            state: state, oneOff: oneOff)
    }

    /// - Parameter definition: shared with whoever keeps it, so that a look copies none.
    public init(
        id: String, name: String, service: String, number: Int, definition: Boxed<ContainerDefinition>, state: State,
        oneOff: Bool = false
    ) {
        self.id = id
        self.name = name
        self.service = service
        self.number = number
        self.oneOff = oneOff
        _definition = definition
        self.state = state
        stopping = false
        health = .none
        healthcheckDefined = false
        createdAt = 0
        restarts = 0
        stoppedByUser = false
        addresses = [:]
        connections = [:]
        chosenPorts = [:]
        silentPorts = []
        hasOwnVolumes = false
        problems = []
    }

    /// It has a process: it must be stopped before it is removed.
    public var isAlive: Bool { state == .running || state == .paused }

    /// It serves, and its published ports are open.
    public var isReady: Bool { isServing && silentPorts.isEmpty }

    /// It takes requests: running, not on its way out, healthy or without a healthcheck.
    public var isServing: Bool {
        guard state == .running, !stopping, !isStarting, !problems.contains(.namespaceLost) else { return false }
        switch health {
        case .healthy: return true
        case .none: return !healthcheckDefined
        case .starting, .unhealthy: return false
        }
    }
}

/// As in the Docker Engine API; `none` is a container without a healthcheck.
public enum ContainerHealth: String, Codable, Sendable { case none, starting, healthy, unhealthy }

/// A control file of a container's cgroup that does not say what it was given.
public struct ChangedLimit: Hashable, Sendable {
    /// `memory.max`.
    public var file: String
    public var present: String
    public var wanted: String

    public init(file: String, present: String, wanted: String) {
        self.file = file
        self.present = present
        self.wanted = wanted
    }

    var text: String { "\(file) is \(present) instead of \(wanted)" }
}

public struct ObservedNetwork: Equatable, Sendable {
    public enum Problem: String, Codable, Sendable {
        case bridgeMissing, bridgeDown, addressMissing, routeMissing, settingChanged

        var text: String {
            switch self {
            case .bridgeMissing: "bridge is missing"
            case .bridgeDown: "bridge is down"
            case .addressMissing: "bridge has lost its address"
            case .routeMissing: "route to it is missing"
            case .settingChanged: "kernel parameters of its bridge were changed"
            }
        }

        public var kind: DriftClass { self == .settingChanged ? .sysctl : .network }
    }
    /// Engine name.
    public var name: String
    /// As it was applied.
    public var definition: Network
    public var problems: [Problem]
    /// Not the stack's own.
    public var external: Bool

    public init(name: String, definition: Network, problems: [Problem] = [], external: Bool = false) {
        self.name = name
        self.definition = definition
        self.problems = problems
        self.external = external
    }
}

public struct ObservedVolume: Equatable, Sendable {
    /// Engine name.
    public var name: String
    /// As it was applied.
    public var definition: Volume
    /// Not the stack's own.
    public var external: Bool
    /// Its folder is gone.
    public var isLost = false

    public init(name: String, definition: Volume, external: Bool = false) {
        self.name = name
        self.definition = definition
        self.external = external
    }
}
