import EngineClient
import EngineWire
import LinuxSystem
import StackModel

/// Shows a build in one of the modes. `quiet` says nothing but what went wrong.
final class BuildPrinter {
    private let mode: ProgressMode
    private let console: Console
    private let workingDirectory: String
    private var text = BuildText()
    private var board = BuildBoard()
    private var picture = ScreenPicture()

    init(mode: ProgressMode, console: Console, workingDirectory: String) {
        self.mode = mode
        self.console = console
        self.workingDirectory = workingDirectory
    }

    /// How long to wait for lines before `refresh`, milliseconds; `nil`: nothing changes by itself.
    var refreshInterval: Int32? { mode == .tty && board.isMoving ? 100 : nil }

    /// On a terminal, `refresh` shows it.
    func show(_ line: BuildLine) throws(SystemError) {
        let now = monotonicNow()
        // Kept in every mode: what a step that failed said is told at the end.
        let lines = text.lines(line, at: now)
        switch mode {
        case .tty: board.update(line, at: now)
        case .plain, .auto: for line in lines { try console.write(line) }
        case .json: if let text = buildJSON(line) { try console.write(text + "\n") }
        case .quiet: break
        }
        if case .warning(let diagnostic) = line, mode != .json, mode != .quiet {
            try say(diagnosticText(shortened(diagnostic), color: console.color))
        }
    }

    func refresh() throws(SystemError) {
        guard mode == .tty else { return }
        let size = console.size
        let frame = board.frame(now: monotonicNow(), columns: size.columns, rows: size.rows, color: console.color)
        let text = picture.draw(frame, ScreenPicture.Size(rows: size.rows, columns: size.columns))
        if !text.isEmpty { try console.write(text) }
    }

    private func say(_ text: String) throws(SystemError) {
        try console.write((mode == .tty ? picture.erase() : "") + text)
        try refresh()
    }

    /// What failed said, the place in the Dockerfile, and the errors for the end.
    func failure(_ diagnostics: [Diagnostic], _ excerpt: BuildExcerpt?) throws(SystemError) -> CommandFailure {
        try refresh()
        picture.forget()
        if mode != .json { try console.write(text.failures()) }
        var told = diagnostics.map(shortened)
        if let excerpt, mode != .json {
            try console.write(excerptText(excerpt, name: short(excerpt.file)))
            for index in told.indices where told[index].source?.file == short(excerpt.file) {
                told[index].sourceLine = nil
            }
        }
        return CommandFailure(told)
    }

    /// Paths as the user has them: from where the command is run.
    private func shortened(_ diagnostic: Diagnostic) -> Diagnostic {
        var diagnostic = diagnostic
        if let source = diagnostic.source {
            diagnostic.source = SourceMark(file: short(source.file), line: source.line, column: source.column)
        }
        return diagnostic
    }

    private func short(_ path: String) -> String {
        let prefix = workingDirectory == "/" ? "/" : workingDirectory + "/"
        return path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : path
    }
}

/// One line for machines; nil for what is told otherwise.
private func buildJSON(_ line: BuildLine) -> String? {
    switch line {
    case .started(let vertex, let name):
        JSONText.object([("event", .string("started")), ("vertex", .number(vertex)), ("name", .string(name))]).text
    case .output(let vertex, let text, let isError):
        JSONText.object([
            ("event", .string("output")), ("vertex", .number(vertex)),
            ("stream", .string(isError ? "stderr" : "stdout")), ("text", .string(text)),
        ]).text
    case .finished(let vertex, let isCached, let nanoseconds, let error):
        JSONText.object(
            [
                ("event", .string("finished")), ("vertex", .number(vertex)), ("cached", .bool(isCached)),
                ("nanoseconds", .number(Int64(clamping: nanoseconds))),
            ] + (error.map { [("error", .string($0))] } ?? [])
        ).text
    case .built(let name, let image, let tags):
        JSONText.object([
            ("event", .string("built")), ("name", .string(name)), ("image", .string(image)),
            ("tags", .array(tags.map { .string($0) })),
        ]).text
    case .warning(let diagnostic): diagnosticJSON(diagnostic).text
    case .done, .failed: nil
    }
}

/// An image that a build made.
struct BuiltImage: Equatable {
    var name: String
    var id: String
    var tags: [String]
}

extension Session {
    /// Builds, and shows how it goes on. Ctrl-C ends the build.
    func build(_ batch: BuildBatch, mode: ProgressMode? = nil) throws -> (images: [BuiltImage], warningCount: Int) {
        guard !batch.builds.isEmpty else { return ([], 0) }
        let printer = BuildPrinter(
            mode: mode ?? progressMode, console: errors, workingDirectory: workingDirectory)
        let signals = try SignalSource(endingSignals)
        let client = try engine()
        let stream = try client.host.isLocal ? client.build(batch) : SentBuild(batch).start(client)
        var images: [BuiltImage] = []
        var warningCount = 0
        while true {
            var waited = [Waited(stream.descriptor), Waited(signals.descriptor)]
            try wait(for: &waited, milliseconds: printer.refreshInterval)
            if waited[1].readable, let signal = try signals.take() {
                throw CommandFailure(
                    [Diagnostic(code: "build.cancelled", "the build was cancelled")], exitCode: 128 + signal)
            }
            if waited[0].readable {
                guard let lines = try stream.receive() else { return (images, warningCount) }
                for line in lines {
                    try printer.show(line)
                    switch line {
                    case .built(let name, let image, let tags):
                        images.append(BuiltImage(name: name, id: image, tags: tags))
                    case .warning: warningCount += 1
                    case .failed(let diagnostics, let excerpt): throw try printer.failure(diagnostics, excerpt)
                    case .started, .output, .finished, .done: break
                    }
                }
            }
            try printer.refresh()
        }
    }
}
