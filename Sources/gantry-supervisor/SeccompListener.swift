import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The descriptor that answers a filter's notifications, on its way from the container's process to the host's agent.
///
/// The process cannot send it: the filter is on, and sendmsg(2) may be among what it withholds. So the process says on
/// a shared page which number the descriptor will have, loads the filter, and waits without a system call; the
/// supervisor takes a duplicate (pidfd_getfd(2)), sends it, and lets the process go on to its execve.
struct SeccompListener {
    private static let secondsMax: Int32 = 10
    private static let pollMicroseconds: UInt32 = 200

    private let plan: ListenerPlan
    /// 0: the descriptor's number plus one, once the filter is about to be loaded. 1: set when it has been sent.
    private let words: UnsafeMutablePointer<Int32>

    /// Before the clone; `nil` where the plan has no listener.
    init?(_ process: ProcessPlan) throws(SystemError) {
        guard let plan = process.listener else { return nil }
        guard let words = gantry_shared_words() else { throw SystemError("mmap", code: errno) }
        self.plan = plan
        self.words = words
    }

    // MARK: - In the process

    /// Right before the filter is loaded: nothing may open a descriptor in between.
    func announce() throws(SystemError) {
        // The kernel gives the lowest number that is free.
        let number = try check("dup") { dup(0) }
        close(number)
        gantry_word_set(words, number + 1)
    }

    /// With the filter on.
    func awaitDelivery() throws(SystemError) {
        try check("wait for the seccomp listener's delivery") { gantry_word_await(words + 1, Self.secondsMax) }
    }

    // MARK: - In the supervisor

    /// Returns when the agent has the descriptor, or when the process has ended, which says why itself.
    func deliver(pid: pid_t, pidfd: Int32) throws(SetupFailure) {
        defer { munmap(words, 4096) }
        try step("hand the seccomp listener to \(plan.path)") { () throws(SystemError) in
            guard let number = Self.poll(pidfd, { gantry_word_get(words) > 0 ? gantry_word_get(words) - 1 : nil })
            else { return }
            guard let raw = Self.poll(pidfd, { Self.take(number, from: pidfd) }) else { return }
            try send(FileDescriptor(owning: raw), pid: pid)
            gantry_word_set(words + 1, 1)
        }
    }

    /// Until it answers or the process ends.
    private static func poll(_ pidfd: Int32, _ attempt: () -> Int32?) -> Int32? {
        while true {
            if let answer = attempt() { return answer }
            var ended = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
            if Glibc.poll(&ended, 1, 0) != 0 { return nil }
            usleep(pollMicroseconds)
        }
    }

    /// Only if the number means a listener already.
    private static func take(_ number: Int32, from pidfd: Int32) -> Int32? {
        let raw = gantry_pidfd_getfd(pidfd, number)
        guard raw >= 0 else { return nil }
        var name = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/self/fd/\(raw)", &name, name.count - 1)
        let text = String(decoding: name.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if text == "anon_inode:seccomp notify" { return raw }
        close(raw)
        return nil
    }

    private func send(_ listener: borrowing FileDescriptor, pid: pid_t) throws(SystemError) {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let socket = FileDescriptor(owning: try check("socket") { Glibc.socket(AF_UNIX, type, 0) })
        let (raw, descriptor) = (socket.raw, listener.raw)
        try check("connect", path: plan.path) { gantry_unix_connect(raw, plan.path) }
        let state = Array(plan.state.joined(separator: "\(pid)").utf8)
        let sent = try check("sendmsg", path: plan.path) {
            gantry_send_descriptor_with(raw, descriptor, state, state.count)
        }
        guard sent == state.count else { throw SystemError("sendmsg", path: plan.path, code: EMSGSIZE) }
    }
}
