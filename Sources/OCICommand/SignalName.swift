import Glibc

/// `9`, `KILL` and `SIGKILL`; signal(7), with the numbers of this architecture.
enum SignalName {
    private static let numbers: [String: Int32] = [
        "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ILL": SIGILL, "TRAP": SIGTRAP, "ABRT": SIGABRT,
        "IOT": SIGABRT, "BUS": SIGBUS, "FPE": SIGFPE, "KILL": SIGKILL, "USR1": SIGUSR1, "SEGV": SIGSEGV,
        "USR2": SIGUSR2, "PIPE": SIGPIPE, "ALRM": SIGALRM, "TERM": SIGTERM, "STKFLT": SIGSTKFLT, "CHLD": SIGCHLD,
        "CLD": SIGCHLD, "CONT": SIGCONT, "STOP": SIGSTOP, "TSTP": SIGTSTP, "TTIN": SIGTTIN, "TTOU": SIGTTOU,
        "URG": SIGURG, "XCPU": SIGXCPU, "XFSZ": SIGXFSZ, "VTALRM": SIGVTALRM, "PROF": SIGPROF, "WINCH": SIGWINCH,
        "IO": SIGIO, "POLL": SIGIO, "PWR": SIGPWR, "SYS": SIGSYS,
    ]
    private static let realTimeMin: Int32 = 34
    private static let realTimeMax: Int32 = 64

    static func number(_ text: String) throws(OCIError) -> Int32 {
        if let number = Int32(text) {
            guard (0...realTimeMax).contains(number) else { throw OCIError("unknown signal '\(text)'") }
            return number
        }
        let upper = text.uppercased()
        let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        if let number = numbers[name] { return number }
        for (prefix, base, sign) in [("RTMIN", realTimeMin, Int32(1)), ("RTMAX", realTimeMax, -1)]
        where name.hasPrefix(prefix) {
            let rest = name.dropFirst(prefix.count)
            let offset = rest.isEmpty ? 0 : Int32(rest.dropFirst()) ?? -1
            let number = base + sign * offset
            if rest.isEmpty || rest.first == (sign > 0 ? "+" : "-"), offset >= 0,
                (realTimeMin...realTimeMax).contains(number)
            {
                return number
            }
        }
        throw OCIError("unknown signal '\(text)'")
    }
}
