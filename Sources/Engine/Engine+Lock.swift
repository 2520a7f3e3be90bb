import EngineWire
import Reconciler
import StackModel
import Synchronization

/// The command on whose behalf something is done: known to all that it calls.
public struct CommandContext: Sendable {
    @TaskLocal public static var current: CommandContext?

    public var owner: CommandOwner?
    /// How long to wait for other commands, nanoseconds; `nil`: as long as it takes.
    public var lockTimeout: Nanoseconds?
    public let progress: Engine.ProgressSink
    private let client = ClientPresence()

    public init(owner: CommandOwner?, lockTimeout: Nanoseconds?, progress: @escaping Engine.ProgressSink) {
        self.owner = owner
        self.lockTimeout = lockTimeout
        self.progress = progress
    }

    /// Nobody reads its progress any more. What has begun goes on; what still waits for its turn is given up.
    public func noteClientGone() { client.noteGone() }

    var isClientGone: Bool { client.isGone }
}

private final class ClientPresence: Sendable {
    private let state = Mutex(false)

    var isGone: Bool { state.withLock { $0 } }

    func noteGone() { state.withLock { $0 = true } }
}

extension Engine {
    /// While a command waits for another one, its client hears so often of it. That is also how it is found out whether
    /// the client is still there.
    private static let lockNewsInterval: Nanoseconds = 1_000_000_000

    /// Does one change of a stack after the other.
    func withLock<Value: Sendable>(
        _ name: String, _ body: () async throws(EngineError) -> Value
    ) async throws(EngineError) -> Value {
        guard let lock = stacks[name]?.lock else { throw .stackNotFound(name) }
        let command = CommandContext.current
        if let command { try await queue(command, for: lock, of: name) } else { await lock.acquire() }
        stacks[name]?.holder = LockHolder(owner: command?.owner, since: rfc3339(Clock.now()))
        defer {
            stacks[name]?.holder = nil
            lock.release()
        }
        return try await body()
    }

    private func queue(_ command: CommandContext, for lock: AsyncLock, of name: String) async throws(EngineError) {
        // The background loop holds it for moments only; that is not what a limit is about.
        if command.lockTimeout == 0, let holder = stacks[name]?.holder { throw .locked(name, holder) }
        let ticket = lock.ticket()
        let isHeld = await withTaskGroup(of: Bool?.self) { group in
            group.addTask { await lock.acquire(ticket) }
            group.addTask {
                await self.tellOfLock(command, lock, ticket, of: name)
                return nil
            }
            var isHeld = false
            for await answer in group {
                guard let answer else { continue }
                isHeld = answer
                group.cancelAll()
            }
            return isHeld
        }
        lock.forget(ticket)
        if isHeld {
            // Nobody waits for it: whoever pressed Ctrl-C does not expect that it happens nevertheless.
            guard command.isClientGone else { return }
            lock.release()
        }
        if command.isClientGone || isShuttingDown { throw .cancelled }
        throw .locked(name, stacks[name]?.holder ?? LockHolder(owner: nil, since: rfc3339(Clock.now())))
    }

    /// Tells the client whom it waits for, and withdraws it when that has taken too long or the client is gone.
    private func tellOfLock(
        _ command: CommandContext, _ lock: AsyncLock, _ ticket: AsyncLock.Ticket, of name: String
    ) async {
        let beginning = Clock.monotonic()
        while !Task.isCancelled {
            let waited = Clock.monotonic() - beginning
            let left = command.lockTimeout.map { max(0, $0 - waited) }
            let isHolderKnown = stacks[name]?.holder != nil
            if command.isClientGone || isShuttingDown || (left == 0 && isHolderKnown) { return lock.withdraw(ticket) }
            if waited > 0, let holder = stacks[name]?.holder { command.progress(.locked(holder)) }
            let pause = min(Self.lockNewsInterval, max(left ?? .max, Self.lockNewsInterval / 20))
            // Cancelled: it has its turn.
            do { try await Task.sleep(for: .nanoseconds(clamping: pause)) } catch { return }
        }
    }
}

extension EngineError {
    /// Another command has the stack.
    static func locked(_ name: String, _ holder: LockHolder) -> EngineError {
        .diagnostics([
            Diagnostic(
                code: "stack.locked", "stack \(name) is being changed by \(holder.text)",
                hint: "wait for it, or say with --lock-timeout how long this command should")
        ])
    }
}

extension LockHolder {
    /// `root@build-7 (gantry up, process 4711, https://ci/42) since 2026-11-22T02:00:00.000000000Z`
    public var text: String {
        guard let owner else { return "another command since \(since)" }
        let place = (["\(owner.command)", "process \(owner.pid)"] + (owner.url.map { [$0] } ?? []))
            .joined(separator: ", ")
        return "\(owner.user)@\(owner.host) (\(place)) since \(since)"
    }
}
