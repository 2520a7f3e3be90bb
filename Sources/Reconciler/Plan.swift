import StackModel

/// What to do, in which order. `steps` is everything, for display as for execution: a step may run when the steps in
/// its `after` are done and its gates hold in a state observed after that.
public struct Plan: Equatable, Sendable {
    public var steps: [Step]
    /// What a user is told: a recreate is one change, and so is a create with its start.
    public var displayChanges: [PlanChange]
    /// Why some of the steps can never run; each names what stands in the way.
    public var blocked: [Diagnostic]
    public var warnings: [Diagnostic]
    /// Nanoseconds since 1970: plan again then, at the latest.
    public var wakeAt: Int64?
    /// Containers that a restart policy starts later.
    public var waiting: [WaitingContainer]
    /// Gates of steps that do not hold now.
    public var pendingGates: [PendingGate]
    /// Services more of whose new replicas failed than their policy allows.
    public var failedRollouts: [FailedRollout]
    /// Services whose rollout waits for somebody.
    public var heldRollouts: [HeldRollout]
    /// Ids of containers that are replaced for nothing but being unhealthy: whoever removes them counts that.
    public var unhealthy: Set<String> = []
    /// Ids of new replicas that failed, and that a rollout goes on without: until one of them serves.
    public var tolerated: Set<String> = []

    public init() {
        steps = []
        displayChanges = []
        blocked = []
        warnings = []
        waiting = []
        pendingGates = []
        failedRollouts = []
        heldRollouts = []
    }

    /// Nothing to do now; a timer may still be due.
    public var isEmpty: Bool { steps.isEmpty }

    /// The steps that may run now, in order.
    /// - Parameters:
    ///   - done: Steps that have succeeded.
    ///   - begun: Steps that have been begun, whether they have ended or not.
    ///   - observed: A state observed after the last of `done` ended.
    public func runnable(done: Set<Int>, begun: Set<Int>, in observed: ObservedState) -> [Step] {
        let index = ContainerIndex(observed)
        return steps.filter { step in
            !begun.contains(step.id) && step.after.allSatisfy(done.contains)
                && step.gates.allSatisfy { $0.status(for: step.action, in: index) == .holds }
        }
    }

    /// Why steps whose turn it is cannot run, unless somebody acts. Parameters as for `runnable`.
    public func failures(done: Set<Int>, begun: Set<Int>, in observed: ObservedState) -> [Diagnostic] {
        let index = ContainerIndex(observed)
        var result: [Diagnostic] = []
        for step in steps where !begun.contains(step.id) && step.after.allSatisfy(done.contains) {
            for gate in step.gates {
                guard case .failed(var diagnostic) = gate.status(for: step.action, in: index) else { continue }
                diagnostic.source = diagnostic.source ?? step.source
                if !result.contains(diagnostic) { result.append(diagnostic) }
            }
        }
        return result
    }
}

public struct WaitingContainer: Equatable, Sendable {
    public var name: String
    /// Nanoseconds since 1970.
    public var until: Int64
}

/// A rollout that does not go on by itself.
public struct FailedRollout: Equatable, Sendable {
    public var service: String
    public var action: UpdateConfig.FailureAction
    /// What is wrong with each replica that failed.
    public var failures: [Diagnostic]
}

/// A rollout that goes on when somebody says so.
public struct HeldRollout: Equatable, Sendable {
    public enum Reason: String, Codable, Sendable {
        /// Its canaries are there, and wait to be promoted.
        case canary
        /// Somebody has paused it.
        case paused
        /// It failed, and is not undone.
        case failed
    }
    public var service: String
    public var reason: Reason
    /// Replicas that are still as they were.
    public var replicas: Int
}

public struct PendingGate: Equatable, Sendable {
    public var step: Int
    public var gate: Gate
}

public struct Step: Equatable, Sendable, Identifiable {
    /// From 1, in an order in which the steps could run one by one.
    public var id: Int
    public var action: Action
    /// Engine name of the object.
    public var name: String
    public var service: String?
    /// In a few words: `image changed`, `exited (1)`.
    public var reason: String
    public var source: SourceMark?
    /// Steps that must have succeeded; all have a lower id.
    public var after: [Int]
    public var gates: [Gate]
}

public enum ContainerReference: Equatable, Sendable {
    case id(String)
    /// The container that this plan's `createContainer` of the same service and number makes.
    case planned(service: String, number: Int)
}

/// One idempotent operation. Times are nanoseconds; a `timeout` of `nil` is the service's own grace period.
public enum Action: Equatable, Sendable {
    case createNetwork(key: String)
    case removeNetwork(name: String)
    /// Make what is missing of it again, with the same addresses.
    case repairNetwork(name: String)
    case createVolume(key: String)
    case removeVolume(name: String)
    /// Under the step's name.
    case createContainer(service: String, number: Int)
    /// `byPolicy`: its restart policy says so, and such starts are counted.
    case startContainer(ContainerReference, byPolicy: Bool)
    /// `drain`: so long the connections that it has may take to end, once nothing leads to it any more, before it is
    /// told to stop.
    case stopContainer(id: String, timeout: Int64?, drain: Int64)
    /// The container of this name gets the step's.
    case renameContainer(name: String)
    /// Nothing: its gates are what is waited for.
    case awaitReplica
    /// Anonymous volumes stay unless told; a container that is made later for the same service and number takes them.
    case removeContainer(id: String, anonymousVolumes: Bool)
    case restartContainer(id: String, timeout: Int64?)
    /// Make a container like the present definition as far as that can be done while it runs on.
    case updateContainer(id: String)
    /// Plug a running container into the network again.
    case repairAttachment(id: String, network: String)
    case repairFirewall
    /// Write the definition's limits into its cgroups again.
    case restoreLimits(id: String)
    /// Let its processes go on.
    case resumeContainer(id: String)
    case signalContainer(id: String, signal: String)
}

/// One line of `gantry plan`.
public struct PlanChange: Equatable, Sendable {
    public enum Action: String, Codable, Sendable {
        case create, recreate, start, stop, restart, remove, repair, update, signal
    }
    public enum Kind: String, Codable, Sendable { case container, network, volume, firewall }
    public var action: Action
    public var kind: Kind
    /// Engine name.
    public var name: String
    public var reason: String
    public var source: SourceMark?
    /// Of a replacement: in which order, and why: `start-first: it has a healthcheck`.
    public var order: String?
    /// The steps that make it up.
    public var steps: [Int]
}
