import StackModel

/// How the replicas of one service are replaced: `deploy.update_config` (Compose Deploy Specification), and where that
/// says nothing what is safe.
struct RolloutPolicy: Equatable, Sendable {
    /// A successor serves before its predecessor is stopped.
    var startsFirst: Bool
    /// Why, for the plan: `it has a healthcheck`.
    var reason: String
    /// Replicas that are replaced at a time.
    var parallelism: Int
    /// Nanoseconds between the end of one replacement and the beginning of the next.
    var delay: Int64
    /// Nanoseconds that a new replica has to serve before it counts.
    var monitor: Int64
    var failureAction: UpdateConfig.FailureAction
    /// Share of the replicas to replace that may fail, 0 to 1.
    var failureRatioMax: Double
    /// Nanoseconds that the connections of a replica have to end.
    var drain: Int64
    /// Nanoseconds from one new replica to the next, after which a rollout that is not at its end has failed.
    var progressDeadline: Int64
    /// Replicas that are replaced before somebody promotes the rollout; 0 is none.
    var canary: Int
    /// Canaries that have settled are promoted by that.
    var promotesItself: Bool
    /// The stack file says something about updates: then a command waits for the last replica too.
    var isExplicit: Bool

    /// As Docker's: what runs so long is up.
    static let defaultMonitor: Int64 = 5 * 1_000_000_000
    /// Nanoseconds that a replica has to become ready at all, unless its healthcheck gives it more.
    private static let readyPatience: Int64 = 300 * 1_000_000_000
    private static let defaultDrain: Int64 = 10 * 1_000_000_000
    /// As Kubernetes' `progressDeadlineSeconds`.
    private static let defaultProgressDeadline: Int64 = 600 * 1_000_000_000

    /// - Parameters:
    ///   - service: as it is to be.
    ///   - containers: the replicas that are there.
    ///   - isShared: others live in its namespaces.
    init(_ service: Service, config: UpdateConfig?, containers: [ObservedContainer], isShared: Bool) {
        let (startsFirst, reason) = Self.order(service, config?.order, containers, isShared: isShared)
        self.startsFirst = startsFirst
        self.reason = reason
        // 0 is all at a time.
        let parallelism = config?.parallelism ?? 1
        self.parallelism = parallelism <= 0 ? Int.max : parallelism
        let options = service.gantry?.rollout
        isExplicit = config != nil || options != nil
        delay = Self.bounded(config?.delay ?? 0)
        monitor = Self.bounded(options?.minHealthyTime ?? config?.monitor ?? (isExplicit ? Self.defaultMonitor : 0))
        failureAction = config?.failureAction ?? .pause
        if let rollsBack = options?.autoRollback { failureAction = rollsBack ? .rollback : .pause }
        failureRatioMax = config?.failureRatioMax ?? 0
        drain = Self.drain(of: service)
        // What one replica may take for itself is no lack of progress.
        let patience = Self.readyPatience(service) + monitor + delay + drain
        progressDeadline = Self.bounded(
            options?.progressDeadline
                ?? max(Self.defaultProgressDeadline, patience + Self.bounded(service.stopGracePeriod ?? 0)))
        canary = max(0, options?.canary ?? 0)
        promotesItself = options?.autoPromote ?? false
    }

    /// Nanoseconds that connections have to end after the service's name and ports stopped leading to a replica.
    static func drain(of service: Service?) -> Int64 { bounded(service?.gantry?.rollout?.drain ?? defaultDrain) }

    /// Nanoseconds that a replica of the service has to become ready.
    static func readyPatience(_ service: Service) -> Int64 {
        if let deadline = service.gantry?.rollout?.healthyDeadline { return bounded(deadline) }
        guard let check = service.healthcheck else { return readyPatience }
        let probes = Int64(min(max(1, check.retries ?? 3), 100) + 1)
        let interval = min(bounded(check.interval ?? 30 * 1_000_000_000), Int64.max / 1024)
        return max(readyPatience, bounded(check.startPeriod ?? 0) + interval * probes)
    }

    /// Sums of such times, and of one with the present, are numbers still.
    private static func bounded(_ nanoseconds: Int64) -> Int64 { min(max(0, nanoseconds), Int64.max / 8) }

    private static func order(
        _ service: Service, _ wanted: UpdateConfig.Order?, _ containers: [ObservedContainer], isShared: Bool
    ) -> (startsFirst: Bool, reason: String) {
        if let wanted { return (wanted == .startFirst, "update_config.order says so") }
        if let why = exclusiveUse(service, containers, isShared: isShared) { return (false, why) }
        let isChecked =
            service.healthcheck?.test.map { $0.first != "NONE" } ?? containers.contains(where: \.healthcheckDefined)
        if isChecked { return (true, "it has a healthcheck") }
        if service.ports.contains(where: { $0.transport == .tcp }) { return (true, "it publishes a port") }
        return (false, "nothing tells when it is ready")
    }

    /// What two replicas of one number cannot have at the same time.
    private static func exclusiveUse(
        _ service: Service, _ containers: [ObservedContainer], isShared: Bool
    ) -> String? {
        if let mode = service.networkMode { return "its network is \(mode)" }
        if service.pidMode != nil || service.ipcMode != nil { return "it shares a namespace" }
        if isShared { return "others share its namespaces" }
        if let mount = service.mounts.first(where: \.isWritten) { return "it writes to \(mount.target)" }
        if containers.contains(where: \.hasOwnVolumes) { return "its image has a volume" }
        if service.networks.values.contains(where: \.isFixed) { return "it has a fixed address" }
        if service.ports.contains(where: { $0.published != nil && $0.shared == nil }) {
            return "each replica has a port of its own"
        }
        if !service.devices.isEmpty || !service.deviceRequests.isEmpty { return "it uses a device" }
        return nil
    }
}

extension Mount {
    /// More than one replica may not be made for it.
    fileprivate var isWritten: Bool { !readOnly && (kind == .volume || kind == .bind) }
}

extension NetworkAttachment {
    fileprivate var isFixed: Bool {
        ipv4Address != nil || ipv6Address != nil || macAddress != nil || !linkLocalIPs.isEmpty
    }
}

/// Nanoseconds that a replica of the service has to become ready.
public func readyPatience(_ service: Service) -> Int64 { RolloutPolicy.readyPatience(service) }

/// `1h30m`, as Compose writes durations.
public func durationText(_ nanoseconds: Int64) -> String { FieldUnit.duration(nanoseconds) }

/// Nanoseconds after which an update of the service has failed that makes no progress.
public func progressDeadline(_ service: Service) -> Int64 {
    RolloutPolicy(service, config: service.deploy?.update, containers: [], isShared: false).progressDeadline
}
