/// When a service runs that is started by the clock; `nil` leaves it to the engine.
public struct Schedule: Codable, Equatable, Sendable {
    /// What happens when its time comes while an earlier run goes on.
    public enum Concurrency: String, CaseIterable, Codable, Sendable { case allow, forbid, replace }

    /// Five fields as in crontab(5), `@daily` and its kind, or `@every DURATION`.
    public var cron: String
    /// Name in the time zone database; `nil` is the engine's.
    public var timeZone: String?
    /// `nil` is `forbid`.
    public var concurrency: Concurrency?
    /// Nanoseconds: a run that could not begin so long after its time is left out; `nil`: it is made up for.
    public var deadline: Int64?
    /// Nanoseconds: a run that takes longer is stopped.
    public var timeout: Int64?
    /// Ended runs that are kept; `nil` is 3 that succeeded and 1 that failed.
    public var succeededKept: Int?
    public var failedKept: Int?
    /// Its times are passed over.
    @Switch public var suspend: Bool = false

    public init(cron: String) { self.cron = cron }
}

extension Service {
    /// It is started by the clock, and not by `up`.
    public var schedule: Schedule? { gantry?.schedule }

    /// It ends, by what the stack file calls it.
    public var isJob: Bool { deploy?.mode == .replicatedJob || deploy?.mode == .globalJob }
}
