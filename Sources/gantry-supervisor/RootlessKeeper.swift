import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The process that stays outside of a plain user's namespaces: it has them made and their ids mapped, keeps the uplink
/// running, and binds ports of the host for the holder inside. Keeper and holder end together.
///
/// Messages to the holder: `ids range|single`, `uplink NAME PID RESOLVER`, answers to `HostPortRequest.open` (with the
/// socket behind them). From the holder: `ready`, `no-route NAME`, `failed TEXT`, and `open` requests.
struct RootlessKeeper {
    private static let uplinkPauseMilliseconds: Int32 = 1_000

    private let socket: Int32
    private let holder: pid_t
    private let holderEnd: Int32
    private let uplinkLog: String
    private var candidates = RootlessUplink.wanted[...]
    private var uplink: (kind: RootlessUplink, pid: pid_t, pidfd: Int32)?
    /// -1 once the answer has been given.
    private var report: Int32

    // MARK: - Start

    /// Starts keeper and holder, and returns when the holder answers on its socket.
    static func start(execRoot: String, lock: Int32) throws(SetupFailure) {
        let ends = try step("make a pipe") { () throws(SystemError) in try Descriptors.pipe() }
        var pidfd: Int32 = -1
        let pid = try step("start the keeper") { () throws(SystemError) in
            try check("clone3") { gantry_clone3(0, &pidfd, -1) }
        }
        if pid == 0 {
            // Twice: no child of the engine that this process becomes.
            if gantry_clone3(0, &pidfd, -1) == 0 { run(execRoot: execRoot, lock: lock, report: ends.write) }
            _exit(0)
        }
        close(pidfd)
        _ = ChildProcess.wait(pid)
        close(ends.write)
        let answer = FileDescriptor(owning: ends.read)
        let bytes = try step("wait for the keeper") { () throws(SystemError) in
            try answer.readAll(byteCountMax: 1 << 16)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard text != "ready" else { return }
        throw SetupFailure(
            step: "make the namespaces", code: 0, text: text.isEmpty ? "the keeper ended without an answer" : text)
    }

    private static func run(execRoot: String, lock: Int32, report: Int32) -> Never {
        setsid()
        "gantry-keeper".withCString { _ = gantry_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0, 0, 0) }
        _ = chdir("/")
        signal(SIGPIPE, SIG_IGN)
        let null = gantry_open("/dev/null", O_RDWR, 0)
        for stream in Int32(0)...2 { dup2(null, stream) }
        Descriptors.closeAll(except: [0, 1, 2, lock, report])
        do {
            RootlessSurvivors(execRoot: execRoot).kill()
            var keeper = try RootlessKeeper(execRoot: execRoot, lock: lock, report: report)
            try keeper.serve()
        } catch {
            let text = Array("\(error.step): \(error.text)".utf8)
            _ = write(report, text, text.count)
        }
        _exit(1)
    }

    private init(execRoot: String, lock: Int32, report: Int32) throws(SetupFailure) {
        var ends: [Int32] = [-1, -1]
        try step("make a socket pair") { () throws(SystemError) in
            try check("socketpair") { gantry_message_pair(&ends) }
        }
        var pidfd: Int32 = -1
        let flags = UInt64(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
        do {
            holder = try step("make a user namespace") { () throws(SystemError) in
                try check("clone3") { gantry_clone3(flags, &pidfd, -1) }
            }
        } catch {
            throw SetupFailure(
                step: error.step, code: error.code,
                text: error.text + " (see sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and "
                    + "kernel.apparmor_restrict_unprivileged_userns)")
        }
        if holder == 0 {
            for descriptor in [ends[0], lock, report] { close(descriptor) }
            RootlessHolder.run(execRoot: execRoot, keeper: ends[1])
        }
        close(ends[1])
        (socket, holderEnd, self.report, uplinkLog) = (ends[0], pidfd, report, "\(execRoot)/uplink.log")
        let ids = try RootlessIDs(mapping: holder)
        try tell("ids \(ids.isSingle ? "single" : "range")")
        try startUplink()
    }

    private func tell(_ text: String) throws(SetupFailure) {
        try step("talk to the holder") { () throws(SystemError) in try MessageSocket.send(text, to: socket) }
    }

    // MARK: - Uplink

    /// Starts the next program that is there; `none` when no more are left.
    private mutating func startUplink() throws(SetupFailure) {
        while let kind = candidates.first {
            guard let pid = kind.start(for: holder, log: uplinkLog) else {
                candidates = candidates.dropFirst()
                continue
            }
            uplink = (kind, pid, gantry_pidfd_open(pid, 0))
            return try tell("uplink \(kind.rawValue) \(pid) \(kind.resolver)")
        }
        try tell("uplink none 0 none")
    }

    private mutating func endUplink() {
        guard let uplink else { return }
        kill(uplink.pid, SIGKILL)
        _ = ChildProcess.wait(uplink.pid)
        close(uplink.pidfd)
        self.uplink = nil
    }

    /// Before the start is over, the next candidate has its turn; later it is started again.
    private mutating func uplinkEnded() throws(SetupFailure) {
        endUplink()
        if report >= 0 {
            candidates = candidates.dropFirst()
        } else {
            poll(nil, 0, Self.uplinkPauseMilliseconds)
        }
        try startUplink()
    }

    // MARK: - Service

    private mutating func serve() throws(SetupFailure) {
        while true {
            var polled = [
                pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
                pollfd(fd: holderEnd, events: Int16(POLLIN), revents: 0),
                pollfd(fd: uplink?.pidfd ?? -1, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&polled, 3, -1)
            if polled[0].revents & Int16(POLLIN) != 0 {
                // A failure to read is the end of the holder.
                guard let message = try? MessageSocket.receive(from: socket) else { return end() }
                try answer(message)
            } else if polled[0].revents != 0 || polled[1].revents != 0 {
                return end()
            }
            if polled[2].revents != 0 { try uplinkEnded() }
        }
    }

    private mutating func end() {
        endUplink()
        kill(holder, SIGKILL)
        _ = ChildProcess.wait(holder)
    }

    private mutating func answer(_ message: String) throws(SetupFailure) {
        if case .open(let port, _) = HostPortRequest(text: message) { return try open(port) }
        if message == "ready" {
            settle(message)
        } else if message.hasPrefix("failed ") {
            settle(String(message.dropFirst("failed ".count)))
        } else if message == "no-route \(uplink?.kind.rawValue ?? "")" {
            try uplinkEnded()
        }
    }

    private mutating func settle(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(report, bytes, bytes.count)
        close(report)
        report = -1
    }

    // MARK: - Ports

    private func open(_ port: HostPort) throws(SetupFailure) {
        do throws(SystemError) {
            let made = try Self.bound(port)
            let raw = made.raw
            let number = try check("getsockname") { gantry_local_port_ipv4(raw) }
            try MessageSocket.send(
                HostPortReply.done(port: UInt16(truncatingIfNeeded: number)).text, to: socket)
            try check("sendmsg") { gantry_send_descriptor(socket, raw) }
        } catch {
            try tell(HostPortReply.failed(error.code).text)
        }
    }

    private static func bound(_ port: HostPort) throws(SystemError) -> FileDescriptor {
        let isStream = port.transport == .tcp
        let made = FileDescriptor(owning: try check("socket") { gantry_ipv4_socket(isStream ? 1 : 0) })
        let raw = made.raw
        if isStream {
            // Connections of before that still linger do not keep the port; another listener does.
            var one: Int32 = 1
            try check("setsockopt") {
                setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
            }
        }
        try check("bind") { gantry_bind_ipv4(raw, port.address.bigEndian, port.port) }
        if isStream { try check("listen") { listen(raw, SOMAXCONN) } }
        return made
    }
}

/// Containers whose supervisors run, by what they write below the exec root.
struct RootlessSurvivors {
    let execRoot: String

    private func states() -> [StateRecord] {
        // No folder, no containers.
        let names = (try? FileSystem.list("\(execRoot)/containers")) ?? []
        return names.compactMap { name in
            let path = "\(execRoot)/containers/\(name)/\(ContainerFile.state)"
            // A container that never ran has none.
            guard let bytes = try? FileSystem.readFile(path, byteCountMax: 1 << 16) else { return nil }
            return StateRecord(text: String(decoding: bytes, as: UTF8.self))
        }
    }

    private static func isAlive(_ pid: pid_t, _ start: UInt64) -> Bool {
        // Unreadable: there is no such process.
        guard pid > 0, let stat = try? ProcessStat.read("\(pid)") else { return false }
        return stat.startTime == start && !stat.hasEnded
    }

    var areAny: Bool { states().contains { Self.isAlive($0.supervisorPID, $0.supervisorStart) } }

    /// Containers in namespaces whose holder was killed: nothing can reach them any more. The engine finds them ended
    /// and does what their restart policy says.
    func kill() {
        for state in states() {
            if Self.isAlive(state.supervisorPID, state.supervisorStart) { Glibc.kill(state.supervisorPID, SIGKILL) }
            if Self.isAlive(state.initPID, state.initStart) { Glibc.kill(state.initPID, SIGKILL) }
        }
    }
}
