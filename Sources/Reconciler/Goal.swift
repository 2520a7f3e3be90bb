import StackModel

/// Whether the selected services are where they should be; what `up --wait` waits for.
public enum Goal: Equatable, Sendable {
    /// Every replica serves, or has ended with 0 and stays so.
    case reached
    /// Names of the containers that are not there yet.
    case pending([String])
    /// It cannot be reached unless somebody acts.
    case failed([Diagnostic])
}

public func goal(desired: DesiredState, observed: ObservedState) -> Goal {
    let graph = DependencyGraph(services: desired.stack.services)
    var names = desired.selection.isEmpty ? Set(desired.stack.services.keys) : Set(desired.selection)
    if !desired.noDependencies { names = graph.closure(of: names.sorted()) }
    let containers = Dictionary(grouping: observed.sorted().containers.filter { !$0.oneOff }, by: \.service)
    var (pending, failed) = ([String](), [Diagnostic]())
    let oneShots = desired.oneShots(graph)
    if desired.isRollback { names.subtract(oneShots) }
    // What a command has stopped is where it should be.
    for service in names.subtracting(desired.stopped).sorted() {
        let own = containers[service] ?? []
        for container in own {
            let isOneShot = oneShots.contains(service) && container.mayEnd
            switch isOneShot ? Gate.completion(container) : Gate.readiness(container) {
            case .holds: continue
            case .pending: pending.append(container.name)
            case .failed(let diagnostic): failed.append(diagnostic)
            }
        }
        let numbers = Set(own.map(\.number))
        let replicas = min(desired.replicas(of: service), DesiredState.replicasMax)
        guard own.count < replicas else { continue }
        let missing = (1...replicas).lazy.filter { !numbers.contains($0) }.prefix(replicas - own.count)
        pending += missing.map { desired.stack.containerName(service: service, number: $0) }
    }
    if !failed.isEmpty { return .failed(failed) }
    return pending.isEmpty ? .reached : .pending(pending)
}

extension ObservedContainer {
    /// One that is always restarted never ends, whoever waits for that.
    fileprivate var mayEnd: Bool {
        switch definition.service.restart.mode {
        case .no, .onFailure: true
        case .always, .unlessStopped: false
        }
    }
}
