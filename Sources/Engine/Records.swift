import ContainerNetwork
import Reconciler
import StackModel

/// A stack as it was last applied: what the engine keeps true.
struct StackRecord: StoredRecord {
    static let kind = "stack"

    var stack: Stack
    /// `--scale`, kept until the next `apply` says otherwise.
    var scale: [String: Int]
    /// Services that a user stopped: the background loop leaves them alone.
    var stopped: Set<String>
    /// The services last brought up; empty: all.
    var selection: [String]
    /// `false` from the beginning of a `down` on: nothing is started any more.
    var active: Bool
    var updatedAt: Nanoseconds
    /// Service to image id, as it was found by the last command: a name that leads elsewhere since then is no reason to
    /// touch anything. `nil` in records of older versions.
    var imageIDs: [String: String]?
    /// Number of the revision that this is.
    var revision: Int?
    /// When that revision was made: replicas made since then are its own.
    var changedAt: Nanoseconds?
    /// It was returned to. `nil` is no.
    var isRollback: Bool?
    /// Its rollout is held until it is resumed. `nil` is no.
    var isPaused: Bool?
    /// When somebody resumed or promoted its rollout.
    var releasedAt: Nanoseconds?
    /// Services whose canaries were found good. `nil` is none.
    var promoted: Set<String>?
    /// When all its containers were last to be made anew, changed or not.
    var recreatedAt: Nanoseconds?
    /// By `PlanAddress`: replicas that were replaced because they were unhealthy. `nil` is none.
    var unhealthy: [String: UnhealthyReplacements]?

    /// In a row, without a healthy time between.
    struct UnhealthyReplacements: Codable, Equatable, Sendable {
        var count: Int
        /// Id of the last container that was counted.
        var container: String
    }

    var recordID: String { stack.name }
    var stackName: String { stack.name }
}

extension StackRecord {
    /// What was said to a rollout while a command looked for images; another revision forgets it.
    mutating func keepSaid(of present: StackRecord) {
        (isPaused, promoted, releasedAt) = (present.isPaused, present.promoted, present.releasedAt)
        isRollback = present.isRollback
        // Who makes all anew begins anew.
        if recreatedAt == present.recreatedAt { unhealthy = present.unhealthy }
    }
}

/// A container: what it was made from and how it fared. Whether it runs is asked of the runtime.
struct StoredContainer: StoredRecord {
    static let kind = "container"

    /// One attachment to a network, fixed for the container's life.
    struct Attachment: Codable, Equatable, Sendable {
        /// Engine name of the network.
        var network: String
        var interface: InterfaceSpec
        /// Set when it was connected by hand and not by its definition.
        var byHand: NetworkAttachment?
    }

    struct Exit: Codable, Equatable, Sendable {
        var code: Int
        var finishedAt: Nanoseconds
        var outOfMemory: Bool
        /// Why it never started, or what else is known.
        var note: String?
    }

    struct ChosenPort: Codable, Equatable, Sendable {
        var port: Port
        var published: UInt16
    }

    /// 64 hex digits.
    var id: String
    var name: String
    var stackName: String
    var service: String
    var number: Int
    var oneOff: Bool
    var removeOnExit: Bool
    var definition: ContainerDefinition
    var labels: [String: String]
    var attachments: [Attachment]
    /// Host ports the engine chose, for this container alone.
    var chosenPorts: [ChosenPort]
    /// Mount target to the engine volume behind it (anonymous ones included).
    var volumes: [String: String]
    var createdAt: Nanoseconds
    var startedAt: Nanoseconds?
    var exit: Exit?
    var stoppedByUser: Bool
    /// It has been told to stop and is not to serve any more, even where another engine takes it over. `nil` is no.
    var isStopping: Bool?
    /// Restarts by policy in a row; see `RestartBackoff`.
    var restarts: Int
    /// What the healthcheck found last, in this run: an engine that is started again goes on from there, for until it
    /// has looked itself nobody would serve.
    var health: ContainerHealth?
    /// An update of it while it runs was begun: until that has ended, nobody knows which half of it is done.
    var isUpdating: Bool?
    /// When its `pre_start` hooks were through.
    var preStartedAt: Nanoseconds?
    /// Its `post_start` hooks were not through when this was written, or one of them has failed.
    var isStarting: Bool?
    /// A commit has it stand still: an engine that is started again lets it go on.
    var isPausedForCommit: Bool?
    /// A command has paused it: that is no drift.
    var isPausedByUser: Bool?
    /// Set for a container that a client made by itself, and that belongs to no stack.
    var free: FreeContainer?

    /// While it runs: when the run before ended.
    var previousFinishedAt: Nanoseconds?
    var lastFinishedAt: Nanoseconds? { exit?.finishedAt ?? previousFinishedAt }

    var recordID: String { id }
    var shortID: String { String(id.prefix(12)) }
    var networkMode: String? { definition.service.networkMode }
}

/// When a registry was last asked for an image, for `pull_policy: daily` and its kind.
struct StoredPull: StoredRecord {
    static let kind = "pull"

    /// The image's whole name, e.g. `docker.io/library/nginx:1`.
    var name: String
    var checkedAt: Nanoseconds

    var recordID: String { name }
    var stackName: String { "" }
}

struct StoredNetwork: StoredRecord {
    static let kind = "network"

    /// 64 hex digits.
    var id: String
    /// Engine name, e.g. `shop_front`.
    var name: String
    /// Empty for a network of its own.
    var stackName: String
    var key: String
    var definition: Network
    /// Of a network on an interface of the host (macvlan, ipvlan), only the subnets mean something; their gateways are
    /// routers out there.
    var bridge: BridgeSpec
    var createdAt: Nanoseconds

    var recordID: String { name }
}

struct StoredVolume: StoredRecord {
    static let kind = "volume"

    /// Engine name, e.g. `shop_data`.
    var name: String
    var stackName: String
    var key: String
    var definition: Volume
    /// Made for a mount without a name or an image's `VOLUME`.
    var anonymous: Bool
    /// Whose anonymous volume it is: the next container of the slot takes it over. Empty for named ones.
    var slot: String
    /// The image's content has been copied in (or was not to be).
    var populated: Bool
    var createdAt: Nanoseconds

    var recordID: String { name }
}
