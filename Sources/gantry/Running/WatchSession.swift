import EngineClient
import EngineWire
import FileWatch
import Glibc
import LinuxSystem
import StackModel
import TLSTransport

/// Watches the files of a stack's rules and acts on their changes. Files are watched by a thread of their own, so that
/// what changes while this acts comes with the next batch.
final class WatchSession {
    /// More changes at once are worth a word.
    private static let largeBatchCount = 1_000
    /// An engine that does not answer is asked again after so long.
    private static let retryMilliseconds: Int32 = 1_000

    private let session: Session
    private let client: EngineClient
    private let stack: Stack
    private let rules: [WatchRule]
    private let rebuild: ServiceRebuild
    private let signals: SignalSource
    private let watcher: FileWatcher
    private let lock: WatchLock
    /// What the engine was not there for.
    private var unsent = FileChanges()

    /// Watches from now on, unless somebody else does. Shows the rules' warnings.
    init(
        _ session: Session, _ client: EngineClient, _ rules: WatchRules, _ rebuild: ServiceRebuild,
        _ signals: SignalSource
    ) throws {
        (self.session, self.client, self.signals, self.rebuild) = (session, client, signals, rebuild)
        (stack, self.rules) = (rules.stack, rules.rules)
        lock = try WatchLock(project: stack.name, host: client.host, folder: "\(session.execRoot)/watch")
        try session.show(rules.warnings)
        for rule in self.rules where !FileSystem.exists(rule.definition.path) {
            try session.show([
                Diagnostic(
                    .warning, code: "watch.missing",
                    "there is nothing yet at '\(rule.definition.path)', which service '\(rule.service)' watches")
            ])
        }
        watcher = try FileWatcher(self.rules.map(\.scope))
    }

    /// For `wait(for:)`: readable when `act` has something to do.
    var descriptor: Int32 { watcher.descriptor }

    /// So many milliseconds until `act` is to be called all the same; `nil`: no need.
    var patience: Int32? { unsent.isEmpty ? nil : Self.retryMilliseconds }

    /// The copies that rules ask for at the start.
    func begin() throws {
        for service in Set(rules.map(\.service)).sorted() {
            var sync = WatchActions.Sync(service: service)
            for rule in rules where rule.service == service {
                sync.copies += rule.initialCopies(watcher.knownFiles(in: rule.definition.path))
            }
            guard !sync.isEmpty else { continue }
            try say(.initialSync(service: service, count: sync.count))
            try send(sync)
        }
        try say(.enabled)
    }

    /// Until a signal arrives, which is the answer.
    func run() throws -> Int32 {
        while true {
            var waited = [Waited(signals.descriptor), Waited(descriptor)]
            try wait(for: &waited, milliseconds: patience)
            if waited[0].readable, let signal = try signals.take() { return signal }
            do {
                try act()
            } catch let error as WatchInterruption {
                return error.signal
            }
        }
    }

    func say(_ note: WatchNote) throws {
        if let line = watchLine(note, session.progressMode, color: session.errors.color) {
            try session.errors.write(line + "\n")
        }
    }

    /// Acts on what has changed. What goes wrong is said, and the next change is waited for; only a signal and the end
    /// of watching are thrown.
    func act() throws {
        let news = try watcher.take()
        guard news != nil || !unsent.isEmpty else { return }
        var changes = news ?? FileChanges()
        for problem in changes.problems {
            try session.show([Diagnostic(.warning, code: "watch.partly", "\(problem)", hint: problem.hint)])
        }
        changes.changed = Set(changes.changed + unsent.changed).sorted()
        changes.removed = Set(changes.removed + unsent.removed).sorted()
        unsent = FileChanges()
        if changes.changed.count + changes.removed.count > Self.largeBatchCount { try say(.largeBatch) }
        do {
            try perform(WatchActions(changes, rules))
        } catch let error as EngineClientError where error.isAbsence {
            if news != nil { try report(error) }
            unsent = FileChanges(changed: changes.changed, removed: changes.removed)
        } catch {
            try report(error)
        }
    }

    private func report(_ error: any Error) throws {
        guard !(error is WatchInterruption), let failure = failure(for: error) else { throw error }
        try session.show(failure.diagnostics)
    }

    /// In Docker Compose's order.
    private func perform(_ actions: WatchActions) throws {
        if !actions.rebuilds.isEmpty {
            do { try replace(actions.rebuilds) } catch {
                if let error = error as? EngineClientError, error.isAbsence { throw error }
                try report(error)
            }
        }
        var failed: Set<String> = []
        for sync in actions.syncs where !sync.isEmpty {
            try say(.syncing(service: sync.service, count: sync.count))
            do {
                try send(sync)
            } catch {
                if let error = error as? EngineClientError, error.isAbsence { throw error }
                try report(error)
                failed.insert(sync.service)
            }
        }
        let restarts = actions.restarts.filter { !failed.contains($0) }
        if !restarts.isEmpty {
            try finish(try client.perform(.restart, stack: stack.name, ServicesRequest(services: restarts)))
            try say(.restarted(restarts))
        }
        for command in actions.commands where !failed.contains(command.service) { try run(command) }
    }

    // MARK: - Actions

    private func replace(_ services: [String]) throws {
        try say(.rebuilding(services))
        let old = try rebuild.images(of: services)
        try rebuild.build(services)
        try say(.rebuilt(services))
        try rebuild.replace(services, signals)
        try rebuild.prune(old)
    }

    private func containers(of service: String) throws -> [ContainerStatus] {
        try client.containers(stack: stack.name).filter { $0.service == service && !$0.oneOff }
            .sorted { $0.number < $1.number }
    }

    /// To each container, running or not: one that has crashed over a mistake gets the file that mends it.
    private func send(_ sync: WatchActions.Sync) throws {
        let containers = try containers(of: sync.service)
        if containers.isEmpty {
            throw CommandFailure(
                code: "watch.no-container", "service '\(sync.service)' has no container to copy files into",
                hint: "start it with `gantry up -d \(sync.service)`")
        }
        var failure: (any Error)?
        for container in containers {
            do { try send(sync, to: container.id) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    /// What cannot be removed does not keep back what is new.
    private func send(_ sync: WatchActions.Sync, to container: String) throws {
        let files = FileSync(client: client, container: container)
        do {
            try files.send(sync)
        } catch {
            let isAbsent = (error as? EngineClientError)?.isAbsence == true
            guard !sync.removals.isEmpty, !sync.copies.isEmpty, !isAbsent else { throw error }
            // The first error says more than a second one.
            try? files.send(WatchActions.Sync(service: sync.service, copies: sync.copies))
            throw error
        }
    }

    private func run(_ command: WatchActions.Command) throws {
        for container in try containers(of: command.service) where container.state == .running {
            let id = try client.createExec(container.id, execRequest(command.hook, session.environment))
            let output = try client.startExec(id, tty: false)
            let first = try output.receiveHead()
            let process = AttachedProcess(
                output: output, tty: false, input: nil, standardOutput: session.output,
                standardError: session.errors, resize: { _ in }, signal: { _ in false })
            if case .signalled(let signal) = try runAttached(process, first, signals) {
                throw WatchInterruption(signal: signal)
            }
            guard let code = try client.inspectExec(id).ExitCode, code != 0 else { continue }
            throw CommandFailure(
                code: "watch.command", "the command of a watch rule ended with code \(code) in \(container.name)")
        }
    }

    private func finish(_ stream: ProgressStream) throws {
        switch try follow(stream, session.progressPrinter(mode: session.lineMode), signals) {
        case .done: break
        case .failed(let diagnostics): throw CommandFailure(diagnostics)
        case .interrupted(let signal): throw WatchInterruption(signal: signal)
        }
    }
}

/// A signal has arrived in the middle of an action.
struct WatchInterruption: Error {
    var signal: Int32
}

/// What `sync+exec` runs. A variable without a value has the one it has here.
func execRequest(_ hook: Hook, _ environment: [String: String]) -> ExecCreateRequest {
    var request = ExecCreateRequest(Cmd: hook.command)
    let variables = hook.environment.sorted { $0.key < $1.key }.compactMap { name, value in
        (value ?? environment[name]).map { "\(name)=\($0)" }
    }
    request.Env = variables.isEmpty ? nil : variables
    request.User = hook.user
    request.WorkingDir = hook.workingDirectory
    request.Privileged = hook.privileged
    request.Tty = false
    request.AttachStdin = false
    request.AttachStdout = true
    request.AttachStderr = true
    return request
}

extension EngineClientError {
    /// Whether nobody answers, who may again: the engine is being replaced or has crashed.
    var isAbsence: Bool {
        switch self {
        case .cut, .notRunning, .unreachable, .noLink(_, .noConnection): true
        case .system(let error): error.code == EPIPE || error.code == ECONNRESET
        case .denied, .malformed, .refused, .unexpectedAnswer, .noSSH, .noLink, .notSecured: false
        }
    }
}

extension Session {
    /// Progress among other lines: nothing is drawn over.
    var lineMode: ProgressMode { progressMode == .tty ? .plain : progressMode }
}
