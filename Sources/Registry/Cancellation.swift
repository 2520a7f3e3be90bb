import Glibc
import Synchronization

/// Stops requests under way on other threads, for good.
public final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)

    public init() {}
    public func cancel() { flag.store(true, ordering: .relaxed) }
    public var isCancelled: Bool { flag.load(ordering: .relaxed) }
}

/// Time and chance as parameters.
struct RegistryClock: Sendable {
    /// Milliseconds that only grow.
    var now: @Sendable () -> Int64
    var sleep: @Sendable (_ milliseconds: Int64, Cancellation) -> Void
    /// In 0..<1.
    var random: @Sendable () -> Double

    static let system = RegistryClock(
        now: {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
        },
        sleep: { milliseconds, stop in
            let sliceMilliseconds: Int64 = 100
            var left = milliseconds
            while left > 0, !stop.isCancelled {
                let slice = min(left, sliceMilliseconds)
                usleep(UInt32(slice) * 1000)
                left -= slice
            }
        },
        random: { Double.random(in: 0..<1) })
}

/// How often and how soon a request that failed is tried again.
public struct RetryPolicy: Sendable {
    /// Of one request without progress, the first one counted.
    public var attemptCountMax = 5
    public var firstDelayMilliseconds: Int64 = 500
    public var delayMillisecondsMax: Int64 = 15_000
    /// The longest a server's Retry-After is heeded; beyond it the request fails at once.
    public var retryAfterSecondsMax = 60
    /// How long a server may send next to nothing.
    public var stallSeconds: Int64 = 60

    public init() {}

    /// Exponential, of which a random half is left out, so that clients who failed together do not come back together.
    func delayMilliseconds(attempt: Int, random: Double) -> Int64 {
        let exponent = min(max(attempt, 0), 20)
        let full = min(firstDelayMilliseconds << Int64(exponent), delayMillisecondsMax)
        return full / 2 + Int64(Double(full / 2) * random)
    }
}
