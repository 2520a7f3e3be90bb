/// Deadlines, the nearest first. Most are the same time away, so that a new one mostly belongs at the end. What ended
/// before its deadline stays until then.
struct DeadlineQueue {
    private var entries: [(deadline: UInt64, token: UInt64)] = []
    private var head = 0

    var first: UInt64? { head < entries.count ? entries[head].deadline : nil }

    mutating func push(_ token: UInt64, at deadline: UInt64) {
        var index = entries.count
        while index > head, entries[index - 1].deadline > deadline { index -= 1 }
        entries.insert((deadline, token), at: index)
    }

    mutating func popExpired(_ now: UInt64) -> UInt64? {
        guard head < entries.count, entries[head].deadline <= now else { return nil }
        let token = entries[head].token
        head += 1
        if head > entries.count / 2 {
            entries.removeFirst(head)
            head = 0
        }
        return token
    }
}
