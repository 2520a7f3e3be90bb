/// What of a container's log is wanted.
public struct LogQuery: Sendable, Equatable {
    public var follow = false
    public var standardOutput = false
    public var standardError = false
    public var timestamps = false
    /// The labels and variables that the container's logging options name, in front of each line.
    public var details = false
    /// The last so many lines; `nil` is all.
    public var tail: Int?
    public var since: Nanoseconds?
    public var until: Nanoseconds?

    public init() {}
}
