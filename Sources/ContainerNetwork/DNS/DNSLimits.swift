/// What the DNS server holds and how long, at most.
public enum DNSLimits {
    /// Forwarded questions without an answer, per container; more are answered SERVFAIL. Docker's figure since
    /// libnetwork #2082.
    public static let inFlightPerScopeCountMax = 1_024
    /// The same for all containers together: each holds a descriptor.
    public static let inFlightCountMax = 4_096
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
    /// A question is asked this often when there is one server only; else each server is asked once.
    static let attemptCountMin = 2
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
    static let datagramsPerTurnCountMax = 64
    static let eventsPerWaitCountMax = 64
    static let resolvConfByteCountMax = 64 << 10
}
