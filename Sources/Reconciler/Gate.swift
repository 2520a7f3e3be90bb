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
    public func status(in observed: ObservedState) -> GateStatus { status(in: ContainerIndex(scanning: observed)) }

    /// One that is to be stopped is never its own successor, although it may have a successor's name: when it got that
    /// from a rename that said it was done, and was not.
    func status(for action: Action, in index: ContainerIndex) -> GateStatus {
        guard case .stopContainer(let id, _, _) = action else { return status(in: index) }
        switch self {
        case .replicaReady, .replicaSettled: return status(in: index, except: [id])
        default: return status(in: index)
        }
    }

    /// - Parameter except: Ids of containers that a plan replaces, starts or removes: their present state says nothing.
    func status(in index: ContainerIndex, except: Set<String> = []) -> GateStatus {
        let observed = index.observed
        switch self {
        case .started(let service):
            return Self.all(of: service, in: index, except: except) { container in
                if Self.hasTwinAlive(container, in: index) { return .holds }
                if container.startedAt != nil { return container.isStarting ? .pending : .holds }
                guard container.finishedAt != nil, !container.mayComeBack else { return .pending }
                return Self.failure(container, container.exitText)
            }
        case .healthy(let service):
            return Self.all(of: service, in: index, except: except, Self.health)
        case .completed(let service):
            return Self.all(of: service, in: index, except: except, Self.completion)
        case .replicaReady(let name):
            var worst = Worst()
            index.forEach(named: name) { if !except.contains($0.id) { worst.add(Self.readiness($0)) } }
            return worst.status
        case .replicaSettled(let name, let monitor, let begunAt):
            var worst = Worst()
            index.forEach(named: name) { container in
                guard !except.contains(container.id) else { return }
                worst.add(Self.settling(container, monitor, begunAt, at: observed.at))
            }
            return worst.status
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

    /// Of all that a gate is about.
    private struct Worst {
        /// Of none: it may come.
        private(set) var status = GateStatus.pending
        private var isEmpty = true

        mutating func add(_ other: GateStatus) {
            defer { isEmpty = false }
            switch (status, other) {
            case (.failed, _): return
            case (_, .failed), (.holds, .pending): status = other
            case (_, .holds): if isEmpty { status = other }
            case (.pending, .pending): return
            }
        }
    }

    private static func all(
        of service: String, in index: ContainerIndex, except: Set<String>, _ status: (ObservedContainer) -> GateStatus
    ) -> GateStatus {
        var worst = Worst()
        index.forEach(of: service) { worst.add(except.contains($0.id) ? .pending : status($0)) }
        return worst.status
    }

    /// Its predecessor still runs: the service is there, whether the successor comes up or not.
    private static func hasTwinAlive(_ container: ObservedContainer, in index: ContainerIndex) -> Bool {
        guard container.finishedAt != nil else { return false }
        var isThere = false
        index.forEach(of: container.service) { if $0.number == container.number, $0.isAlive { isThere = true } }
        return isThere
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

    /// Nanoseconds since 1970: when time alone may change what the gate, which is pending, says; `nil`: never.
    func turnsAt(in index: ContainerIndex) -> Int64? {
        guard case .replicaSettled(let name, let monitor, let begunAt) = self else { return nil }
        var soonest: Int64?
        index.forEach(named: name) { container in
            for time in [container.readySince.map { $0 + monitor }, Self.deadline(of: container, monitor, begunAt)] {
                guard let time, time > index.observed.at else { continue }
                soonest = min(time, soonest ?? time)
            }
        }
        return soonest
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
