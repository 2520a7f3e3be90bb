/// When changes are told: after a quiet moment, but not too late. Times are milliseconds of one clock that only grows.
public struct ChangeTimer: Equatable, Sendable {
    /// Nothing more must have happened for so long.
    public let quietMilliseconds: UInt64
    /// So long after the first change they are told whatever happens.
    public let longestMilliseconds: UInt64
    private var first: UInt64?
    private var last: UInt64 = 0

    public init(quietMilliseconds: UInt64, longestMilliseconds: UInt64) {
        self.quietMilliseconds = quietMilliseconds
        self.longestMilliseconds = longestMilliseconds
    }

    /// Something has changed.
    public mutating func note(at now: UInt64) {
        first = first ?? now
        last = max(last, now)
    }

    /// Milliseconds until changes are to be told, 0 when it is time; `nil`: there are none.
    public func remaining(at now: UInt64) -> UInt64? {
        guard let first else { return nil }
        let (quietEnd, quietOverflow) = last.addingReportingOverflow(quietMilliseconds)
        let (end, overflow) = first.addingReportingOverflow(longestMilliseconds)
        let due = min(quietOverflow ? .max : quietEnd, overflow ? .max : end)
        return due > now ? due - now : 0
    }

    /// They have been told.
    public mutating func reset() { (first, last) = (nil, 0) }
}
