import EngineClient
import EngineWire
import LinuxSystem
import StackModel

/// Shows the progress of a command in one of the modes.
final class ProgressPrinter {
    private let mode: ProgressMode
    private let console: Console
    private var board = ProgressBoard()
    /// The picture on the terminal.
    private var drawn: [String] = []

    init(mode: ProgressMode, console: Console) {
        self.mode = mode
        self.console = console
    }

    /// How long to wait for events before `refresh`, milliseconds; `nil`: nothing changes by itself.
    var refreshInterval: Int32? { mode == .tty && board.isMoving ? 100 : nil }

    func show(_ event: ProgressEvent) throws(SystemError) {
        switch event {
        case .object(let kind, let name, let state, let status):
            let line = board.update(kind: kind, name: name, state: state, status: status, at: monotonicNow())
            guard let line else { return }
            switch mode {
            case .tty, .auto: try refresh()
            case .plain: try console.write(plainProgress(line) + "\n")
            case .json: try console.write(progressJSON(line) + "\n")
            case .quiet: break
            }
        case .warning(let diagnostic): try say(diagnostic)
        case .done, .failed: break
        }
    }

    /// Draws the picture again when it has changed.
    func refresh() throws(SystemError) {
        guard mode == .tty else { return }
        let size = console.size
        let frame = board.frame(now: monotonicNow(), columns: size.columns, rows: size.rows, color: console.color)
        guard frame != drawn else { return }
        try console.write(redraw(over: drawn.count, frame))
        drawn = frame
    }

    /// Text above the picture, which is drawn again below it.
    func say(_ text: String) throws(SystemError) {
        if mode == .tty, !drawn.isEmpty {
            try console.write("\u{1b}[\(drawn.count)A\u{1b}[J")
            drawn = []
        }
        try console.write(text)
        try refresh()
    }

    private func say(_ diagnostic: Diagnostic) throws(SystemError) {
        if mode == .json {
            try console.write(diagnosticJSON(diagnostic).text + "\n")
        } else {
            try say(diagnosticText(diagnostic, color: console.color))
        }
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
func follow(
    _ stream: ProgressStream, _ printer: ProgressPrinter, _ signals: SignalSource
) throws -> ProgressOutcome {
    var outcome: ProgressOutcome?
    while true {
        var waited = [Waited(stream.descriptor), Waited(signals.descriptor)]
        try wait(for: &waited, milliseconds: printer.refreshInterval)
        if waited[1].readable, let signal = try signals.take() { return .interrupted(signal: signal) }
        if waited[0].readable {
            guard let events = try stream.receive() else { break }
            for event in events {
                try printer.show(event)
                switch event {
                case .done(let changes): outcome = .done(changes: changes)
                case .failed(let diagnostics): outcome = .failed(diagnostics)
                case .object, .warning: break
                }
            }
        }
        try printer.refresh()
    }
    guard let outcome else { throw EngineClientError.cut }
    return outcome
}

extension Session {
    func progressPrinter(mode: ProgressMode? = nil) -> ProgressPrinter {
        ProgressPrinter(mode: mode ?? progressMode, console: errors)
    }

    /// Shows a request's progress to its end. A failure throws; Ctrl-C says that the engine goes on, and ends with 130.
    @discardableResult
    func complete(_ stream: ProgressStream, mode: ProgressMode? = nil) throws -> Int {
        let signals = try SignalSource(endingSignals)
        switch try follow(stream, progressPrinter(mode: mode), signals) {
        case .done(let changes): return changes
        case .failed(let diagnostics):
            throw CommandFailure(diagnostics, exitCode: StackExitCode(diagnostics)?.rawValue ?? 1)
        case .interrupted(let signal):
            try errors.write("\ninterrupted: the engine goes on by itself; `gantry ps` shows how far it is\n")
            throw CommandFailure([], exitCode: 128 + signal)
        }
    }
}
