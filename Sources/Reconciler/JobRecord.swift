import StackModel
import Timetable

/// What is remembered of a service that runs by the clock. Written down before anything of it is done, so that whoever
/// reads it later goes on where another was killed.
public struct JobRecord: Codable, Equatable, Sendable {
    /// Nanoseconds since 1970: times up to then have been dealt with.
    public var consideredUpTo: Int64
    /// Its times were passed over when it was last looked at: suspended, or stopped.
    public var isHeld = false
    /// Oldest first.
    public var runs: [JobRun] = []

    public init(consideredUpTo: Int64) { self.consideredUpTo = consideredUpTo }
}

/// One run of a job, or one that did not come to be.
public struct JobRun: Codable, Equatable, Sendable, Identifiable {
    public enum Outcome: String, Codable, Sendable {
        case succeeded, failed, replaced, stopped
        case timedOut = "timed-out"
        /// It could not begin in time.
        case missed
        /// Another was still going on.
        case skipped

        /// There was a container.
        public var hasRun: Bool { self != .missed && self != .skipped }
    }

    /// Its container's name.
    public var id: String
    /// Nanoseconds since 1970; `nil`: asked for by a command.
    public var scheduledAt: Int64?
    /// Nanoseconds since 1970: when it was decided on.
    public var begunAt: Int64
    /// Nanoseconds since 1970.
    public var endedAt: Int64?
    public var exitCode: Int?
    /// `nil`: it goes on.
    public var outcome: Outcome?
    /// What else is to be said of it, for users.
    public var note: String?
    /// It is being stopped, and that is what it ends as.
    public var stopping: Outcome?
    /// Its container has been there.
    public var isMade = false

    public init(id: String, scheduledAt: Int64?, begunAt: Int64) {
        self.id = id
        self.scheduledAt = scheduledAt
        self.begunAt = begunAt
    }

    public var isActive: Bool { outcome == nil }
}

/// What the stack file says of a job, resolved.
public struct JobRules: Equatable, Sendable {
    public static let succeededKeptDefault = 3
    public static let failedKeptDefault = 1

    public var expression: CronExpression
    public var zone: TimeZoneRules
    public var concurrency: Schedule.Concurrency
    public var deadline: Int64?
    public var timeout: Int64?
    public var succeededKept: Int
    public var failedKept: Int

    public init(_ schedule: Schedule, zone: TimeZoneRules) throws(CronError) {
        expression = try CronExpression(parsing: schedule.cron)
        self.zone = zone
        concurrency = schedule.concurrency ?? .forbid
        (deadline, timeout) = (schedule.deadline, schedule.timeout)
        succeededKept = schedule.succeededKept ?? Self.succeededKeptDefault
        failedKept = schedule.failedKept ?? Self.failedKeptDefault
    }
}
