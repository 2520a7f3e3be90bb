import CLinux
import Glibc
import LinuxSystem

/// `watch -- PROGRAM ARGUMENTS…`: runs the engine, and again when it dies, later each time.
enum WatchMode {
    private static let pauseMillisecondsMin: Int64 = 100
    private static let pauseMillisecondsMax: Int64 = 5_000
    /// A run this long was a good one: the next pause is the shortest again.
    private static let stableMilliseconds: UInt64 = 10_000
    /// The engine's exit code for a command line or configuration that can never work.
    private static let exitCodeUsage: Int32 = 2

    static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count >= 2, arguments[0] == "--" else { return Supervisor.usage }
        setsid()  // EPERM: we lead a session already.
        Signals.blockAll()
        let command = Array(arguments.dropFirst())
        var pause = pauseMillisecondsMin
        while true {
            let startedAt = Clock.monotonic()
            guard let child = spawn(command) else { return 1 }
            let (code, stopping) = wait(for: child)
            if stopping || code == 0 || code == exitCodeUsage { return code }
            if (Clock.monotonic() - startedAt) / 1_000_000 >= stableMilliseconds { pause = pauseMillisecondsMin }
            if waitForStop(milliseconds: pause) { return 0 }
            pause = min(pause * 2, pauseMillisecondsMax)
        }
    }

    private static func spawn(_ command: [String]) -> pid_t? {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        let arguments = CStrings(command)
        return posix_spawnp(&pid, command[0], nil, &attributes, arguments.pointers, gantry_environment()) == 0
            ? pid : nil
    }

    /// Waits for the engine's end, passing SIGTERM and SIGINT on. Signals that arrive are the only wake-ups.
    private static func wait(for child: pid_t) -> (code: Int32, stopping: Bool) {
        var interesting = sigset_t()
        sigemptyset(&interesting)
        for signal in [SIGCHLD, SIGTERM, SIGINT] { sigaddset(&interesting, signal) }
        var stopping = false
        while true {
            var status: Int32 = 0
            if waitpid(child, &status, WNOHANG) == child {
                let code = gantry_wifexited(status) != 0 ? gantry_wexitstatus(status) : 128 + gantry_wtermsig(status)
                return (code, stopping)
            }
            let signal = sigwaitinfo(&interesting, nil)
            if signal == SIGTERM || signal == SIGINT {
                stopping = true
                kill(child, signal)
            }
        }
    }

    /// Pauses; `true` when told to stop meanwhile.
    private static func waitForStop(milliseconds: Int64) -> Bool {
        var stops = sigset_t()
        sigemptyset(&stops)
        for signal in [SIGTERM, SIGINT] { sigaddset(&stops, signal) }
        var time = timespec(
            tv_sec: Int(milliseconds / 1000), tv_nsec: Int(milliseconds % 1000) * 1_000_000)
        return sigtimedwait(&stops, nil, &time) > 0
    }
}
