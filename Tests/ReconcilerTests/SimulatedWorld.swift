import Reconciler
import StackModel

/// A machine that does what steps say, with containers that behave as scripted, and that keeps a list of everything
/// that should not have happened.
struct SimulatedWorld {
    /// What a container of a service does once started.
    enum Behaviour: Equatable {
        /// Runs on; healthy from the next tick on when it has a healthcheck.
        case serves
        /// Ends with 0 at the next tick.
        case completes
        /// Ends with 1 at the next tick, so many times; then serves.
        case crashes(times: Int)
    }

    var desired: DesiredState
    var behaviours: [String: Behaviour]
    private(set) var state = ObservedState()
    private(set) var now: Int64 = second
    private(set) var violations: [String] = []
    private var crashes: [String: Int] = [:]
    private var lastID = 0
    /// Containers of each service when the running plan was made.
    private var countBefore: [String: Int] = [:]
    private var replacesNetworks = false
    private var isDown = false

    init(desired: DesiredState, behaviours: [String: Behaviour]) {
        self.desired = desired
        self.behaviours = behaviours
    }

    private var stack: Stack { desired.stack }

    private func wanted(_ service: String) -> Int {
        desired.scale[service] ?? stack.services[service]?.replicas ?? 0
    }

    func replicas(of service: String) -> [ObservedContainer] {
        state.containers.filter { $0.service == service && !$0.oneOff }
    }

    mutating func beginCommand() {
        now += 20 * second
        (desired.since, desired.changedAt) = (now, now)
    }

    mutating func advance(to time: Int64) {
        now = max(now, time)
        look()
    }

    // MARK: Running a plan

    /// Runs steps in a random order that the plan allows, until none can run any more.
    /// - Parameters:
    ///   - failures: Chance of each step to fail, in percent; half of those that fail have happened all the same.
    ///   - crashAfter: So many steps, then nothing more.
    mutating func run(
        _ plan: Plan, random: inout SplitMix64, failures: Int = 0, crashAfter: Int? = nil, isDown: Bool = false
    ) {
        self.isDown = isDown
        countBefore = Dictionary(grouping: state.containers.filter { !$0.oneOff }, by: \.service).mapValues(\.count)
        replacesNetworks = plan.steps.contains {
            if case .removeNetwork = $0.action { return true }
            return false
        }
        var (done, begun) = (Set<Int>(), Set<Int>())
        var idle = 0
        while begun.count < crashAfter ?? Int.max, idle < 3 {
            now += second / 1000
            guard let step = plan.runnable(done: done, begun: begun, in: state).randomElement(using: &random) else {
                idle += 1
                tick()
                continue
            }
            idle = 0
            begun.insert(step.id)
            if random.chance(20) { tick() }
            let fails = random.chance(failures)
            if !fails || random.chance(50) { perform(step) }
            if !fails { done.insert(step.id) }
        }
        tick()
    }

    /// What an observer would note.
    private mutating func look() {
        state.at = now
        for index in state.containers.indices {
            let container = state.containers[index]
            state.containers[index].readySince = container.isReady ? container.readySince ?? now : nil
        }
    }

    /// Time passes for the containers.
    mutating func tick() {
        now += second / 10
        defer { look() }
        for index in state.containers.indices where state.containers[index].state == .running {
            let container = state.containers[index]
            switch behaviours[container.service] ?? .serves {
            case .completes where !container.oneOff:
                exit(index, code: 0)
            case .crashes(let times) where !container.oneOff && crashes[container.name, default: 0] < times:
                crashes[container.name, default: 0] += 1
                exit(index, code: 1)
            default:
                if container.healthcheckDefined { state.containers[index].health = .healthy }
            }
        }
    }

    private mutating func exit(_ index: Int, code: Int) {
        state.containers[index].state = .exited
        state.containers[index].exitCode = code
        state.containers[index].finishedAt = now
        state.containers[index].health = .none
        state.containers[index].problems = []
        state.containers[index].addresses = [:]
        loseNamespaces(of: state.containers[index].service)
    }

    /// The engine would find those who share a namespace with `service` in one that nobody uses any more.
    private mutating func loseNamespaces(of service: String) {
        for index in state.containers.indices where state.containers[index].isAlive {
            let container = state.containers[index]
            guard container.definition.service.networkMode == "service:\(service)" else { continue }
            state.containers[index].problems = [.namespaceLost]
        }
    }

    /// What differs from the desired state, found without the planner.
    func faults() -> [String] {
        var faults = state.firewallProblems + state.networks.flatMap { $0.problems.map(\.rawValue) }
        for (name, service) in stack.services {
            let replicas = replicas(of: name)
            if replicas.count != wanted(name) { faults.append("\(replicas.count) of \(wanted(name)) \(name)") }
            for container in replicas {
                let isDone = behaviours[name] == .completes && container.state == .exited && container.exitCode == 0
                // The loop leaves what a job without a restart policy came to.
                let isLeft = behaviours[name] == .completes && desired.mode == .maintain && service.restart.mode == .no
                if container.state != .running, !isDone, !isLeft {
                    faults.append("\(container.name) \(container.state)")
                }
                if !container.problems.isEmpty { faults.append("\(container.name) \(container.problems)") }
                let definition = container.definition
                if definition.service.environment != service.environment || definition.imageID != desired.imageIDs[name]
                {
                    faults.append("\(container.name) is an old one")
                }
            }
        }
        return faults
    }

    // MARK: Effects

    private mutating func perform(_ step: Step) {
        defer { look() }
        switch step.action {
        case .createNetwork(let key):
            let name = stack.networkName(key)
            guard let network = stack.networks[key], !state.networks.contains(where: { $0.name == name }) else {
                return
            }
            state.networks.append(ObservedNetwork(name: name, definition: network))
        case .removeNetwork(let name):
            check(!state.containers.contains { $0.isAlive && $0.addresses[name] != nil && !$0.oneOff }, "busy \(name)")
            state.networks.removeAll { $0.name == name && !$0.external }
        case .repairNetwork(let name):
            for index in state.networks.indices where state.networks[index].name == name {
                state.networks[index].problems = []
            }
        case .createVolume(let key):
            let name = stack.volumeName(key)
            state.volumes.removeAll { $0.name == name && $0.isLost }
            state.volumes.append(
                ObservedVolume(name: stack.volumeName(key), definition: stack.volumes[key] ?? Volume()))
        case .removeVolume(let name):
            check(isDown, "removed volume \(name)")
            state.volumes.removeAll { $0.name == name }
        case .repairFirewall: state.firewallProblems = []
        case .restoreLimits(let id): edit(id) { container, _ in container.limits = [] }
        case .resumeContainer(let id): edit(id) { container, _ in container.state = .running }
        case .createContainer(let service, let number): create(service, number, step.name)
        case .startContainer(let reference, let byPolicy): start(reference, step.name, byPolicy: byPolicy)
        case .stopContainer(let id, _, _): stop(id)
        case .renameContainer(let name): rename(name, to: step.name)
        case .awaitReplica: break
        case .removeContainer(let id, _):
            check(!state.containers.contains { $0.id == id && $0.isAlive }, "removed a running \(step.name)")
            state.containers.removeAll { $0.id == id }
        case .restartContainer(let id, _):
            stop(id)
            start(.id(id), step.name, byPolicy: false)
        case .updateContainer(let id):
            edit(id) { container, world in container.definition = world.definition(container.service) }
        case .repairAttachment(let id, let network):
            edit(id) { container, _ in
                container.problems.removeAll { $0 != .namespaceLost && $0.network ?? network == network }
            }
        case .signalContainer: break
        }
    }

    private mutating func edit(_ id: String, _ body: (inout ObservedContainer, SimulatedWorld) -> Void) {
        let world = self
        guard let index = state.containers.firstIndex(where: { $0.id == id }) else { return }
        body(&state.containers[index], world)
    }

    private func definition(_ service: String) -> ContainerDefinition {
        ContainerDefinition(stack: stack, service: service, imageID: desired.imageIDs[service] ?? "")
            ?? ContainerDefinition(service: Service(image: ""), imageID: "")
    }

    private mutating func create(_ service: String, _ number: Int, _ name: String) {
        check(!state.containers.contains { $0.name == name }, "made \(name) twice")
        let surge = name.hasSuffix("-next") ? max(1, stack.services[service]?.deploy?.update?.parallelism ?? 1) : 0
        let limit = max(wanted(service), countBefore[service] ?? 0) + surge
        check(replicas(of: service).count < limit, "made \(name) beyond \(limit) replicas")
        let definition = definition(service)
        for key in definition.networkNames.values {
            check(state.networks.contains { $0.name == key }, "made \(name) without network \(key)")
        }
        for key in definition.volumeNames.values {
            check(state.volumes.contains { $0.name == key }, "made \(name) without volume \(key)")
        }
        lastID += 1
        var container = ObservedContainer(
            id: "\(lastID)", name: name, service: service, number: number, definition: definition, state: .created)
        container.createdAt = now
        container.healthcheckDefined = definition.service.healthcheck != nil
        state.containers.append(container)
    }

    private mutating func rename(_ name: String, to new: String) {
        guard let index = state.containers.firstIndex(where: { $0.name == name }) else { return }
        check(!state.containers.contains { $0.name == new }, "two containers named \(new)")
        state.containers[index].name = new
    }

    private mutating func start(_ reference: ContainerReference, _ name: String, byPolicy: Bool) {
        let found = state.containers.firstIndex { container in
            switch reference {
            case .id(let id): container.id == id
            case .planned: container.name == name
            }
        }
        guard let index = found, !state.containers[index].isAlive else { return }
        checkDependencies(of: state.containers[index])
        state.containers[index].restarts = byPolicy ? state.containers[index].restarts + 1 : 0
        state.containers[index].state = .running
        state.containers[index].startedAt = now
        state.containers[index].exitCode = nil
        state.containers[index].health = state.containers[index].healthcheckDefined ? .starting : .none
        state.containers[index].problems = []
        for name in state.containers[index].definition.networkNames.values {
            state.containers[index].addresses[name] = ["10.0.0.\(index)"]
        }
        loseNamespaces(of: state.containers[index].service)
    }

    private mutating func checkDependencies(of container: ObservedContainer) {
        let isFirst = container.startedAt == nil
        guard desired.mode == .apply || isFirst, let service = stack.services[container.service] else { return }
        for (name, dependency) in service.dependsOn {
            let others = replicas(of: name)
            guard wanted(name) > 0 else { continue }
            let holds: Bool
            switch dependency.condition {
            case .started: holds = others.allSatisfy { $0.startedAt != nil }
            case .healthy: holds = others.allSatisfy { $0.state == .running && $0.health == .healthy }
            case .completed: holds = others.allSatisfy { $0.state == .exited && $0.exitCode == 0 }
            }
            check(holds && !others.isEmpty, "started \(container.name) before \(name) was \(dependency.condition)")
        }
    }

    private mutating func stop(_ id: String) {
        guard let index = state.containers.firstIndex(where: { $0.id == id }), state.containers[index].isAlive else {
            return
        }
        let container = state.containers[index]
        if isDown {
            for other in state.containers where other.isAlive {
                let depends = other.definition.service.dependsOn[container.service] != nil
                check(!depends, "stopped \(container.name) before \(other.name)")
            }
        } else if container.isServing, !replacesNetworks, wanted(container.service) > 1,
            stack.services[container.service]?.deploy?.update?.parallelism ?? 1 < wanted(container.service)
        {
            let others = replicas(of: container.service).filter { $0.id != id && $0.isServing }
            check(!others.isEmpty, "stopped \(container.name), the last that served")
        }
        exit(index, code: 143)
    }

    private mutating func check(_ condition: Bool, _ message: String) {
        if !condition { violations.append(message) }
    }

    // MARK: Accidents

    /// Something happens to the machine.
    mutating func disturb(_ random: inout SplitMix64) {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: state.firewallProblems = ["table is missing"]
        case 1, 2:
            guard let index = state.containers.indices.randomElement(using: &random) else { return }
            if state.containers[index].isAlive { exit(index, code: 137) }
        case 3:
            guard let index = state.containers.indices.randomElement(using: &random) else { return }
            let service = state.containers[index].service
            state.containers.remove(at: index)
            loseNamespaces(of: service)
        case 4:
            guard let index = state.networks.indices.randomElement(using: &random) else { return }
            state.networks[index].problems = [.bridgeMissing]
        case 5, 6:
            guard let index = state.containers.indices.randomElement(using: &random),
                state.containers[index].isAlive, let network = state.containers[index].addresses.keys.sorted().first
            else { return }
            state.containers[index].problems = [random.chance(50) ? .namespaceLost : .vethMissing(network: network)]
        case 7:
            guard let index = state.containers.indices.randomElement(using: &random) else { return }
            if !state.containers[index].isAlive { state.containers[index].state = .dead }
        case 8:
            guard var twin = state.containers.randomElement(using: &random) else { return }
            lastID += 1
            (twin.id, twin.state, twin.startedAt, twin.finishedAt) = ("\(lastID)", .created, nil, nil)
            (twin.health, twin.problems, twin.addresses) = (.none, [], [:])
            state.containers.append(twin)
        default:
            guard let index = state.containers.indices.randomElement(using: &random) else { return }
            if state.containers[index].health == .healthy { state.containers[index].health = .unhealthy }
        }
    }

    mutating func addOneOff(of service: String) {
        lastID += 1
        var container = ObservedContainer(
            id: "\(lastID)", name: "run-\(lastID)", service: service, number: lastID, definition: definition(service),
            state: .running, oneOff: true)
        container.startedAt = now
        state.containers.append(container)
    }
}
