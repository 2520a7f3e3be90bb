import CLinux
import Glibc
import LinuxSystem

/// Stands in front of a process until it ends: its parent in place of whoever would reap it, its signals' way in, and
/// between its terminal and ours.
final class Foreground {
    private static let chunkByteCount = 16 << 10

    private let signals: FileDescriptor
    private let terminalSocket: Int32?
    private var master: Int32 = -1
    private var settings: termios?
    /// Input that the terminal has not taken yet.
    private var pending: [UInt8] = []
    private var inputEnded = false

    /// Before the process is made: signals that come meanwhile wait, and the process becomes our child.
    /// - Parameter terminalSocket: where the terminal's master will come from; `nil` without one.
    init(terminalSocket: Int32?) throws(SystemError) {
        try check("prctl") { gantry_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }
        var set = sigset_t()
        sigfillset(&set)
        for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS] { sigdelset(&set, signal) }
        try check("sigprocmask") { sigprocmask(SIG_BLOCK, &set, nil) }
        signals = FileDescriptor(owning: try check("signalfd") { signalfd(-1, &set, Int32(SFD_CLOEXEC)) })
        self.terminalSocket = terminalSocket
    }

    /// Receives the master, which was sent before the container was ready.
    func takeTerminal() throws(SystemError) {
        guard let terminalSocket else { return }
        master = try check("receive the terminal") { gantry_receive_descriptor(terminalSocket) }
        close(terminalSocket)
        let raw = master
        let flags = try check("fcntl") { gantry_fcntl(raw, F_GETFL, 0) }
        try check("fcntl") { gantry_fcntl(raw, F_SETFL, Int(flags | O_NONBLOCK)) }
        resize()
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return }
        settings = before
        var raw_ = before
        cfmakeraw(&raw_)
        try check("tcsetattr") { tcsetattr(STDIN_FILENO, TCSADRAIN, &raw_) }
    }

    private func resize() {
        var size = winsize()
        guard master >= 0, gantry_ioctl(STDIN_FILENO, UInt(TIOCGWINSZ), &size) == 0 else { return }
        gantry_pty_resize(master, size.ws_row, size.ws_col)
    }

    /// The process's exit code, 128 + signal where one ended it.
    func wait(for pid: pid_t) throws(SystemError) -> Int32 {
        defer { restore() }
        while true {
            var polled = [
                pollfd(fd: signals.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: master, events: Int16(pending.isEmpty ? POLLIN : POLLIN | POLLOUT), revents: 0),
                pollfd(
                    fd: master >= 0 && !inputEnded && pending.isEmpty ? STDIN_FILENO : -1, events: Int16(POLLIN),
                    revents: 0),
            ]
            try check("poll") { poll(&polled, nfds_t(polled.count), -1) }
            if polled[1].revents != 0 { moveTerminal() }
            if polled[2].revents != 0 { readInput() }
            if polled[0].revents != 0, let code = try takeSignal(pid) {
                moveTerminal()
                return code
            }
        }
    }

    private func takeSignal(_ pid: pid_t) throws(SystemError) -> Int32? {
        var info = signalfd_siginfo()
        let raw = signals.raw
        try check("read") { read(raw, &info, MemoryLayout<signalfd_siginfo>.size) }
        let signal = Int32(bitPattern: info.ssi_signo)
        switch signal {
        case SIGCHLD: return reap(pid)
        case SIGWINCH where master >= 0: resize()
        case SIGURG, SIGPIPE, SIGTTOU, SIGTTIN: break
        default: kill(pid, signal)
        }
        return nil
    }

    /// Everything that has become ours and ended.
    private func reap(_ pid: pid_t) -> Int32? {
        var code: Int32?
        while true {
            var status: Int32 = 0
            let reaped = waitpid(-1, &status, WNOHANG)
            guard reaped > 0 else { return code }
            guard reaped == pid else { continue }
            code = gantry_wifexited(status) != 0 ? gantry_wexitstatus(status) : 128 + gantry_wtermsig(status)
        }
    }

    private func moveTerminal() {
        var buffer = [UInt8](repeating: 0, count: Self.chunkByteCount)
        while !pending.isEmpty {
            let count = write(master, pending, pending.count)
            guard count > 0 else { break }
            pending.removeFirst(count)
        }
        while master >= 0 {
            let count = read(master, &buffer, buffer.count)
            if count <= 0 {
                // EIO: the last of its users has closed it.
                if count == 0 || (errno != EAGAIN && errno != EINTR) {
                    close(master)
                    master = -1
                    pending = []
                }
                return
            }
            var offset = 0
            while offset < count {
                let written = buffer.withUnsafeBytes {
                    write(STDOUT_FILENO, $0.baseAddress.map { $0 + offset }, count - offset)
                }
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { break }
                offset += written
            }
        }
    }

    private func readInput() {
        var buffer = [UInt8](repeating: 0, count: Self.chunkByteCount)
        let count = read(STDIN_FILENO, &buffer, buffer.count)
        if count > 0 {
            pending += buffer.prefix(count)
        } else if count == 0 || errno != EINTR {
            inputEnded = true
        }
    }

    private func restore() {
        guard var before = settings else { return }
        // A terminal that has gone away needs no settings.
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before)
        settings = nil
    }

    deinit {
        restore()
        if master >= 0 { close(master) }
    }
}
