import ArgumentParser
import EngineClient
import EngineWire
import Glibc
import StackModel

/// `gantry job …`: services that run by the clock.
struct JobCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job", abstract: "List, run and suspend what runs by the clock.",
        usage: "gantry job <command> [<global options>] [<options>]",
        discussion: """
            Jobs are the services of a stack that have x-gantry.schedule. See
            docs/jobs.md.
            """,
        subcommands: [JobList.self, JobHistory.self, JobRunCommand.self, JobSuspend.self, JobResume.self])
}

struct JobList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List a stack's jobs.",
        usage: "gantry job ls [<global options>] [<options>]", aliases: ["list"])

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(name: [.short, .long], help: "Only names.")
    var quiet = false

    @Option(help: ArgumentHelp(stringLiteral: ListFormat.help))
    var format = "table"

    func run() throws {
        let session = Session(global, file)
        let format = try ListFormat(format)
        let jobs = try session.engine().jobs(stack: session.projectName())
        if quiet { return try session.output.write(jobs.map { harmless($0.name) + "\n" }.joined()) }
        try session.output.write(jobListing(jobs, now: wallClockNow()).render(format))
    }
}

struct JobHistory: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Show the runs of jobs; newest first.",
        usage: "gantry job history [<global options>] [<options>] [<job>]",
        discussion: """
            The containers of the runs are kept as long as they are shown here, and
            with them what the runs printed.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(name: [.short, .long], help: "Only names of containers.")
    var quiet = false

    @Option(help: ArgumentHelp(stringLiteral: ListFormat.help))
    var format = "table"

    @Argument(help: "A job; all when none is named.")
    var job: String?

    func run() throws {
        let session = Session(global, file)
        let format = try ListFormat(format)
        var jobs = try session.engine().jobs(stack: session.projectName())
        if let job {
            let known = jobs.map(\.name)
            jobs = jobs.filter { $0.name == job }
            if jobs.isEmpty { throw noSuchJob(job, known: known) }
        }
        if quiet {
            let names = jobs.flatMap(\.runs).filter(\.hasContainer).map { harmless($0.id) + "\n" }
            return try session.output.write(names.reversed().joined())
        }
        try session.output.write(jobRunListing(jobs, now: wallClockNow()).render(format))
    }
}

struct JobRunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a job now, besides its times.",
        usage: "gantry job run [<global options>] [<options>] <job>",
        discussion: """
            Prints the name of the run's container. With --wait the exit code is 0
            when the run succeeded, and 1 when it did not.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(help: "Wait for the end of the run.")
    var wait = false

    @Option(help: "How long to wait: seconds, or as in 1m30s.")
    var waitTimeout: TimeSpan?

    @Argument(help: "The job.")
    var job: String

    func run() throws {
        let session = Session(global, file)
        let (engine, stack) = (try session.engine(), try session.projectName())
        let run = try engine.runJob(job, stack: stack)
        try session.output.write(harmless(run.id) + "\n")
        guard wait else { return }
        let result = try ended(run, engine, stack)
        guard result.result != "succeeded" else { return }
        let code = result.exitCode.map { " with exit code \($0)" } ?? ""
        let note = result.note.map { ": \($0)" } ?? ""
        throw CommandFailure(
            code: "job.failed", "run \(run.id) of job \(job) \(result.result)\(code)\(note)",
            hint: "see `gantry logs \(job)`")
    }

    /// Microseconds between two looks.
    private static let interval: UInt32 = 200_000

    private func ended(_ run: JobRunStatus, _ engine: EngineClient, _ stack: String) throws -> JobRunStatus {
        let deadline = waitTimeout.map { monotonicNow() + $0.nanoseconds }
        while true {
            let known = try engine.jobs(stack: stack).first { $0.name == job }?.runs.first { $0.id == run.id }
            guard let known else {
                throw CommandFailure(code: "job.gone", "nothing is known of run \(run.id) any more")
            }
            if known.result != "active" { return known }
            if let deadline, monotonicNow() >= deadline {
                throw CommandFailure(
                    code: "stack.timeout", "timed out waiting for \(run.id), which goes on", exitCode: 6)
            }
            usleep(Self.interval)
        }
    }
}

struct JobSuspend: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suspend", abstract: "Have a job's times passed over from now on.",
        usage: "gantry job suspend [<global options>] <job>",
        discussion: "What is running goes on.")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Argument(help: "The job.")
    var job: String

    func run() throws {
        let session = Session(global, file)
        try session.engine().suspendJob(job, true, stack: session.projectName())
    }
}

struct JobResume: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Have a job run at its times again.",
        usage: "gantry job resume [<global options>] <job>",
        discussion: "Times that were passed over meanwhile are not made up for.")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Argument(help: "The job.")
    var job: String

    func run() throws {
        let session = Session(global, file)
        try session.engine().suspendJob(job, false, stack: session.projectName())
    }
}

private func noSuchJob(_ job: String, known: [String]) -> CommandFailure {
    CommandFailure(
        code: "job.not-found", "there is no job '\(job)' in the stack",
        hint: known.isEmpty
            ? "no service of the stack has 'x-gantry.schedule'" : "its jobs are \(known.joined(separator: ", "))")
}
