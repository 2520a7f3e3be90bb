import EngineClient
import EngineWire
import LinuxSystem
import StackModel

/// Shows the progress of a command in one of the modes.
final class ProgressPrinter {
    /// Where nothing moves on a screen, a sign of life comes so often, nanoseconds.
    private static let heartbeat: Int64 = 30 * 1_000_000_000

    private let mode: ProgressMode
    private let console: Console
    private let ci: CIEnvironment
    private let places: FilePlaces
    private var board = ProgressBoard()
    /// `nil`: nothing is drawn, or not any more.
    private var screen: LiveScreen?
    private var awaited: [AwaitedContainer] = []
    private var holder: LockHolder?
    private let beginning = monotonicNow()
    private var saidAt = monotonicNow()

    /// - Parameter screen: for the mode `tty`.
    init(mode: ProgressMode, console: Console, ci: CIEnvironment, workingDirectory: String, screen: LiveScreen?) {
        self.mode = mode
        self.console = console
        self.ci = ci
        self.screen = mode == .tty ? screen : nil
        places = FilePlaces(ci, workingDirectory: workingDirectory)
    }

    /// How long to wait for events before `refresh`, milliseconds; `nil`: nothing changes by itself.
    var refreshInterval: Int32? {
        switch mode {
        case .tty: LiveScreen.interval
        case .plain, .auto: 1000
        case .json, .quiet: nil
        }
    }

    /// What else to wait for; `refresh` reads it.
    var descriptors: [Int32] { screen?.descriptors ?? [] }

    func begin() throws(SystemError) { try screen?.begin() }

    /// Nothing more is drawn; what stands there stays.
    func finish(_ end: LiveTree.End) throws(SystemError) {
        let screen = screen
        self.screen = nil
        try screen?.finish(end)
    }

    func show(_ event: ProgressEvent) throws(SystemError) {
        switch event {
        case .object(let kind, let name, let state, let status):
            holder = nil
            awaited.removeAll { $0.name == name }
            try show(kind, name, state, status)
        case .warning(let diagnostic): try say(diagnostic)
        case .waiting(let containers): try wait(for: containers)
        case .locked(let holder): try wait(for: holder)
        case .failure(let failure):
            guard mode != .json else { return try console.write(progressLine("failure", failureJSON(failure))) }
            screen?.tree.fail(failure.container, failureSummary(failure), at: monotonicNow())
            try say(failureText(failure, places, color: console.color, ci))
        case .done, .failed: break
        }
    }

    private func show(
        _ kind: PlanReply.Change.Kind, _ name: String, _ state: ProgressEvent.State, _ status: String
    ) throws(SystemError) {
        if let screen {
            screen.tree.update(kind: kind, name: name, state: state, status: status, at: monotonicNow())
            return
        }
        let line = board.update(kind: kind, name: name, state: state, status: status, at: monotonicNow())
        guard let line else { return }
        switch mode {
        case .tty, .plain, .auto: try writeLine(plainProgress(line))
        case .json: try console.write(progressLine("object", progressJSON(line, kind: kind, name: name)))
        case .quiet: break
        }
    }

    // MARK: - Waiting

    private func wait(for containers: [AwaitedContainer]) throws(SystemError) {
        let isNews = containers != awaited
        for each in containers { try show(.container, each.name, .waiting, "Waiting for \(each.what)") }
        awaited = containers
        guard mode == .json, isNews else { return }
        let items = containers.map { JSONText.object([("name", .string($0.name)), ("what", .string($0.what))]) }
        try console.write(progressLine("waiting", .object([("for", .array(items))])))
    }

    private func wait(for other: LockHolder) throws(SystemError) {
        let isNews = other != holder
        holder = other
        guard isNews else { return }
        switch mode {
        case .json: try console.write(progressLine("locked", .object([("holder", lockHolderJSON(other))])))
        case .quiet: break
        case .plain: try writeLine("waiting for " + holderText(other))
        case .tty, .auto: try say("waiting for \(holderText(other)); Ctrl-C leaves\n")
        }
    }

    /// Nothing has been said for a while: what is it that takes so long?
    private func sayAlive() throws(SystemError) {
        let now = monotonicNow()
        guard mode == .plain, now - saidAt >= Self.heartbeat else { return }
        let elapsed = (now - beginning) / 1_000_000_000
        if let holder {
            try writeLine("still waiting for \(holderText(holder)) (\(elapsed) s)")
        } else if !awaited.isEmpty {
            let names = awaited.map { "\($0.name): \($0.what)" }.joined(separator: ", ")
            try writeLine("still waiting for \(harmless(names)) (\(elapsed) s)")
        } else {
            let moving = board.lines.filter { $0.endedAt == nil }.map { "\($0.title) \($0.status)" }
            let what = moving.isEmpty ? "the engine" : moving.joined(separator: ", ")
            try writeLine("still waiting for \(what) (\(elapsed) s)")
        }
    }

    private func writeLine(_ text: String) throws(SystemError) {
        saidAt = monotonicNow()
        try console.write((ci.isPresent ? wallClockNow().secondsText + " " : "") + text + "\n")
    }

    // MARK: - Drawing

    /// Draws the picture again when it has changed; where there is none, gives a sign of life now and then.
    func refresh() throws(SystemError) {
        try sayAlive()
        try screen?.advance()
    }

    /// Text above the picture, which is drawn again below it.
    func say(_ text: String) throws(SystemError) {
        saidAt = monotonicNow()
        if let screen { try screen.say(text) } else { try console.write(text) }
    }

    private func say(_ diagnostic: Diagnostic) throws(SystemError) {
        ProgramFacts.note(diagnostic)
        if mode == .json {
            try console.write(progressLine("diagnostic", diagnosticJSON(diagnostic)))
        } else {
            try say(diagnosticText(diagnostic, color: console.color))
            guard ci.system == .github else { return }
            try console.write(annotations([diagnostic], places))
        }
    }
}

/// `root@build-7 (gantry up, process 4711) since 10:00:00Z`, on one line.
func holderText(_ holder: LockHolder) -> String {
    let time = Moment(rfc3339: holder.since)?.secondsText ?? holder.since
    guard let owner = holder.owner else { return "another command since \(harmless(time))" }
    let place = [owner.command, "process \(owner.pid)"] + (owner.url.map { [$0] } ?? [])
    return harmless("\(owner.user)@\(owner.host) (\(place.joined(separator: ", "))) since \(time)")
}

/// What a live tree is about.
struct ProgressSubject {
    var stackName: String?
    var stack: Stack?
    /// The ones that were named; empty: all.
    var services: [String] = []
    /// And what they depend on.
    var dependencies = true
    /// To be asked how the stack is; `nil`: the events say enough.
    var client: EngineClient?

    func tree(at now: Int64) -> LiveTree {
        LiveTree(stackName: stackName, stack: stack, services: services, dependencies: dependencies, at: now)
    }
}

/// How a stream of events ended.
enum ProgressOutcome {
    case done(changes: Int)
    case failed([Diagnostic])
    /// Ctrl-C or another signal; the stream goes on.
    case interrupted(signal: Int32)
}

/// Shows events until the stream ends or a signal arrives.
///
/// - Parameters:
///   - patience: nanoseconds without an end, from the first event that is not about the lock; `nil`: no limit.
///   - observe: gets every event.
func follow(
    _ stream: ProgressStream, _ printer: ProgressPrinter, _ signals: SignalSource, patience: Int64? = nil,
    observe: (ProgressEvent) -> Void = { _ in }
) throws -> ProgressOutcome {
    var outcome: ProgressOutcome?
    try printer.begin()
    defer {
        // However it ends the cursor is shown again; a terminal that cannot be written to any more has none.
        if case .done = outcome { try? printer.finish(.succeeded) } else { try? printer.finish(.failed) }
    }
    var beganAt: Int64?
    while true {
        var waited = [Waited(stream.descriptor), Waited(signals.descriptor)] + printer.descriptors.map { Waited($0) }
        let interval = printer.refreshInterval ?? (patience == nil ? nil : 1000)
        try wait(for: &waited, milliseconds: interval)
        if waited[1].readable, let signal = try signals.take() { return .interrupted(signal: signal) }
        if waited[0].readable {
            guard let events = try stream.receive() else { break }
            for event in events {
                try printer.show(event)
                observe(event)
                switch event {
                case .done(let changes): outcome = .done(changes: changes)
                case .failed(let diagnostics): outcome = .failed(diagnostics)
                case .locked: break
                case .object, .warning, .waiting, .failure: beganAt = beganAt ?? monotonicNow()
                }
            }
        }
        if let patience, let beganAt, outcome == nil, monotonicNow() - beganAt >= patience {
            let late = Diagnostic(
                code: "stack.timeout", "the time is over; the engine goes on", hint: "`gantry wait` waits for it")
            return .failed([late])
        }
        try printer.refresh()
    }
    guard let outcome else { throw EngineClientError.cut }
    return outcome
}

extension Session {
    /// - Parameter subject: what a live tree is about.
    func progressPrinter(mode: ProgressMode? = nil, about subject: ProgressSubject = ProgressSubject())
        -> ProgressPrinter
    {
        let mode = mode ?? progressMode
        var screen: LiveScreen?
        if mode == .tty {
            // Of another machine each question would be an ssh(1) of its own, which may ask for a password.
            let look = subject.client.flatMap { client in
                client.host.isLocal ? subject.stackName.map { StackLook(client: client, stack: $0) } : nil
            }
            screen = LiveScreen(subject.tree(at: monotonicNow()), console: errors, look: look)
        }
        return ProgressPrinter(
            mode: mode, console: errors, ci: ci, workingDirectory: workingDirectory, screen: screen)
    }

    /// Shows a request's progress to its end. A failure throws; Ctrl-C says that the engine goes on, and ends with 130.
    @discardableResult
    func complete(_ stream: ProgressStream, about subject: ProgressSubject) throws -> Int {
        switch try outcome(of: stream, about: subject) {
        case .done(let changes): return changes
        case .failed(let diagnostics): throw CommandFailure(diagnostics)
        case .interrupted(let signal): throw CommandFailure([], exitCode: 128 + signal)
        }
    }

    /// Shows a request's progress to its end, and says what Ctrl-C means. Parameters as for `follow`.
    func outcome(
        of stream: ProgressStream, about subject: ProgressSubject, patience: Int64? = nil,
        observe: (ProgressEvent) -> Void = { _ in }
    ) throws -> ProgressOutcome {
        let signals = try SignalSource(endingSignals)
        var isWaitingForLock = false
        let outcome = try follow(stream, progressPrinter(about: subject), signals, patience: patience) { event in
            if case .locked = event { isWaitingForLock = true } else { isWaitingForLock = false }
            observe(event)
        }
        if case .interrupted = outcome, progressMode != .json {
            try errors.write(
                isWaitingForLock
                    ? "\ninterrupted: it was not its turn yet, and nothing was begun\n"
                    : "\ninterrupted: the engine goes on by itself; `gantry ps` shows how far it is\n")
        }
        return outcome
    }
}
