/// A resource limit, `setrlimit(2)`; `UInt64.max` is unlimited.
public struct LimitPlan: PlanCodable, Equatable {
    /// `RLIMIT_*`.
    public var resource: Int32
    public var soft: UInt64
    public var hard: UInt64

    public init(resource: Int32, soft: UInt64, hard: UInt64) {
        self.resource = resource
        self.soft = soft
        self.hard = hard
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(resource)
        encoder.put(soft)
        encoder.put(hard)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        resource = try decoder.integer()
        soft = try decoder.integer()
        hard = try decoder.integer()
    }
}

/// Capability sets as bit masks, `capabilities(7)`.
public struct CapabilityPlan: PlanCodable, Equatable {
    public var bounding: UInt64
    public var effective: UInt64
    public var permitted: UInt64
    public var inheritable: UInt64
    public var ambient: UInt64

    public init(
        bounding: UInt64 = 0, effective: UInt64 = 0, permitted: UInt64 = 0, inheritable: UInt64 = 0,
        ambient: UInt64 = 0
    ) {
        self.bounding = bounding
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
        self.ambient = ambient
    }

    public func encode(into encoder: inout PlanEncoder) {
        for mask in [bounding, effective, permitted, inheritable, ambient] { encoder.put(mask) }
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        bounding = try decoder.integer()
        effective = try decoder.integer()
        permitted = try decoder.integer()
        inheritable = try decoder.integer()
        ambient = try decoder.integer()
    }
}

/// The process a container or an `exec` runs: everything from the user down to the seccomp filter.
public struct ProcessPlan: PlanCodable, Equatable {
    public var arguments: [String]
    /// `NAME=value`, in order.
    public var environment: [String]
    /// Absolute path inside the container; made when missing if `createDirectory`.
    public var directory: String
    public var createDirectory: Bool
    /// `name|uid[:group|gid]`, looked up in the container's /etc/passwd and /etc/group; `nil` takes `uid` and `gid`.
    public var user: String?
    /// Further groups by name or number, looked up inside the container.
    public var groups: [String]
    public var uid: UInt32
    public var gid: UInt32
    public var additionalGids: [UInt32]
    /// File mode creation mask; `UInt32.max` leaves 022.
    public var umask: UInt32
    public var capabilities: CapabilityPlan
    /// A user other than root loses its permitted and effective sets, as execve(2) would do.
    public var dropForNonRoot: Bool
    public var noNewPrivileges: Bool
    /// `struct sock_filter` array; empty means unconfined.
    public var seccomp: [UInt8]
    /// `SECCOMP_FILTER_FLAG_*`.
    public var seccompFlags: UInt32
    public var limits: [LimitPlan]
    public var oomScoreAdjust: Int32?
    public var terminal: Bool
    /// Initial size of the terminal; zero leaves the kernel's.
    public var rows: UInt16
    public var columns: UInt16
    public var stdinOpen: Bool
    public var attributes: AttributePlan
    /// Who gets the descriptor of a filter that notifies.
    public var listener: ListenerPlan?

    public init(arguments: [String], environment: [String] = [], directory: String = "/") {
        self.arguments = arguments
        self.environment = environment
        self.directory = directory
        createDirectory = true
        groups = []
        uid = 0
        gid = 0
        additionalGids = []
        umask = .max
        capabilities = CapabilityPlan()
        dropForNonRoot = false
        noNewPrivileges = false
        seccomp = []
        seccompFlags = 0
        limits = []
        terminal = false
        rows = 0
        columns = 0
        stdinOpen = false
        attributes = AttributePlan()
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(arguments)
        encoder.put(environment)
        encoder.put(directory)
        encoder.put(createDirectory)
        encoder.put(user)
        encoder.put(groups)
        encoder.put(uid)
        encoder.put(gid)
        encoder.put(UInt32(truncatingIfNeeded: additionalGids.count))
        for gid in additionalGids { encoder.put(gid) }
        encoder.put(umask)
        encoder.put(capabilities)
        encoder.put(dropForNonRoot)
        encoder.put(noNewPrivileges)
        encoder.put(seccomp)
        encoder.put(seccompFlags)
        encoder.put(limits)
        encoder.put(oomScoreAdjust != nil)
        encoder.put(oomScoreAdjust ?? 0)
        encoder.put(terminal)
        encoder.put(rows)
        encoder.put(columns)
        encoder.put(stdinOpen)
        encoder.put(attributes)
        encoder.put(listener)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        arguments = try decoder.strings()
        guard !arguments.isEmpty else { throw .badValue(field: "arguments") }
        environment = try decoder.strings()
        directory = try decoder.string()
        createDirectory = try decoder.bool()
        user = try decoder.optionalString()
        groups = try decoder.strings()
        uid = try decoder.integer()
        gid = try decoder.integer()
        additionalGids = []
        for _ in 0..<(try decoder.count(bytesEach: 4)) { additionalGids.append(try decoder.integer()) }
        umask = try decoder.integer()
        capabilities = try CapabilityPlan(from: &decoder)
        dropForNonRoot = try decoder.bool()
        noNewPrivileges = try decoder.bool()
        seccomp = try decoder.byteArray()
        // BPF_MAXINSNS of 8 bytes each.
        guard seccomp.count % 8 == 0, seccomp.count <= 4096 * 8 else { throw .badValue(field: "seccomp") }
        seccompFlags = try decoder.integer()
        limits = try decoder.values()
        let adjusts = try decoder.bool()
        let adjustment: Int32 = try decoder.integer()
        oomScoreAdjust = adjusts ? adjustment : nil
        terminal = try decoder.bool()
        rows = try decoder.integer()
        columns = try decoder.integer()
        stdinOpen = try decoder.bool()
        attributes = try AttributePlan(from: &decoder)
        listener = try decoder.optional()
    }
}
