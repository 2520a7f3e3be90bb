/// How the process is scheduled, `sched_setattr(2)`.
public struct SchedulerPlan: PlanCodable, Equatable {
    /// `SCHED_*`.
    public var policy: UInt32
    /// `SCHED_FLAG_*`.
    public var flags: UInt64
    public var nice: Int32
    public var priority: UInt32
    /// Nanoseconds, for SCHED_DEADLINE.
    public var runtime: UInt64
    public var deadline: UInt64
    public var period: UInt64

    public init(policy: UInt32) {
        self.policy = policy
        (flags, nice, priority, runtime, deadline, period) = (0, 0, 0, 0, 0, 0)
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(policy)
        encoder.put(flags)
        encoder.put(nice)
        encoder.put(priority)
        for number in [runtime, deadline, period] { encoder.put(number) }
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        policy = try decoder.integer()
        flags = try decoder.integer()
        nice = try decoder.integer()
        priority = try decoder.integer()
        runtime = try decoder.integer()
        deadline = try decoder.integer()
        period = try decoder.integer()
    }
}

/// Where memory comes from, `set_mempolicy(2)`.
public struct MemoryPolicyPlan: PlanCodable, Equatable {
    /// `MPOL_*` with `MPOL_F_*`.
    public var mode: Int32
    /// Bit mask of nodes, lowest first, in whole 64-bit words.
    public var nodes: [UInt8]

    public init(mode: Int32, nodes: [UInt8]) {
        self.mode = mode
        self.nodes = nodes
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(mode)
        encoder.put(nodes)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        mode = try decoder.integer()
        nodes = try decoder.byteArray()
        guard nodes.count <= 1024 else { throw .badValue(field: "memory nodes") }
    }
}

/// What else the kernel keeps for a process besides its credentials.
public struct AttributePlan: PlanCodable, Equatable {
    public var scheduler: SchedulerPlan?
    /// As `ioprio_set(2)` takes it: class and level.
    public var ioPriority: Int32?
    /// `personality(2)`.
    public var personality: UInt32?
    public var memoryPolicy: MemoryPolicyPlan?
    /// Processor masks of an exec, before and after it joins the container's cgroup; empty leaves what is inherited.
    public var initialAffinity: [UInt8]
    public var finalAffinity: [UInt8]
    public var appArmorProfile: String?
    public var seLinuxLabel: String?
    /// Found while the plan was made; the engine's answer carries them.
    public var warnings: [String]
    /// Keeps the caller's session keyring instead of a new one.
    public var sharesKeyring = false

    public init() {
        (initialAffinity, finalAffinity, warnings) = ([], [], [])
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(scheduler)
        encoder.put(ioPriority != nil)
        encoder.put(ioPriority ?? 0)
        encoder.put(personality != nil)
        encoder.put(personality ?? 0)
        encoder.put(memoryPolicy)
        encoder.put(initialAffinity)
        encoder.put(finalAffinity)
        encoder.put(appArmorProfile)
        encoder.put(seLinuxLabel)
        encoder.put(warnings)
        encoder.put(sharesKeyring)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        scheduler = try decoder.optional()
        let hasPriority = try decoder.bool()
        let priority: Int32 = try decoder.integer()
        ioPriority = hasPriority ? priority : nil
        let hasPersonality = try decoder.bool()
        let value: UInt32 = try decoder.integer()
        personality = hasPersonality ? value : nil
        memoryPolicy = try decoder.optional()
        initialAffinity = try decoder.byteArray()
        finalAffinity = try decoder.byteArray()
        appArmorProfile = try decoder.optionalString()
        seLinuxLabel = try decoder.optionalString()
        warnings = try decoder.strings()
        sharesKeyring = try decoder.bool()
    }
}
