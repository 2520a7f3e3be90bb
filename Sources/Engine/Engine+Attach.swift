import CLinux
import ContainerRuntime
import EngineWire
import Glibc
import LinuxSystem
import Logging
import Reconciler
import StackModel
import SupervisorPlan

/// A command run in a container by `exec`.
struct ExecInstance: Sendable {
    var containerID: String
    var request: ExecCreateRequest
    var session: AttachSession?
    var pid: Int = 0
    var exitCode: Int?
    var startedAt: Nanoseconds?
}

extension Engine {
    /// Ended instances are kept for inspection; the oldest are forgotten beyond this number.
    private static let execsMax = 1000

    /// A session on the container's streams: live ones, or for one that has not been started yet those it will have.
    public func attach(_ reference: String) async throws(EngineError) -> AttachSession {
        let container = try container(reference)
        let isTerminal = container.stored.definition.service.tty
        if container.process == nil {
            return try attachBeforeStart(container.stored.id, isTerminal: isTerminal)
        }
        let path = "\(options.containerRun(container.stored.id))/attach.sock"
        do throws(EngineError) {
            let socket = try await onPool { () throws(SystemError) in try connectUnix(path) }
            return AttachSession(socket: socket, isTerminal: isTerminal, pool: streams)
        } catch {
            // It has ended a moment ago: there is nothing more to hear.
            guard case .system(let failure) = error, failure.code == ENOENT || failure.code == ECONNREFUSED else {
                throw error
            }
            return AttachSession(socket: try Self.sessionSockets().near, isTerminal: isTerminal, pool: streams)
        }
    }

    private static func sessionSockets() throws(EngineError) -> (near: SharedDescriptor, far: SharedDescriptor) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw .system(SystemError("socketpair", code: errno))
        }
        return (
            SharedDescriptor(FileDescriptor(owning: ends[0])), SharedDescriptor(FileDescriptor(owning: ends[1]))
        )
    }

    private func attachBeforeStart(_ id: String, isTerminal: Bool) throws(EngineError) -> AttachSession {
        let (near, far) = try Self.sessionSockets()
        // Those whose client has gone need not come along.
        let others = (pendingAttach[id] ?? []).filter { !$0.isHungUp }
        guard others.count < SupervisorDescriptor.clientsMax else {
            throw .conflict("\(others.count) clients wait for the start of \(id.prefix(12)) already, which is the most")
        }
        pendingAttach[id] = others + [far]
        return AttachSession(socket: near, isTerminal: isTerminal, pool: streams)
    }

    public func createExec(_ reference: String, _ request: ExecCreateRequest) throws(EngineError) -> String {
        let container = try container(reference)
        guard container.process != nil else { throw .containerNotRunning(container.stored.name) }
        guard !request.Cmd.isEmpty else { throw .badRequest("no command to execute") }
        forgetOldExecs()
        let id = randomID()
        execs[id] = ExecInstance(containerID: container.stored.id, request: request)
        return id
    }

    private func forgetOldExecs() {
        let ended = execs.filter { $0.value.exitCode != nil || $0.value.session == nil }
        guard ended.count >= Self.execsMax else { return }
        for (id, _) in ended.sorted(by: { ($0.value.startedAt ?? 0) < ($1.value.startedAt ?? 0) })
            .prefix(ended.count - Self.execsMax + 1)
        {
            execs[id] = nil
        }
    }

    /// Runs the command; whoever reads the session calls `execEnded` with the exit frame.
    public func startExec(_ id: String) async throws(EngineError) -> AttachSession {
        guard let instance = execs[id] else { throw .execNotFound(id) }
        guard instance.startedAt == nil else { throw .execStarted(id) }
        guard let container = containers[instance.containerID], container.process != nil else {
            throw .containerNotRunning(instance.containerID)
        }
        execs[id]?.startedAt = Clock.now()
        let request = try execRequest(container.stored, instance.request)
        do throws(EngineError) {
            let session = try await onRuntime(of: container.stored.name) {
                runtime throws(RuntimeError) -> StartedExec in
                try StartedExec(try runtime.execute(request))
            }
            let attached = AttachSession(
                socket: session.socket, isTerminal: instance.request.Tty ?? false, pool: streams)
            execs[id]?.session = attached
            execs[id]?.pid = Int(session.pid)
            for warning in session.warnings {
                log.warning("exec", metadata: ["exec": "\(id.prefix(12))", "warning": "\(warning)"])
            }
            return attached
        } catch {
            if case .runtime(let failure, _) = error {
                execs[id]?.exitCode = Int(failure.conventionalExitCode ?? 128)
            }
            throw error
        }
    }

    public func execEnded(_ id: String, exitCode: Int) {
        execs[id]?.exitCode = exitCode
        execs[id]?.session = nil
    }

    public func resizeExec(_ id: String, rows: UInt16, columns: UInt16) async throws(EngineError) {
        guard let instance = execs[id] else { throw .execNotFound(id) }
        await instance.session?.resize(rows: rows, columns: columns)
    }

    public func inspectExec(_ id: String) throws(EngineError) -> ExecInspect {
        guard let instance = execs[id] else { throw .execNotFound(id) }
        return ExecInspect(
            ID: id, Running: instance.startedAt != nil && instance.exitCode == nil, ExitCode: instance.exitCode,
            Pid: instance.pid)
    }

    public func resizeContainer(_ reference: String, rows: UInt16, columns: UInt16) async throws(EngineError) {
        let session = try await attach(reference)
        await session.resize(rows: rows, columns: columns)
        session.close()
    }
}

/// An exec session in a form that an actor can keep: a non-copyable value cannot cross into it.
private struct StartedExec: Sendable {
    let socket: SharedDescriptor
    let pid: Int32
    let warnings: [String]

    init(_ session: consuming ExecSession) throws(RuntimeError) {
        pid = session.pid
        warnings = session.warnings
        do throws(SystemError) {
            socket = SharedDescriptor(try session.socket.duplicate())
        } catch {
            throw .system("keep the session's socket", error)
        }
    }
}

extension SharedDescriptor {
    /// The other end of the socket is closed.
    fileprivate var isHungUp: Bool {
        var entry = pollfd(fd: raw, events: 0, revents: 0)
        return poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLHUP) != 0
    }
}

/// A stream connection to a supervisor's socket.
private func connectUnix(_ path: String) throws(SystemError) -> SharedDescriptor {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = FileDescriptor(owning: try check("socket") { socket(AF_UNIX, type, 0) })
    let raw = descriptor.raw
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // A folder deep in the tree would not fit into sun_path; the descriptor's name always does.
    let folder = try FileDescriptor.open(FileSystem.parent(of: path), O_PATH | O_DIRECTORY)
    let short = "/proc/self/fd/\(folder.raw)/\(FileSystem.lastComponent(of: path))"
    withUnsafeMutableBytes(of: &address.sun_path) { buffer in
        buffer.copyBytes(from: Array(short.utf8).prefix(buffer.count - 1))
    }
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    try check("connect", path: path) {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { gantry_connect(raw, $0, size) }
        }
    }
    return SharedDescriptor(descriptor)
}
