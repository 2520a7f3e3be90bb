import StackModel

/// What there should be, and how far a plan may go to get there.
public struct DesiredState: Equatable, Sendable {
    public enum Mode: String, Codable, Sendable {
        /// An explicit command (`up`): whatever is not running is started.
        case apply
        /// The background loop: what stopped is started again by its restart policy only.
        case maintain
    }

    public var stack: Stack
    /// Service to image id (`sha256:…`). A service without an entry keeps the image its containers have.
    public var imageIDs: [String: String]
    /// Service to number of replicas, in place of the stack's.
    public var scale: [String: Int]
    /// Only these services and what they depend on; empty: all.
    public var selection: [String]
    public var mode: Mode
    /// Nanoseconds since 1970: when the command began. What was made or started since then is not made or started
    /// again because of the command, so planning once more in the middle of it (or after a crash) goes on with it.
    /// `nil`: nothing has been done for this command yet.
    public var since: Int64?
    /// Nanoseconds since 1970: when the stack was last changed. What was made since then is what a rollout has made,
    /// whichever command, or engine, went on with it. `nil`: it is as it was at first.
    public var changedAt: Int64?
    /// Nanoseconds since 1970: since when somebody has gone on with the rollout: the engine's start, or when it was
    /// resumed or promoted. Nobody was late before that.
    public var followedSince: Int64?
    /// `.apply` only.
    public var forceRecreate: Bool
    /// Containers and networks stay as they are. Holds in both modes, so the engine keeps it with the stack.
    public var noRecreate: Bool
    public var removeOrphans: Bool
    /// Make, but do not start.
    public var noStart: Bool
    /// Leave the services that the selected ones depend on alone, and do not wait for them.
    public var noDependencies: Bool
    /// What may be replaced although its data is lost: `volume.KEY`. With `.apply` only, and never in a rollback.
    public var allowDestroy: Set<String>
    /// What would have to be destroyed and is not allowed to be stands in the way, instead of staying as it is.
    public var refusesDestruction: Bool
    /// An update is undone: `rollback_config` counts.
    public var isRollback: Bool
    /// Nobody begins to replace replicas until the rollout is resumed; what is begun is ended.
    public var isPaused: Bool
    /// Services whose canaries are found good: the rest is replaced too.
    public var promoted: Set<String>
    /// Services stopped by a command (or made with `noStart`): not touched in `.maintain`.
    public var stopped: Set<String>
    /// Everything has been made once: what is missing was removed by others.
    public var isSettled = false
    /// Volumes (engine name or key) that are made anew, empty, where they are gone.
    public var recreatedVolumes: Set<String> = []
    /// Addresses (`PlanAddress`) of what a plan that was made before is about: `.apply` counts for these. What differs
    /// elsewhere is the background loop's business, also while the plan is carried out. `nil`: all.
    public var touches: Set<String>?

    public init(stack: Stack, imageIDs: [String: String] = [:], mode: Mode) {
        self.stack = stack
        self.imageIDs = imageIDs
        self.mode = mode
        scale = [:]
        selection = []
        forceRecreate = false
        noRecreate = false
        removeOrphans = false
        noStart = false
        noDependencies = false
        allowDestroy = []
        refusesDestruction = false
        isRollback = false
        isPaused = false
        promoted = []
        stopped = []
    }

    /// More replicas of one service than this are refused: a Linux bridge has 1,024 ports (`BR_MAX_PORTS`).
    public static let replicasMax = 1_000

    func oneShots(_ graph: DependencyGraph) -> Set<String> { stack.oneShots(graph) }

    /// `mode`, for what has this address.
    func mode(of address: @autoclosure () -> String) -> Mode {
        guard mode == .apply, let touches else { return mode }
        return touches.contains(address()) ? .apply : .maintain
    }

    var rolloutSince: Int64? { forceRecreate ? since : changedAt }

    /// A service that runs by the clock has none; its runs are `decideJob`'s business.
    func replicas(of service: String) -> Int {
        stack.services[service]?.schedule == nil ? max(0, scale[service] ?? stack.services[service]?.replicas ?? 0) : 0
    }
}

extension Stack {
    /// Services that reach their goal by ending with 0: those that others wait for to complete, and those that the
    /// stack file calls jobs.
    public var oneShots: Set<String> { oneShots(DependencyGraph(services: services)) }

    func oneShots(_ graph: DependencyGraph) -> Set<String> {
        Surveyor.awaited(in: graph).union(graph.jobs)
    }

    /// The services that a command acts on which names `selection` (all when it names none): those and, unless
    /// `noDependencies`, what they depend on.
    public func applied(_ selection: [String], noDependencies: Bool = false) -> Set<String> {
        guard !selection.isEmpty else { return Set(services.keys) }
        return noDependencies ? Set(selection) : DependencyGraph(services: services).closure(of: selection)
    }

    /// The stack that the engine keeps after a command that named only some services: those (and, unless
    /// `noDependencies`, what they depend on) as in `self`, the others as they were in `previous`.
    public func keeping(_ previous: Stack?, selection: [String], noDependencies: Bool = false) -> Stack {
        guard let previous, !selection.isEmpty else { return self }
        let applied = applied(selection, noDependencies: noDependencies)
        var result = self
        for (name, service) in previous.services where !applied.contains(name) { result.services[name] = service }
        for name in services.keys where !applied.contains(name) && previous.services[name] == nil {
            result.services[name] = nil
        }
        result.networks.merge(previous.networks) { new, _ in new }
        result.volumes.merge(previous.volumes) { new, _ in new }
        result.configs.merge(previous.configs) { new, _ in new }
        result.secrets.merge(previous.secrets) { new, _ in new }
        result.secretValues = Set(secretValues).union(previous.secretValues).sorted()
        return result
    }
}
