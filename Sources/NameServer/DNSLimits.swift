/// What the DNS server holds and how long, at most.
public enum DNSLimits {
    /// Forwarded questions without an answer, per container; more are answered SERVFAIL. Docker's figure since
    /// libnetwork #2082.
    public static let inFlightPerScopeCountMax = 1_024
    /// The same for all containers together: each holds a descriptor.
    public static let inFlightCountMax = 4_096
    /// Clients that wait for an answer from elsewhere, all together.
    static let waiterCountMax = 16_384
    /// Open TCP connections per container; more are closed at once.
    public static let connectionsPerScopeCountMax = 64
    /// What one TCP client may leave unread before it is closed, bytes.
    public static let unreadReplyByteCountMax = 256 << 10
    /// Servers of one resolv.conf or zone that are used: MAXNS of <resolv.h>.
    public static let serverCountMax = 3
    /// How long one server may take.
    public static let serverMillisecondsMax: UInt64 = 2_000
    /// How long a TCP client may stay silent.
    public static let connectionIdleMillisecondsMax: UInt64 = 10_000
    /// How often each server is asked unless resolv.conf says something else: RES_DFLRETRY of <resolv.h>.
    static let attemptCount = 2
    static let attemptCountMax = 3
    static let timeoutSecondsMax = 5
    /// A server that did not answer is asked after the others for this long.
    static let deadServerMillisecondsMax: UInt64 = 10_000
    static let deadServerCountMax = 64
    /// What is asked for with EDNS, so that no answer is fragmented on its way (RFC 9715).
    static let upstreamDatagramByteCountMax = 1_232
    /// Answers of other servers that are remembered: how many, how large together and each, and how long.
    static let cachedAnswerCountMax = 2_048
    static let cachedByteCountMax = 1 << 20
    static let cachedAnswerByteCountMax = 8 << 10
    static let cachedSecondsMax: UInt32 = 300
    static let cachedNegativeSecondsMax: UInt32 = 60
    /// The largest UDP answer of our own, whatever a client says it takes. Loopback has an MTU of 65,536.
    static let datagramByteCountMax = 4_096
    /// UDP answers to clients without EDNS (RFC 1035 section 4.2.1).
    static let plainDatagramByteCountMax = 512
    /// A question from a TCP client.
    static let questionByteCountMax = 4_096
    static let messageByteCountMax = 65_535
    /// Records that are looked through for EDNS in a question.
    static let recordCountMax = 16
    /// Datagrams taken from one container before others get their turn.
    static let datagramsPerTurnCountMax = 16
    static let eventsPerWaitCountMax = 64
    static let resolvConfByteCountMax = 64 << 10
}
