/// What makes two questions the same to the servers that are asked, and the servers themselves: zones with other
/// servers never share an answer.
struct DNSLookupKey: Hashable {
    let servers: [ResolverAddress]
    let question: DNSQuestion
    /// RD, AD and CD of the header.
    let flags: UInt16
    let hasEDNS: Bool
    let wantsSignatures: Bool

    init(_ query: DNSQuery, servers: [ResolverAddress]) {
        self.servers = servers
        question = query.question
        flags = query.flags & (DNSFlags.recursionDesired | DNSFlags.authenticData | DNSFlags.checkingDisabled)
        hasEDNS = query.edns != nil
        wantsSignatures = query.edns?.wantsSignatures ?? false
    }
}

/// Answers of other servers, for as long as they allow. Bounded in number, bytes and age; the oldest goes first.
struct DNSCache {
    private struct Entry {
        var response: DNSResponse
        var number: UInt64
        var storedAt: UInt64
    }

    private var entries: [DNSLookupKey: Entry] = [:]
    /// In the order of their numbers; what was replaced or has expired is passed over.
    private var order: [(key: DNSLookupKey, number: UInt64)] = []
    private var head = 0
    private var nextNumber: UInt64 = 0
    private(set) var byteCount = 0

    var count: Int { entries.count }

    /// The answer and its age in seconds, at `now` milliseconds.
    mutating func find(_ key: DNSLookupKey, _ now: UInt64) -> (response: DNSResponse, age: UInt32)? {
        guard let entry = entries[key] else { return nil }
        let age = UInt32(clamping: (now - min(now, entry.storedAt)) / 1_000)
        guard age < entry.response.secondsToLive else {
            remove(key)
            return nil
        }
        return (entry.response, age)
    }

    mutating func store(_ key: DNSLookupKey, _ response: DNSResponse, _ now: UInt64) {
        remove(key)
        guard response.secondsToLive > 0, response.byteCount <= DNSLimits.cachedAnswerByteCountMax else { return }
        entries[key] = Entry(response: response, number: nextNumber, storedAt: now)
        order.append((key, nextNumber))
        nextNumber += 1
        byteCount += response.byteCount
        while entries.count > DNSLimits.cachedAnswerCountMax || byteCount > DNSLimits.cachedByteCountMax
            || order.count - head > 2 * DNSLimits.cachedAnswerCountMax
        {
            dropOldest()
        }
    }

    private mutating func remove(_ key: DNSLookupKey) {
        if let entry = entries.removeValue(forKey: key) { byteCount -= entry.response.byteCount }
    }

    private mutating func dropOldest() {
        guard head < order.count else { return }
        let (key, number) = order[head]
        head += 1
        if entries[key]?.number == number { remove(key) }
        if head > order.count / 2 {
            order.removeFirst(head)
            head = 0
        }
    }
}
