import EngineClient
import EngineWire
import Glibc
import LinuxSystem
import StackModel

/// One run of a command that changes a stack or waits for one: shows its progress, and when it has ended writes what a
/// CI system reads.
final class StackRun {
    /// What the engine may take longer than `--timeout` before this side gives up by itself.
    private static let graceNanoseconds: Int64 = 10 * 1_000_000_000

    let session: Session
    let options: RunOptions
    private(set) var report: RunReport
    private var recorder = RunRecorder()
    private var client: EngineClient?
    private var stack: Stack?
    private var services: [String] = []
    private var dependencies = true
    private let beginning = monotonicNow()

    init(_ session: Session, _ options: RunOptions) {
        self.session = session
        self.options = options
        report = RunReport(command: ProgramFacts.command, startedAt: wallClockNow())
    }

    // MARK: - What it is about

    /// - Parameters:
    ///   - stack: `nil`: only its name is known.
    ///   - services: the ones that were named; empty: all.
    ///   - dependencies: with what those depend on.
    func concerns(_ name: String, _ stack: Stack?, services: [String] = [], dependencies: Bool = true) {
        report.stack = name
        self.stack = stack
        (self.services, self.dependencies) = (services, dependencies)
    }

    /// What a live tree shows of it.
    var subject: ProgressSubject {
        ProgressSubject(
            stackName: report.stack, stack: stack, services: services, dependencies: dependencies, client: client)
    }

    func noteRevision(_ revision: Int) { report.revision = revision }

    func notePlan(_ plan: PlanReply?, path: String? = nil) {
        if let plan { report.plan = plan }
        if let path { report.planPath = path }
    }

    /// A client that waits for the stack as long as the options say.
    func engine() throws -> EngineClient {
        var client = try session.engine()
        if let timeout = options.lockTimeout { client.lockTimeout = timeout.nanoseconds }
        self.client = client
        return client
    }

    /// Whether somebody reads more than the output: then it is worth a few more questions to the engine.
    var isReported: Bool {
        !options.reports.isEmpty || session.ci.summaryPath != nil || session.ci.outputPath != nil
    }

    // MARK: - Running

    /// Shows a request's progress to its end. A failure throws, and so does Ctrl-C.
    ///
    /// - Parameter timeout: nanoseconds that the engine was given; also what this side waits for it at most.
    @discardableResult
    func complete(_ stream: ProgressStream, timeout: Int64? = nil) throws -> Int {
        let patience = timeout.map { $0.addingReportingOverflow(Self.graceNanoseconds).partialValue }
        let outcome = try session.outcome(of: stream, about: subject, patience: patience) { self.take($0) }
        switch outcome {
        case .done(let steps):
            noteDone(steps)
            return report.changes
        case .failed(let diagnostics): throw CommandFailure(diagnostics)
        case .interrupted(let signal): throw CommandFailure([], exitCode: 128 + signal)
        }
    }

    /// For whoever shows the progress itself.
    func observe(_ event: ProgressEvent) {
        take(event)
        if case .done(let steps) = event { noteDone(steps) }
    }

    /// Counts as a plan does: one that is stopped, removed and made anew is one change, not three steps.
    private func noteDone(_ steps: Int) {
        report.isDone = true
        guard steps > 0 else { return }
        report.changes = max(1, report.plan?.effective.count ?? recorder.changedCount)
    }

    private func take(_ event: ProgressEvent) {
        recorder.take(event, at: milliseconds)
    }

    private var milliseconds: Int64 { (monotonicNow() - beginning) / 1_000_000 }

    // MARK: - Reporting

    func finish(_ failure: CommandFailure?) throws {
        report.milliseconds = milliseconds
        report.exitCode = failure?.exitCode ?? 0
        report.failures = recorder.failures
        report.diagnostics = ProgramFacts.said + (failure?.diagnostics ?? [])
        if !report.isDone, recorder.counts != RunReport.Counts() { report.changes = max(1, recorder.changedCount) }
        if isReported || session.progressMode == .json { try askForMore() }
        try writeReports()
        if session.progressMode == .json { try writeLastLines(failure) }
    }

    private func askForMore() throws {
        report.counts = recorder.counts
        var members: [String: String] = [:]
        if let client, let name = report.stack {
            do throws(EngineClientError) {
                for container in try client.containers(stack: name) { members[container.name] = container.service }
                let current = try client.revisions(stack: name).last { $0.isCurrent }
                report.revision = report.revision ?? current?.number
                if report.isDone, current != nil { report.held = try client.heldServices(of: name) }
            } catch {
                // A stack that never came to be has neither; what is known without them is told nevertheless.
                guard case .refused = error else { return }
            }
        }
        for failure in recorder.failures { members[failure.container] = failure.service }
        let names = stack.map { Array($0.services.keys) } ?? Array(Set(members.values))
        report.services = recorder.services(
            names, members: members, planned: Set(report.plan?.effective.compactMap(\.service) ?? []),
            milliseconds: report.milliseconds, succeeded: report.isDone,
            unfinished: { isInterrupted || report.held[$0] != nil }
        ) { self.stack?.source(of: "services.\($0)") }
    }

    /// By a signal or the end of its time: nobody knows what it had yet to begin.
    private var isInterrupted: Bool {
        report.exitCode > 128 || report.exitCode == StackExitCode.timedOut.rawValue
    }

    private func writeReports() throws {
        let mask = ProgramFacts.mask
        for target in options.reports {
            try FileSystem.writeOutput(target.path, with: mask.mask(Array(try text(target.kind).utf8)))
        }
        if let path = session.ci.summaryPath {
            try append(summary, to: path, byteCountMax: MarkdownSummary.byteCountMax)
        }
        if let path = session.ci.outputPath { try append(githubOutputs(report), to: path) }
        if session.progressMode != .json { try session.annotate(report.failures.map(failureDiagnostic)) }
    }

    private func append(_ text: String, to path: String, byteCountMax: Int = .max) throws(SystemError) {
        let bytes = ProgramFacts.mask.mask(Array(text.utf8))
        let present = try FileSystem.exists(path) ? FileSystem.readFile(path, byteCountMax: 16 << 20).count : 0
        // GitHub drops a summary that is too long as a whole.
        guard present + bytes.count <= byteCountMax else { return }
        try appendToFile(path, bytes)
    }

    private var places: FilePlaces { session.places }
    private var summary: String { MarkdownSummary(report: report, places: places).text }

    private func text(_ kind: ReportTarget.Kind) throws -> String {
        switch kind {
        case .junit: JUnitReport(report: report, places: places).text
        case .codequality: codeQuality(report, places, stackFile: stack?.configFiles.first)
        case .dotenv: dotenv(report)
        case .terraform: terraformCounts(report)
        case .markdown: summary
        case .json: try runJSON(report).text + "\n"
        }
    }

    /// With `--progress json` everything on standard error is a line of JSON, errors too.
    private func writeLastLines(_ failure: CommandFailure?) throws {
        for diagnostic in failure?.diagnostics ?? [] {
            try session.errors.write(progressLine("diagnostic", diagnosticJSON(diagnostic)))
        }
        try session.errors.write(progressLine("result", try runJSON(report, isWhole: false)))
    }
}

extension Session {
    /// Nothing is begun whose report cannot be written at the end.
    fileprivate func refuseUnwritable(_ reports: [ReportTarget]) throws(CommandFailure) {
        for report in reports {
            let folder = FileSystem.parent(of: report.path)
            guard access(folder.isEmpty ? "." : folder, W_OK | X_OK) != 0, access(report.path, W_OK) != 0 else {
                continue
            }
            let reason = SystemError("access", code: errno).reason
            throw .usage("the report \(report.path) cannot be written: \(reason)")
        }
    }

    /// Runs a command that only looks, and writes what it reports; when it fails, why.
    func reporting(
        _ options: ReportOptions, _ look: () throws -> (ReportTarget.Kind) throws -> String
    ) throws {
        try refuseUnwritable(options.reports)
        let startedAt = wallClockNow()
        let texts: (ReportTarget.Kind) throws -> String
        do { texts = try look() } catch {
            guard let ending = failure(for: error), !ending.diagnostics.isEmpty else { throw error }
            var run = RunReport(command: ProgramFacts.command, startedAt: startedAt)
            (run.exitCode, run.diagnostics) = (ending.exitCode, ProgramFacts.said + ending.diagnostics)
            for target in options.reports where [.junit, .codequality].contains(target.kind) {
                let text =
                    target.kind == .junit
                    ? JUnitReport(report: run, places: places).text : codeQuality(run, places, stackFile: files.first)
                try FileSystem.writeOutput(target.path, with: ProgramFacts.mask.mask(Array(text.utf8)))
            }
            throw ending
        }
        for target in options.reports {
            try FileSystem.writeOutput(target.path, with: ProgramFacts.mask.mask(Array(try texts(target.kind).utf8)))
        }
    }

    /// Runs a command's body and reports on it, however it ends.
    func reporting(_ options: RunOptions, _ body: (StackRun) throws -> Void) throws {
        let run = StackRun(self, options)
        try refuseUnwritable(options.reports)
        do { try body(run) } catch {
            guard let ending = failure(for: error) else { throw error }
            do { try run.finish(ending) } catch let trouble {
                // Both are told; the first is what counts.
                let more = failure(for: trouble)?.diagnostics ?? []
                throw CommandFailure(ending.diagnostics + more, exitCode: ending.exitCode)
            }
            throw progressMode == .json ? CommandFailure([], exitCode: ending.exitCode) : ending
        }
        try run.finish(nil)
    }
}
