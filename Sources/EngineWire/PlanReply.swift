import JSONDocument
import StackModel

/// What applying a stack would do: the answer of `POST /stacks/{name}/plan`, what `gantry plan --format json` prints
/// and what `--out` saves. schemas/plan.schema.json describes its JSON. Nothing in it is secret (`Sensitivity`).
public struct PlanReply: Codable, Equatable, Sendable {
    /// Raised in the first number when old programs would misunderstand it.
    public static let formatVersion = "1.0"

    public var formatVersion: String
    /// Version of the program that printed it.
    public var gantry: String?
    public var stack: String
    /// What it starts from.
    public var base: Base
    public var target: Target
    /// How many changes of each action there are; also `drift`, `orphan` and `unchanged` objects.
    public var summary: [String: Int]
    /// Something is to be done.
    public var changed: Bool
    /// The worst of the changes'.
    public var disruption: Disruption
    public var drift: [Drift]
    public var changes: [Change]
    /// What is there of the stack and not in its file.
    public var orphans: [Object]
    /// The steps, in an order in which they could run one by one.
    public var ops: [Operation]
    /// Drift that the engine repaired by itself in the last minutes, newest last, one line each.
    public var repaired: [String]
    public var diagnostics: [Diagnostic]
    /// No error stands in the way.
    public var applyable: Bool
    /// It is about the whole stack, and not about some of its services.
    public var complete: Bool
    /// What is needed to apply it later; only in saved plans.
    public var saved: SavedPlan?

    private enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case gantry, stack, base, target, summary, changed, disruption, drift, changes, orphans, ops, repaired
        case diagnostics, applyable, complete, saved
    }

    public init(
        stack: String, changes: [Change] = [], repaired: [String] = [], diagnostics: [Diagnostic] = []
    ) {
        formatVersion = Self.formatVersion
        self.stack = stack
        base = Base()
        target = Target()
        summary = [:]
        changed = changes.contains { $0.action != .wait }
        disruption = .none
        drift = []
        self.changes = changes
        orphans = []
        ops = []
        self.repaired = repaired
        self.diagnostics = diagnostics
        applyable = !diagnostics.contains { $0.severity == .error }
        complete = true
    }

    public var warnings: [Diagnostic] { diagnostics.filter { $0.severity == .warning } }
    public var errors: [Diagnostic] { diagnostics.filter { $0.severity == .error } }
    /// Changes without those that only wait.
    public var effective: [Change] { changes.filter { $0.action != .wait } }
}

extension PlanReply {
    /// What a plan starts from.
    public struct Base: Codable, Equatable, Sendable {
        /// Number of the applied revision; `nil`: the stack is not up.
        public var revision: Int?
        /// Fingerprint of everything that was there.
        public var observed: String
        /// Address to what was there: ids that are never used again.
        public var objects: [String: String]

        public init(revision: Int? = nil, observed: String = "", objects: [String: String] = [:]) {
            self.revision = revision
            self.observed = observed
            self.objects = objects
        }
    }

    public struct Target: Codable, Equatable, Sendable {
        /// Number of the revision that applying makes, or the present one when the stack stays as it is.
        public var revision: Int?

        public init(revision: Int? = nil) { self.revision = revision }
    }

    /// What users of a service notice.
    public enum Disruption: String, Codable, Sendable, CaseIterable, Comparable {
        case none
        /// Fewer replicas serve than otherwise.
        case reduced
        /// For some time nobody serves.
        case interruption
        case dataLoss = "data-loss"

        public static func < (left: Self, right: Self) -> Bool {
            (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
        }
    }

    /// A difference between what was applied and what there is.
    public struct Drift: Codable, Equatable, Sendable {
        public var address: String
        public var `class`: String
        public var detail: String
        /// `ignore`, `warn` or `repair`.
        public var policy: String
        /// What is done about it, if anything.
        public var repair: String?

        public init(address: String, class: String, detail: String, policy: String, repair: String? = nil) {
            self.address = address
            self.class = `class`
            self.detail = detail
            self.policy = policy
            self.repair = repair
        }
    }

    public struct Object: Codable, Equatable, Sendable {
        public var address: String
        /// Engine name.
        public var name: String

        public init(address: String, name: String) {
            self.address = address
            self.name = name
        }
    }

    /// One step.
    public struct Operation: Codable, Equatable, Sendable {
        public struct Gate: Codable, Equatable, Sendable {
            /// `serving`, `settled`, `healthy`, …
            public var gate: String
            /// A service, or an engine name.
            public var target: String
            /// For `settled`: so long it has to serve.
            public var milliseconds: Int64?

            public init(gate: String, target: String, milliseconds: Int64? = nil) {
                self.gate = gate
                self.target = target
                self.milliseconds = milliseconds
            }
        }

        public var id: Int
        /// `container.create`, `network.remove`, …
        public var op: String
        /// Engine name.
        public var target: String
        /// Steps that must have succeeded.
        public var after: [Int]
        /// What must be true then.
        public var gates: [Gate]

        public init(id: Int, op: String, target: String, after: [Int], gates: [Gate]) {
            self.id = id
            self.op = op
            self.target = target
            self.after = after
            self.gates = gates
        }
    }

    public struct Change: Codable, Equatable, Sendable {
        public enum Action: String, Codable, Sendable, CaseIterable {
            case create
            case recreate = "replace"
            case start, stop, restart, remove, repair, update, wait, build, pull
        }
        public enum Kind: String, Codable, Sendable { case container, network, volume, image, firewall, port }

        /// `service.web[1]`, `network.front`, `volume.db`, `image.web`, `firewall`.
        public var address: String
        public var action: Action
        public var kind: Kind
        /// Engine name: `shop-app-2`, `shop_front`.
        public var name: String
        /// Why, in a few words: `not running`, `image changed`, `bridge is missing`.
        public var reason: String
        /// Fields that differ and ask for the replacement.
        public var replacePaths: [String]
        public var fields: [Field]
        public var source: SourceMark?
        /// Of a replacement: in which order, and why: `start-first: it has a healthcheck`.
        public var order: String?
        public var disruption: Disruption

        private enum CodingKeys: String, CodingKey {
            case address, action, kind, name, reason
            case replacePaths = "replace_paths"
            case fields, source, order, disruption
        }

        public init(
            address: String? = nil, action: Action, kind: Kind, name: String, reason: String,
            source: SourceMark? = nil, order: String? = nil, fields: [Field] = [], disruption: Disruption = .none
        ) {
            self.address = address ?? "\(kind.rawValue).\(name)"
            self.action = action
            self.kind = kind
            self.name = name
            self.reason = reason
            self.source = source
            self.order = order
            self.fields = fields
            self.disruption = disruption
            replacePaths = fields.filter(\.isReplacing).map(\.path)
        }

        /// The service of a container; `nil` for anything else.
        public var service: String? {
            let prefix = "service."
            guard address.hasPrefix(prefix) else { return nil }
            return String(address.dropFirst(prefix.count).prefix { $0 != "[" })
        }
    }

    /// A field that differs.
    public struct Field: Codable, Equatable, Sendable {
        /// As Compose spells it below the object: `environment.LOG`.
        public var path: String
        /// `nil`: it was not said.
        public var before: String?
        /// `nil`: it is not said any more.
        public var after: String?
        /// The values are not shown.
        public var sensitive: Bool
        /// What the field asks for: `none`, `control`, `live`, `reload`, `replace`, `destructive`.
        public var effect: String
        public var source: SourceMark?

        public init(
            path: String, before: String?, after: String?, sensitive: Bool = false, effect: String = "replace",
            source: SourceMark? = nil
        ) {
            self.path = path
            self.before = before
            self.after = after
            self.sensitive = sensitive
            self.effect = effect
            self.source = source
        }

        fileprivate var isReplacing: Bool { effect == "replace" || effect == "destructive" }
    }
}

/// What applying a plan later needs: the stack as it was resolved then, without what is secret.
public struct SavedPlan: Codable, Equatable, Sendable {
    /// The stack. In the place of a value that is not stored stands a keyed hash: `{"withheld": "hmac-sha256:…"}`.
    public var stack: JSONValue
    /// Service to image id; a service whose image was to be pulled or built first is missing.
    public var imageIDs: [String: String]
    public var base: PlanReply.Base
    /// Addresses that the plan changes.
    public var touches: [String]
    public var services: [String]
    public var scale: [String: Int]
    public var removeOrphans: Bool
    public var allowDestroy: [String]
    /// Path in `stack` to values that may be the ones that are withheld. Never in a file.
    public var candidates: [String: [JSONValue]]?

    private enum CodingKeys: String, CodingKey {
        case stack
        case imageIDs = "image_ids"
        case base, touches, services, scale
        case removeOrphans = "remove_orphans"
        case allowDestroy = "allow_destroy"
        case candidates
    }

    public init(
        stack: JSONValue, imageIDs: [String: String], base: PlanReply.Base, touches: [String], services: [String],
        scale: [String: Int], removeOrphans: Bool, allowDestroy: [String]
    ) {
        self.stack = stack
        self.imageIDs = imageIDs
        self.base = base
        self.touches = touches
        self.services = services
        self.scale = scale
        self.removeOrphans = removeOrphans
        self.allowDestroy = allowDestroy
    }
}

/// Whether a saved plan can still be applied: the answer of `POST /stacks/{name}/plan/check`.
public struct PlanCheck: Codable, Equatable, Sendable {
    /// Why not; empty: it can be.
    public var stale: [String]
    /// What else has changed since.
    public var drifted: [String]

    public init(stale: [String], drifted: [String]) {
        self.stale = stale
        self.drifted = drifted
    }
}

/// Body of `POST /stacks/{name}/diff`.
public struct DiffRequest: Codable, Equatable, Sendable {
    /// The new side; `nil`: `to`, or what is applied.
    public var stack: Stack?
    /// Number of the old revision; `nil`: what is applied.
    public var from: Int?
    /// Number of the new revision.
    public var to: Int?

    public init(stack: Stack? = nil, from: Int? = nil, to: Int? = nil) {
        self.stack = stack
        self.from = from
        self.to = to
    }
}

/// How two stacks differ, field by field; nothing in it is secret.
public struct DiffReply: Codable, Equatable, Sendable {
    public struct Section: Codable, Equatable, Sendable {
        public enum Action: String, Codable, Sendable { case added, removed, changed }
        /// `service.web`, `network.front`, `volume.db`, `config.site`.
        public var address: String
        public var action: Action
        public var fields: [PlanReply.Field]
        public var source: SourceMark?

        public init(address: String, action: Action, fields: [PlanReply.Field] = [], source: SourceMark? = nil) {
            self.address = address
            self.action = action
            self.fields = fields
            self.source = source
        }
    }

    public var stack: String
    /// `revision 3`, or empty for none.
    public var from: String
    /// `revision 4`, or `stack file`.
    public var to: String
    public var sections: [Section]

    public init(stack: String, from: String, to: String, sections: [Section]) {
        self.stack = stack
        self.from = from
        self.to = to
        self.sections = sections
    }
}
