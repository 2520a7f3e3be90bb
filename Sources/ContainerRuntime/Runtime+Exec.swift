import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// A process that was added to a container: its streams on a framed socket (`SupervisorPlan.Frame`), which ends with
/// an exit frame.
public struct ExecSession: ~Copyable, Sendable {
    public let socket: FileDescriptor
    /// As the host numbers it.
    public let pid: Int32
    /// The process's parent, which serves the socket.
    public let supervisorPID: Int32
    public let warnings: [String]

    /// The output of a short-lived process, and how it ended.
    public struct Outcome: Equatable, Sendable {
        /// `nil`: it did not end in time and was killed, or its supervisor died.
        public var exitCode: Int32?
        /// Standard output and error as they came, cut at the limit.
        public var output: [UInt8]
        public var timedOut: Bool
    }

    /// Sends a signal if the process is still there.
    public func signal(_ signal: Int32) {
        let pidfd = gantry_pidfd_open(pid, 0)
        guard pidfd >= 0 else { return }
        let process = FileDescriptor(owning: pidfd)
        // Its parent is still our supervisor, so the number still means this process.
        guard parentOfProcess() == supervisorPID else { return }
        _ = gantry_pidfd_send_signal(process.raw, signal)
    }

    private func parentOfProcess() -> Int32? {
        // Unreadable means that it has ended.
        guard let bytes = try? FileSystem.readFile("/proc/\(pid)/stat", byteCountMax: 4096),
            let close = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = bytes[(close + 1)...].split(separator: 0x20)
        return fields.count > 1 ? Int32(String(decoding: fields[1], as: UTF8.self)) : nil
    }

    private static let cancelPoll: Int64 = 200

    /// Waits for the end and collects the output; kills the process after `timeout` milliseconds.
    ///
    /// - Parameter isCancelled: asked a few times a second; the process is killed then too.
    public consuming func collect(
        timeoutMilliseconds: Int64, outputMax: Int, isCancelled: (() -> Bool)? = nil
    ) throws(RuntimeError) -> Outcome {
        var outcome = Outcome(exitCode: nil, output: [], timedOut: false)
        var parser = FrameParser()
        let deadline = Runtime.monotonicMilliseconds() + timeoutMilliseconds
        let raw = socket.raw
        while outcome.exitCode == nil {
            let remaining = deadline - Runtime.monotonicMilliseconds()
            let ready = try purpose("wait for the process") { () throws(SystemError) in
                var polled = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
                let patience = isCancelled == nil ? remaining : min(remaining, Self.cancelPoll)
                return try check("poll") { poll(&polled, 1, Int32(clamping: max(patience, 0))) }
            }
            if ready == 0, remaining > Self.cancelPoll, isCancelled?() == false { continue }
            guard ready > 0 else {
                signal(SIGKILL)
                outcome.timedOut = true
                return outcome
            }
            let chunk = try purpose("read the process's output") { () throws(SystemError) in
                try socket.read(upTo: 16 << 10)
            }
            if chunk.isEmpty { break }
            parser.append(chunk)
            try Self.take(&parser, into: &outcome, outputMax: outputMax)
        }
        return outcome
    }

    private static func take(
        _ parser: inout FrameParser, into outcome: inout Outcome, outputMax: Int
    ) throws(RuntimeError) {
        do throws(FrameParser.Failure) {
            while let frame = try parser.next() {
                switch frame.kind {
                case .stdout, .stderr:
                    outcome.output += frame.payload.prefix(max(outputMax - outcome.output.count, 0))
                case .exit:
                    let code = frame.payload.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                    outcome.exitCode = Int32(bitPattern: code)
                case .stdin, .resize, .closeStdin: continue
                }
            }
        } catch {
            throw .supervisorFailed("its stream is malformed (\(error))")
        }
    }
}

extension Runtime {
    /// Runs one more process in a running container; returns when its program has been executed.
    public func execute(_ request: ExecRequest) throws(RuntimeError) -> ExecSession {
        let state = try runningState(request.directory)
        if try isPaused(directory: request.directory) { throw .paused(directory: request.directory) }
        let plan = try compile(request, state)
        var ends: [Int32] = [-1, -1]
        try purpose("make a socket") { () throws(SystemError) in
            let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            try check("socketpair") { socketpair(AF_UNIX, type, 0, &ends) }
        }
        // Owned from here on: what follows may throw.
        let socket = FileDescriptor(owning: ends[0])
        let theirs = SharedDescriptor(FileDescriptor(owning: ends[1]))
        let supervisor = try purpose("start the supervisor") { () throws(SystemError) in
            try spawner.spawn(
                mode: "exec", name: FileSystem.lastComponent(of: request.directory), plan: PlanFile.encode(plan),
                clients: [theirs.raw])
        }
        let answer: (pid: Int32, at: UInt64, warnings: [String])
        do {
            answer = try Self.awaitStart(supervisor.report)
        } catch {
            if case .supervisorFailed = error { kill(supervisor.pid, SIGKILL) }
            throw error
        }
        return ExecSession(
            socket: socket, pid: answer.pid, supervisorPID: supervisor.pid,
            warnings: answer.warnings)
    }

    func compile(_ request: ExecRequest, _ state: StateRecord) throws(RuntimeError) -> ExecPlan {
        var spec = request.spec
        spec.process.args = request.args
        if !request.env.isEmpty { spec.process.env = request.env }
        if let cwd = request.cwd { spec.process.cwd = cwd }
        if request.privileged { spec.process.capabilities = .init(all: CapabilityNames.all()) }
        spec.process.terminal = request.terminal
        spec.process.consoleSize = request.consoleSize
        let filter = try seccomp.filter(spec, policy: request.privileged ? .unconfined : request.seccomp)
        var process = try compiler.compileProcess(spec, seccomp: filter)
        process.user = request.user
        process.dropForNonRoot = request.user != nil && !request.privileged
        process.groups = request.groups
        process.stdinOpen = request.stdinOpen
        process.createDirectory = false
        process.attributes.sharesKeyring = request.sharesKeyring
        try AttributeCompiler.affinity(spec.process.execCPUAffinity, into: &process.attributes)
        if !filter.isEmpty {
            let id = FileSystem.lastComponent(of: state.cgroupName)
            process.listener = SeccompPlan.listener(spec, id: id, status: "running", initPID: state.initPID)
        }
        var plan = ExecPlan(
            initPID: state.initPID, initStartTime: state.initStart, namespaces: state.namespaces, process: process)
        plan.cgroups = host.cgroups.directories(name: state.cgroupName)
            .filter { FileSystem.exists($0.path) }
            .map { CgroupPlan(version: $0.hierarchy.version, path: $0.path) }
        return plan
    }
}
