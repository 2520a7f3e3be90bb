import ContainerRuntime
import DockerTranslation
import EngineWire
import JSONDocument
import LinuxSystem
import Reconciler
import StackModel

/// Attaching and executing as Docker's clients do it.
extension Engine {
    /// What a client's input means for a container.
    public struct AttachPlan: Sendable {
        public let session: AttachSession
        /// The end of the client's input is that of the container's.
        public let endsInput: Bool
    }

    public func attachByClient(_ reference: String) async throws(EngineError) -> AttachPlan {
        await awaitStart(of: try container(reference).stored.id)
        let container = try container(reference)
        if isFrozen(container.stored.id) {
            throw .conflict("container \(reference) is paused, unpause the container before attach")
        }
        let session = try await attach(container.stored.id)
        announce(container.stored, "attach")
        let isOnce = container.stored.free.map(\.request.isStdinOnce) ?? true
        return AttachPlan(session: session, endsInput: isOnce)
    }

    /// The client has typed the keys that take it off the container.
    public func detached(_ reference: String) {
        guard let stored = try? container(reference).stored else { return }  // It has ended meanwhile.
        announce(stored, "detach")
    }

    public func isTerminal(_ reference: String) throws(EngineError) -> Bool {
        try container(reference).stored.definition.service.tty
    }

    public func resizeByClient(_ reference: String, rows: UInt16, columns: UInt16) async throws(EngineError) {
        let container = try container(reference)
        guard container.process != nil else {
            throw .conflict("cannot resize a stopped container: container \(container.stored.id) is not running")
        }
        try await resizeContainer(container.stored.id, rows: rows, columns: columns)
        announce(container.stored, "resize", ["height": "\(rows)", "width": "\(columns)"])
    }

    /// - Throws: as Docker's API answers for a container that cannot take a command now.
    public func createExecByClient(_ reference: String, _ request: ExecCreateRequest) throws(EngineError) -> String {
        let container = try container(reference)
        let stored = container.stored
        guard container.process != nil else { throw .conflict("container \(stored.id) is not running") }
        guard !isFrozen(stored.id) else {
            throw .conflict("container \(reference) is paused, unpause the container before exec")
        }
        guard !request.Cmd.isEmpty else { throw .badRequest("No exec command specified") }
        let id = try createExec(stored.id, request)
        announce(stored, "exec_create: \(request.Cmd.joined(separator: " "))", ["execID": id])
        return id
    }

    /// Tells of the start; what `startExec` throws is an answer that the client can have in the stream.
    public func startExecByClient(_ id: String, size: (rows: UInt16, columns: UInt16)?) async throws(EngineError)
        -> AttachSession
    {
        guard let instance = execs[id] else { throw .execNotFound(id) }
        guard let stored = containers[instance.containerID]?.stored else { throw .execNotFound(id) }
        announce(stored, "exec_start: \(instance.request.Cmd.joined(separator: " "))", ["execID": id])
        let session = try await startExec(id)
        let created = instance.request.ConsoleSize ?? []
        var size = size
        if size == nil, created.count == 2, let rows = UInt16(exactly: created[0]),
            let columns = UInt16(exactly: created[1]),
            rows > 0, columns > 0
        {
            size = (rows, columns)
        }
        if let size, instance.request.Tty == true { await session.resize(rows: size.rows, columns: size.columns) }
        return session
    }

    public func execEndedByClient(_ id: String, exitCode: Int) {
        guard let instance = execs[id], instance.exitCode == nil else { return }
        execEnded(id, exitCode: exitCode)
        guard let stored = containers[instance.containerID]?.stored else { return }
        announce(stored, "exec_die", ["execID": id, "exitCode": "\(exitCode)"])
    }

    /// Whatever kept a command from starting, Docker's exit code for it is 126 (moby issue 45795), and clients wait for
    /// that.
    public func execRefusedToClient(_ id: String) { execs[id]?.exitCode = Self.execRefusedCode }

    private static let execRefusedCode = 126

    /// `GET /exec/{id}/json`.
    public func execDocument(_ id: String) throws(EngineError) -> JSONValue {
        guard let instance = execs[id] else { throw .execNotFound(id) }
        let request = instance.request
        let isRunning = instance.startedAt != nil && instance.exitCode == nil
        let keys = request.DetachKeys ?? request.detachKeys ?? ""
        return .object([
            "ID": .string(id), "Running": .bool(isRunning),
            "ExitCode": instance.exitCode.map { .integer(Int64($0)) } ?? .null, "Pid": .integer(Int64(instance.pid)),
            "ContainerID": .string(instance.containerID), "CanRemove": .bool(false),
            "OpenStdin": .bool(request.AttachStdin ?? false), "OpenStdout": .bool(request.AttachStdout ?? false),
            "OpenStderr": .bool(request.AttachStderr ?? false), "DetachKeys": .string(keys),
            "ProcessConfig": .object([
                "tty": .bool(request.Tty ?? false), "entrypoint": .string(request.Cmd.first ?? ""),
                "arguments": .texts(Array(request.Cmd.dropFirst())), "privileged": .bool(request.Privileged ?? false),
                "user": .string(request.User ?? ""),
            ]),
        ])
    }

    /// The keys that take a client off a command in whose terminal it types, as they were asked for; empty: the usual
    /// ones.
    public func typedKeys(exec id: String) throws(EngineError) -> String? {
        guard let request = execs[id]?.request else { throw .execNotFound(id) }
        return request.Tty == true && request.AttachStdin == true ? request.DetachKeys ?? request.detachKeys ?? "" : nil
    }
}
