import InternetAddress
import Reconciler
import StackModel

/// Sebastiano Vigna's SplitMix64: small, and the same sequence for the same seed everywhere.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

let second: Int64 = 1_000_000_000

/// A stack `shop` with a `default` network.
func shop(_ services: [String: Service]) -> Stack {
    var stack = Stack(name: "shop", services: services)
    stack.networks["default"] = Network()
    return stack
}

func service(
    _ image: String = "app", replicas: Int = 1, restart: RestartPolicy.Mode = .no,
    dependsOn: [String: Dependency.Condition] = [:], edit: (inout Service) -> Void = { _ in }
) -> Service {
    var service = Service(image: image)
    service.replicas = replicas
    service.restart = RestartPolicy(mode: restart)
    service.networks = ["default": NetworkAttachment()]
    service.dependsOn = dependsOn.mapValues { Dependency(condition: $0) }
    edit(&service)
    return service
}

/// A container as `stack` would have it, running and healthy if it has a healthcheck; created at 1 s, started at 2 s.
func container(
    _ stack: Stack, _ service: String, _ number: Int = 1, _ state: ObservedContainer.State = .running,
    edit: (inout ObservedContainer) -> Void = { _ in }
) -> ObservedContainer {
    let definition =
        ContainerDefinition(stack: stack, service: service, imageID: "sha256:1")
        ?? ContainerDefinition(service: Service(image: "gone"), imageID: "sha256:1")
    var result = ObservedContainer(
        id: "id-\(service)-\(number)", name: stack.containerName(service: service, number: number), service: service,
        number: number, definition: definition, state: state)
    result.createdAt = second
    result.startedAt = state == .created ? nil : 2 * second
    result.healthcheckDefined = definition.service.healthcheck != nil
    if result.healthcheckDefined { result.health = .healthy }
    if state == .exited || state == .restarting {
        result.finishedAt = 3 * second
        result.exitCode = 1
    }
    edit(&result)
    return result
}

/// What is there when `stack` is up with the given containers.
func observed(_ stack: Stack, _ containers: [ObservedContainer]) -> ObservedState {
    ObservedState(
        containers: containers,
        networks: stack.networks.map { key, network in
            ObservedNetwork(name: stack.networkName(key), definition: network, external: network.external)
        },
        volumes: stack.volumes.map { key, volume in
            ObservedVolume(name: stack.volumeName(key), definition: volume, external: volume.external)
        })
}

func desired(
    _ stack: Stack, _ mode: DesiredState.Mode = .apply, edit: (inout DesiredState) -> Void = { _ in }
) -> DesiredState {
    var result = DesiredState(stack: stack, mode: mode)
    for name in stack.services.keys { result.imageIDs[name] = "sha256:1" }
    edit(&result)
    return result
}

/// One line a step, for readable expectations: `3 stop id-web-1 <1,2> [healthy db]`.
func lines(_ plan: Plan) -> [String] {
    plan.steps.map { step in
        var line = "\(step.id) \(text(step.action))"
        if !step.after.isEmpty { line += " <" + step.after.map(String.init).joined(separator: ",") + ">" }
        if !step.gates.isEmpty { line += " [" + step.gates.map(text).joined(separator: ", ") + "]" }
        return line
    }
}

func text(_ action: Action) -> String {
    switch action {
    case .createNetwork(let key): "create network \(key)"
    case .removeNetwork(let name): "remove network \(name)"
    case .repairNetwork(let name): "repair network \(name)"
    case .createVolume(let key): "create volume \(key)"
    case .removeVolume(let name): "remove volume \(name)"
    case .createContainer(let service, let number): "create \(service)-\(number)"
    case .startContainer(.id(let id), _): "start \(id)"
    case .startContainer(.planned(let service, let number), _): "start \(service)-\(number)"
    case .stopContainer(let id, _, let drain): "stop \(id)" + (drain > 0 ? " drained" : "")
    case .renameContainer(let name): "rename \(name)"
    case .awaitReplica: "await"
    case .removeContainer(let id, let volumes): "remove \(id)" + (volumes ? " with volumes" : "")
    case .restartContainer(let id, _): "restart \(id)"
    case .updateContainer(let id): "update \(id)"
    case .repairAttachment(let id, let network): "attach \(id) to \(network)"
    case .repairFirewall: "repair firewall"
    case .restoreLimits(let id): "restore limits of \(id)"
    case .resumeContainer(let id): "resume \(id)"
    case .signalContainer(let id, let signal): "signal \(id) \(signal)"
    }
}

func text(_ gate: Gate) -> String {
    switch gate {
    case .started(let service): "started \(service)"
    case .healthy(let service): "healthy \(service)"
    case .completed(let service): "completed \(service)"
    case .replicaReady(let name), .replicaSettled(let name, 0, _): "ready \(name)"
    case .replicaSettled(let name, let monitor, _): "settled \(name) for \(monitor / second) s"
    case .networkPresent(let name): "network \(name)"
    case .volumePresent(let name): "volume \(name)"
    }
}

func changes(_ plan: Plan) -> [String] {
    plan.displayChanges.map { "\($0.action) \($0.kind) \($0.name): \($0.reason)" }
}

/// Addresses as text; one that does not parse is 0.0.0.0.
extension IPAddress: ExpressibleByStringInterpolation {
    public init(stringLiteral text: String) { self = IPAddress(text) ?? .v4(.any) }
}
