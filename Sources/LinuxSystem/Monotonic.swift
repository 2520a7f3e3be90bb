import CLinux
import Glibc

/// Milliseconds of a clock that only grows (`CLOCK_MONOTONIC`).
public func monotonicMilliseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000 + UInt64(now.tv_nsec) / 1_000_000
}
