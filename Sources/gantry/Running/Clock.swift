import CLinux
import Glibc
import StackModel

/// Nanoseconds of CLOCK_MONOTONIC (clock_gettime(2)).
func monotonicNow() -> Int64 { clockNanoseconds(CLOCK_MONOTONIC) }

/// The time of day.
func wallClockNow() -> Moment { Moment(nanoseconds: clockNanoseconds(CLOCK_REALTIME)) }

private func clockNanoseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    // Both clocks always exist, so the call cannot fail.
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Sleeps for at most `milliseconds`; a signal may end it early.
func pause(milliseconds: Int) {
    var time = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
    nanosleep(&time, nil)
}
