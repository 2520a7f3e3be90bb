import CLinux

/// `SIGTERM`, `TERM`, `15`, `RTMIN+3` → the number (`signal(7)`).
func signalNumber(_ text: String) throws(EngineError) -> Int32 {
    if let number = Int32(text) {
        guard (1...64).contains(number) else { throw .badRequest("no such signal: \(text)") }
        return number
    }
    var name = text.uppercased()
    if name.hasPrefix("SIG") { name.removeFirst(3) }
    if let number = signalNumbers[name] { return number }
    if name.hasPrefix("RTMIN"), let offset = Int32(name.dropFirst("RTMIN".count).drop { $0 == "+" }),
        (0...15).contains(offset)
    {
        return firstRealTimeSignal + offset
    }
    throw .badRequest("no such signal: \(text)")
}

/// The kernel's first is 32; glibc keeps two for itself, and it is glibc's numbers that programs use.
private let firstRealTimeSignal: Int32 = 34

private let signalNumbers: [String: Int32] = [
    "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ILL": SIGILL, "TRAP": SIGTRAP, "ABRT": SIGABRT, "IOT": SIGABRT,
    "BUS": SIGBUS, "FPE": SIGFPE, "KILL": SIGKILL, "USR1": SIGUSR1, "SEGV": SIGSEGV, "USR2": SIGUSR2,
    "PIPE": SIGPIPE, "ALRM": SIGALRM, "TERM": SIGTERM, "STKFLT": SIGSTKFLT, "CHLD": SIGCHLD, "CONT": SIGCONT,
    "STOP": SIGSTOP, "TSTP": SIGTSTP, "TTIN": SIGTTIN, "TTOU": SIGTTOU, "URG": SIGURG, "XCPU": SIGXCPU,
    "XFSZ": SIGXFSZ, "VTALRM": SIGVTALRM, "PROF": SIGPROF, "WINCH": SIGWINCH, "IO": SIGIO, "POLL": SIGIO,
    "PWR": SIGPWR, "SYS": SIGSYS, "RTMIN": firstRealTimeSignal, "RTMAX": 64,
]
