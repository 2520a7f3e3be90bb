import InternetAddress
import Reconciler
import StackModel

/// A container: its record, what is of it on disk and in the kernel, and what the engine has in mind about it.
struct Instance: Sendable {
    var id: String
    var name: String
    var service: String
    var number: Int
    @Boxed var definition: ContainerDefinition
    let address: IPAddress
    /// Wall clock, as all times of records.
    var createdAt: Int64

    // The record, which outlives the engine.
    var startedAt: Int64?
    var finishedAt: Int64?
    var exitCode: Int?
    var restarts = 0
    var stoppedByUser = false

    // The truth.
    var hasRecord = true
    var hasObject = false
    /// Its files are gone: it can only be removed.
    var isHalfRemoved = false
    var isAlive = false
    var isPaused = false
    /// It answers requests.
    var isListening = false
    /// Engine names of networks that its interfaces are plugged into.
    var plugged: Set<String> = []
    /// Counts its runs: what is due for an earlier one is void.
    var run = 0
    /// It went down by the engine's doing.
    var wasStopped = false
    /// The run of the container whose network namespace it lives in.
    var hostRun: String?
    /// Simulated time up to which requests that it was given last.
    var busyUntil: Int64 = 0

    // The engine's memory.
    var seemsAlive = false
    var health = ContainerHealth.none
    var silent = false
    var stopping = false
    var readySince: Int64?

    init(
        id: String, name: String, service: String, number: Int, definition: ContainerDefinition, createdAt: Int64
    ) {
        (self.id, self.name, self.service, self.number) = (id, name, service, number)
        self.createdAt = createdAt
        _definition = Boxed(wrappedValue: definition)
        address = .v4(IPv4Address(value: 10 << 24 | (UInt32(id.dropFirst()) ?? 0)))
    }

    /// What the engine knows of it; `problems` and the like are for the machine to add.
    func observed(_ state: ObservedContainer.State) -> ObservedContainer {
        ObservedContainer(id: id, name: name, service: service, number: number, definition: _definition, state: state)
    }
}

/// One applied stack, as kept.
struct Revision: Sendable {
    var number: Int
    var stack: Stack
    var imageIDs: [String: String]
    var isStable = false
}

/// The stack's record.
struct Record: Sendable {
    var stack: Stack
    var imageIDs: [String: String]
    var stopped: Set<String> = []
    var isActive = true
    var revision = 0
    var changedAt: Int64 = 0
    var isRollback = false
}

/// Everything that outlives the engine, what it has in mind about it, and the effects that change it.
struct Machine: Sendable {
    struct Net: Sendable {
        var definition: Network
        var hasRecord = true
        var hasBridge = false
    }

    var containers: [Instance] = [] { didSet { known = nil } }
    var networks: [String: Net] = [:] { didSet { known = nil } }
    var volumes: [String: Volume] = [:] { didSet { known = nil } }
    var isFirewallWhole = true { didSet { known = nil } }
    /// What the engine sees, as long as nothing changes.
    private var known: ObservedState?
    /// Image ids that can be had.
    var images: Set<String> = []
    var record: Record?
    var revisions: [Revision] = []
    /// Service and image id to what its containers do.
    var scripts: [String: Script] = [:]
    /// Service to the ids of containers that requests for it are given to.
    var balancer: [String: [String]] = [:]
    var lastID = 0
    /// Counts what clients could notice.
    var version = 0
    /// Simulated time, and how far the wall clock is off it.
    var clock: Int64 = 0
    var offset: Int64 = 1_000 * second
    /// Volumes of which somebody else is the owner, and the like.
    static let foreignNetwork = "theirs"

    var now: Int64 { clock + offset }

    func index(_ id: String) -> Int? { containers.firstIndex { $0.id == id } }

    func script(_ instance: Instance) -> Script {
        scripts["\(instance.service) \(instance.definition.imageID)"] ?? Script()
    }

    // MARK: What the engine sees

    mutating func observed() -> ObservedState {
        let state = seen()
        known = state
        return state
    }

    /// The same, where nothing can be remembered.
    func seen() -> ObservedState {
        var state = known ?? look()
        state.at = now
        return state
    }

    private func look() -> ObservedState {
        ObservedState(
            containers: containers.filter(\.hasRecord).map(observed),
            networks: networks.filter(\.value.hasRecord).sorted { $0.key < $1.key }.map { name, net in
                ObservedNetwork(
                    name: name, definition: net.definition, problems: net.hasBridge ? [] : [.bridgeMissing],
                    external: name == Self.foreignNetwork)
            },
            volumes: volumes.sorted { $0.key < $1.key }.map { ObservedVolume(name: $0.key, definition: $0.value) },
            firewallProblems: isFirewallWhole ? [] : ["table is missing"])
    }

    private func observed(_ instance: Instance) -> ObservedContainer {
        var state = ObservedContainer.State.exited
        if instance.isHalfRemoved {
            state = .dead
        } else if instance.seemsAlive {
            state = instance.isPaused ? .paused : .running
        } else if instance.startedAt == nil {
            state = .created
        }
        var result = instance.observed(state)
        result.stopping = instance.stopping
        result.health = instance.health
        result.healthcheckDefined = instance.definition.service.healthcheck != nil
        result.exitCode = instance.exitCode
        (result.createdAt, result.startedAt, result.finishedAt) = (
            instance.createdAt, instance.startedAt, instance.finishedAt
        )
        result.restarts = instance.restarts
        result.stoppedByUser = instance.stoppedByUser
        if instance.seemsAlive {
            let networks = instance.definition.networkNames.values
            for name in networks { result.addresses[name] = [instance.address] }
            result.problems = networks.sorted().filter { !instance.plugged.contains($0) }.map {
                .vethMissing(network: $0)
            }
            if isNamespaceLost(instance) { result.problems = [.namespaceLost] }
        }
        if instance.silent { result.silentPorts = Set(instance.definition.service.ports.map(\.target)) }
        result.readySince = instance.readySince
        return result
    }

    /// It lives in the network namespace of a service that has none any more, or another.
    private func isNamespaceLost(_ instance: Instance) -> Bool {
        guard let mode = instance.definition.service.networkMode, let host = host(mode) else { return false }
        return hostRun(host) != instance.hostRun
    }

    /// The present run of the first replica of a service.
    func hostRun(_ service: String) -> String? {
        let hosts = containers.filter { $0.service == service && $0.hasRecord && $0.seemsAlive }
        return hosts.min { $0.number < $1.number }.map { "\($0.id) \($0.run)" }
    }

    func host(of service: Service) -> String? { service.networkMode.flatMap(host) }

    private func host(_ mode: String) -> String? { mode.hasPrefix("service:") ? String(mode.dropFirst(8)) : nil }

    /// The engine gives the balancer what it knows.
    mutating func refresh() {
        version += 1
        let state = observed()
        var seen = state.containers[...]
        for index in containers.indices where containers[index].hasRecord {
            guard let isReady = seen.popFirst()?.isReady else { break }
            guard isReady != (containers[index].readySince != nil) else { continue }
            containers[index].readySince = isReady ? now : nil
        }
        let names = endpoints(of: state).names[record?.stack.networkName("default") ?? ""] ?? [:]
        var result: [String: [String]] = [:]
        for instance in containers {
            guard names[instance.service]?.contains(instance.address) == true else { continue }
            result[instance.service, default: []].append(instance.id)
        }
        balancer = result
    }

    /// What there should be, as the loop has it.
    func desired(_ mode: DesiredState.Mode = .maintain) -> DesiredState? {
        guard let record else { return nil }
        var desired = DesiredState(stack: record.stack, imageIDs: record.imageIDs, mode: mode)
        desired.stopped = record.stopped
        desired.isRollback = record.isRollback
        let isStable = revisions.first { $0.number == record.revision }?.isStable ?? false
        if record.revision > 1, !isStable { desired.changedAt = record.changedAt }
        return desired
    }

    func history() -> RevisionHistory {
        RevisionHistory(
            revisions.map {
                RevisionHistory.Revision(
                    number: $0.number, isStable: $0.isStable,
                    resolved: ResolvedStack(stack: $0.stack, imageIDs: $0.imageIDs, scale: [:]))
            }, present: record?.revision)
    }

    /// A network is not what it should be: it and all who are on it are made anew.
    var replacesNetworks: Bool {
        guard let stack = record?.stack else { return false }
        return stack.networks.contains { key, network in
            networks[stack.networkName(key)]?.definition.isInternal != network.isInternal
        }
    }

    // MARK: The engine's life

    /// Its memory is gone; what it has made is not.
    mutating func loseMemory() {
        for index in containers.indices {
            // That it was told to stop stands in its record.
            containers[index].stopping = containers[index].wasStopped
            containers[index].readySince = nil
        }
    }

    /// A new engine looks at what there is: `adoptContainers` and `sweepOrphans`.
    mutating func adopt() {
        containers.removeAll { !$0.hasRecord }
        for name in networks.keys.sorted() where networks[name]?.hasRecord == false { networks[name] = nil }
        for index in containers.indices {
            var instance = containers[index]
            instance.seemsAlive = instance.isAlive
            // Only one that runs can be on its way out.
            if !instance.isAlive { instance.stopping = false }
            if instance.isAlive {
                instance.exitCode = nil
                instance.health = instance.definition.service.healthcheck == nil ? .none : .starting
                if instance.isListening, instance.health == .starting { instance.health = .healthy }
                instance.silent = false
            } else if instance.startedAt != nil, instance.exitCode == nil {
                (instance.exitCode, instance.finishedAt) = (255, instance.finishedAt ?? now)
                (instance.health, instance.silent) = (.none, false)
            }
            containers[index] = instance
        }
        refresh()
    }

    /// Nothing runs any more, and the kernel has forgotten everything.
    mutating func reboot() {
        for index in containers.indices where containers[index].isAlive { end(index, code: 255) }
        for name in networks.keys.sorted() where name != Self.foreignNetwork { networks[name]?.hasBridge = false }
        isFirewallWhole = false
    }

    /// A process is gone; the engine does not know yet.
    mutating func end(_ index: Int, code: Int) {
        version += 1
        containers[index].isAlive = false
        containers[index].isPaused = false
        containers[index].isListening = false
        containers[index].run += 1
        containers[index].exitCode = code
        containers[index].finishedAt = now
        containers[index].plugged = []
        containers[index].busyUntil = 0
    }

    /// The engine hears of it.
    mutating func learnEnd(_ id: String) {
        guard let index = index(id), !containers[index].isAlive else { return }
        containers[index].seemsAlive = false
        containers[index].stopping = false
        containers[index].health = .none
        containers[index].silent = false
        refresh()
    }
}
