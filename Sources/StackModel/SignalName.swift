import Glibc

/// Signals as Docker and Compose name them: a number, a name with or without `SIG`, `RTMIN+N`, `RTMAX-N`. signal(7)
public enum SignalName {
    /// The kernel's first is 32; glibc keeps two for itself, and it is glibc's numbers that programs use.
    private static let realTimeMin: Int32 = 34
    private static let realTimeMax: Int32 = 64

    private static let numbers: [String: Int32] = {
        var numbers = [
            "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ILL": SIGILL, "TRAP": SIGTRAP, "ABRT": SIGABRT,
            "IOT": SIGABRT, "BUS": SIGBUS, "FPE": SIGFPE, "KILL": SIGKILL, "USR1": SIGUSR1, "SEGV": SIGSEGV,
            "USR2": SIGUSR2, "PIPE": SIGPIPE, "ALRM": SIGALRM, "TERM": SIGTERM, "STKFLT": SIGSTKFLT, "CHLD": SIGCHLD,
            "CLD": SIGCHLD, "CONT": SIGCONT, "STOP": SIGSTOP, "TSTP": SIGTSTP, "TTIN": SIGTTIN, "TTOU": SIGTTOU,
            "URG": SIGURG, "XCPU": SIGXCPU, "XFSZ": SIGXFSZ, "VTALRM": SIGVTALRM, "PROF": SIGPROF, "WINCH": SIGWINCH,
            "IO": SIGIO, "POLL": SIGIO, "PWR": SIGPWR, "SYS": SIGSYS, "RTMIN": realTimeMin, "RTMAX": realTimeMax,
        ]
        for offset in Int32(1)...15 { numbers["RTMIN+\(offset)"] = realTimeMin + offset }
        for offset in Int32(1)...14 { numbers["RTMAX-\(offset)"] = realTimeMax - offset }
        return numbers
    }()

    /// Without `SIG`, sorted.
    public static let names = numbers.keys.sorted()

    /// `nil`: there is no such signal.
    public static func number(of text: String) -> Int32? {
        if let number = Int32(text) { return (1...realTimeMax).contains(number) ? number : nil }
        let name = text.uppercased()
        return numbers[name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name]
    }

    /// `did you mean SIGTERM?`
    public static func hint(for text: String) -> String {
        let name = text.uppercased()
        return nearest(name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name, in: names)
            .map { "did you mean SIG\($0)?" } ?? "write a name such as SIGTERM, or a number"
    }
}
