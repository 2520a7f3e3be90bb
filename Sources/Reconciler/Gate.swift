import StackModel

/// What must be true of the observed state before a step may run.
public enum Gate: Equatable, Hashable, Sendable {
    /// `service_started`: every replica has been started.
    case started(service: String)
    /// `service_healthy`: every replica is healthy.
    case healthy(service: String)
    /// `service_completed_successfully`: every replica has exited with 0.
    case completed(service: String)
    /// The container (engine name) serves, or has done its work.
    case replicaReady(name: String)
    /// The container (engine name) has been ready for `monitor` nanoseconds, or has done its work. One that keeps
    /// ending never will be, nor one of a rollout that began at `begunAt` (nanoseconds since 1970) and is late.
    case replicaSettled(name: String, monitor: Int64, begunAt: Int64? = nil)
    /// An external network (engine name) is there.
    case networkPresent(name: String)
    /// A volume (engine name) is there.
    case volumePresent(name: String)
}

public enum GateStatus: Equatable, Sendable {
    case holds
    /// It may come to hold by itself.
    case pending
    /// It cannot, unless somebody acts.
    case failed(Diagnostic)
}

extension Gate {
    public func status(in observed: ObservedState) -> GateStatus { status(in: observed, except: []) }

    /// - Parameter except: Ids of containers that a plan replaces, starts or removes: their present state says nothing.
    func status(in observed: ObservedState, except: Set<String>) -> GateStatus {
        switch self {
        case .started(let service):
            return Self.all(of: service, in: observed, except: except) { container in
                if Self.hasTwinAlive(container, in: observed) { return .holds }
                if container.startedAt != nil { return container.isStarting ? .pending : .holds }
                guard container.finishedAt != nil, !container.mayComeBack else { return .pending }
                return Self.failure(container, container.exitText)
            }
        case .healthy(let service):
            return Self.all(of: service, in: observed, except: except, Self.health)
        case .completed(let service):
            return Self.all(of: service, in: observed, except: except, Self.completion)
        case .replicaReady(let name):
            let replicas = observed.containers.filter { $0.name == name && !$0.oneOff && !except.contains($0.id) }
            return replicas.isEmpty ? .pending : Self.worst(replicas.map(Self.readiness))
        case .replicaSettled(let name, let monitor, let begunAt):
            let replicas = observed.containers.filter { $0.name == name && !$0.oneOff && !except.contains($0.id) }
            guard !replicas.isEmpty else { return .pending }
            return Self.worst(replicas.map { Self.settling($0, monitor, begunAt, at: observed.at) })
        case .networkPresent(let name):
            let isThere = observed.networks.contains { $0.name == name }
            let message = "network \(name) declared as external, but could not be found"
            let hint = "create it with `gantry network create \(name)`, or take 'external: true' out"
            return isThere ? .holds : .failed(Diagnostic(code: "network.not-found", message, hint: hint))
        case .volumePresent(let name):
            let isThere = observed.volumes.contains { $0.name == name && !$0.isLost }
            return isThere ? .holds : .failed(Diagnostic(code: "volume.not-found", "volume \(name) could not be found"))
        }
    }

    private static func all(
        of service: String, in observed: ObservedState, except: Set<String>,
        _ status: (ObservedContainer) -> GateStatus
    ) -> GateStatus {
        let replicas = observed.containers.filter { $0.service == service && !$0.oneOff }
        guard !replicas.isEmpty else { return .pending }
        return worst(replicas.map { except.contains($0.id) ? .pending : status($0) })
    }

    /// Its predecessor still runs: the service is there, whether the successor comes up or not.
    private static func hasTwinAlive(_ container: ObservedContainer, in observed: ObservedState) -> Bool {
        container.finishedAt != nil
            && observed.containers.contains {
                $0.service == container.service && $0.number == container.number && $0.isAlive && !$0.oneOff
            }
    }

    private static func worst(_ all: [GateStatus]) -> GateStatus {
        for case .failed(let diagnostic) in all { return .failed(diagnostic) }
        return all.contains(.pending) ? .pending : .holds
    }

    private static func failure(_ container: ObservedContainer, _ what: String) -> GateStatus {
        .failed(
            Diagnostic(
                code: "dependency.failed", "dependency failed to start: container \(container.name) \(what)",
                hint: "see `gantry logs \(container.service)`"))
    }

    private static func health(_ container: ObservedContainer) -> GateStatus {
        switch container.state {
        case .running, .paused:
            guard container.healthcheckDefined || container.health != .none else {
                return failure(container, "has no healthcheck configured")
            }
            switch container.health {
            case .healthy: return container.stopping || container.isStarting ? .pending : .holds
            case .unhealthy: return container.stopping ? .pending : failure(container, "is unhealthy")
            case .none, .starting: return .pending
            }
        case .created where container.finishedAt == nil: return .pending
        case .created, .exited, .restarting, .dead:
            return container.mayComeBack ? .pending : failure(container, container.exitText)
        }
    }

    static func completion(_ container: ObservedContainer) -> GateStatus {
        switch container.state {
        case .running, .paused: return .pending
        case .created where container.finishedAt == nil: return .pending
        case .created, .exited, .restarting, .dead:
            if container.hasCompleted { return .holds }
            if container.mayComeBack { return .pending }
            let code = container.exitCode.map { "exit \($0)" } ?? "exit code unknown"
            return .failed(
                Diagnostic(
                    code: "dependency.failed", "service \"\(container.service)\" didn't complete successfully: \(code)",
                    hint: "see `gantry logs \(container.service)`"))
        }
    }

    static func readiness(_ container: ObservedContainer) -> GateStatus {
        if container.isReady || container.hasCompleted { return .holds }
        switch container.state {
        case .running, .paused:
            guard container.health == .unhealthy, !container.stopping else { return .pending }
            return .failed(Diagnostic(code: "replica.unhealthy", "container \(container.name) is unhealthy"))
        case .created where container.finishedAt == nil: return .pending
        case .created, .exited, .restarting, .dead:
            if container.comesBack { return .pending }
            return .failed(
                Diagnostic(code: "replica.failed", "container \(container.name) \(container.exitText)"))
        }
    }
}

extension Gate {
    /// Ends of a run before the replica counts as failed: once may be bad luck.
    private static let restartsMax = 2

    private static func settling(
        _ container: ObservedContainer, _ monitor: Int64, _ begunAt: Int64?, at now: Int64
    ) -> GateStatus {
        let readiness = readiness(container)
        switch readiness {
        case .failed: return readiness
        case .holds:
            if monitor == 0 || container.hasCompleted { return .holds }
            if let readySince = container.readySince, now - readySince >= monitor { return .holds }
        case .pending:
            if container.restarts >= restartsMax {
                return failedReplica(container, "keeps ending: \(container.exitText)")
            }
        }
        guard let end = deadline(of: container, monitor, begunAt), now >= end, !container.stopping else {
            return .pending
        }
        return failedReplica(container, "was not ready in time, or not for long enough")
    }

    /// Nanoseconds since 1970: when it is late, for all that it may have been ready meanwhile.
    private static func deadline(of container: ObservedContainer, _ monitor: Int64, _ begunAt: Int64?) -> Int64? {
        guard let begunAt else { return nil }
        let patience = RolloutPolicy.readyPatience(container.definition.service) + monitor
        let first = max(begunAt, container.createdAt)
        // One that was started later than that had settled before, and has its time again.
        if let startedAt = container.startedAt, startedAt > first + patience { return startedAt + patience }
        return first + patience
    }

    private static func failedReplica(_ container: ObservedContainer, _ what: String) -> GateStatus {
        .failed(
            Diagnostic(
                code: "replica.failed", "container \(container.name) \(what)",
                hint: "see `gantry logs \(container.service)`"))
    }

    /// Nanoseconds since 1970: when time alone may change what the gate says; `nil` when it does not.
    func turnsAt(in observed: ObservedState) -> Int64? {
        guard case .replicaSettled(let name, let monitor, let begunAt) = self, status(in: observed) == .pending else {
            return nil
        }
        return observed.containers.filter { $0.name == name && !$0.oneOff }.flatMap { container in
            [container.readySince.map { $0 + monitor }, Self.deadline(of: container, monitor, begunAt)].compactMap {
                $0
            }
        }.filter { $0 > observed.at }.min()
    }
}

extension ObservedContainer {
    /// It ran to its end, successfully.
    var hasCompleted: Bool { state == .exited && exitCode == 0 }

    /// Its restart policy starts it again, sooner or later.
    var comesBack: Bool {
        state != .dead && RestartBackoff.decision(for: self, now: Int64.max) != .stay
    }

    /// Restarts in a row after which nobody waits for it any more, which is after a minute and a half.
    private static let restartsMax = 10

    /// Whoever depends on it has a reason to wait.
    var mayComeBack: Bool { comesBack && restarts < Self.restartsMax }

    var exitText: String {
        if state == .created { return "could not be started" }
        return exitCode.map { "exited (\($0))" } ?? "exited"
    }
}
