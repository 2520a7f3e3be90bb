/// One of `GET /stacks/{name}/jobs`: a service that runs by the clock.
public struct JobStatus: Codable, Equatable, Sendable {
    /// The service.
    public var name: String
    /// As in the stack file.
    public var schedule: String
    /// Missing: the engine's.
    public var timeZone: String?
    public var isSuspended: Bool
    /// `gantry stop` stopped it.
    public var isStopped: Bool
    /// RFC 3339; missing when none is to come.
    public var nextAt: String?
    /// Oldest first.
    public var runs: [JobRunStatus] = []

    public init(name: String, schedule: String, timeZone: String?, isSuspended: Bool, isStopped: Bool) {
        self.name = name
        self.schedule = schedule
        self.timeZone = timeZone
        self.isSuspended = isSuspended
        self.isStopped = isStopped
    }
}

/// One run of a job, or one that did not come to be.
public struct JobRunStatus: Codable, Equatable, Sendable {
    /// Its container's name.
    public var id: String
    /// RFC 3339; missing when a command asked for it.
    public var scheduledAt: String?
    /// RFC 3339.
    public var begunAt: String
    public var endedAt: String?
    public var exitCode: Int?
    /// `active`, `succeeded`, `failed`, `timed-out`, `replaced`, `stopped`, `missed` or `skipped`.
    public var result: String
    public var note: String?
    public var hasContainer = false

    public init(id: String, begunAt: String, result: String) {
        self.id = id
        self.begunAt = begunAt
        self.result = result
    }
}
