import ArgumentParser
import EngineClient
import EngineWire
import Glibc
import LinuxSystem
import StackFile
import StackModel

struct UpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Create and start a stack, or bring it up to date.",
        usage: "gantry up [<global options>] [<options>] [<service> ...]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(name: [.short, .customLong("detach")], help: "Do not stay and show logs.")
    var detach = false

    @Flag(name: [.short, .long], help: "Stay, and act on changes of files as the watch rules say.")
    var watch = false

    @Flag(help: "Wait until services are running and healthy; implies --detach.")
    var wait = false

    @Option(help: "How long to wait: seconds, or as in 1m30s.")
    var waitTimeout: TimeSpan?

    @Option(name: .customLong("scale"), help: "Number of containers of a service, SERVICE=N; may be repeated.")
    var scales: [ServiceScale] = []

    @Flag(help: "Replace containers even when nothing has changed.")
    var forceRecreate = false

    @Flag(help: "Keep containers even when something has changed.")
    var noRecreate = false

    @Flag(help: "Remove containers of services that the stack file no longer has.")
    var removeOrphans = false

    @Option(help: "What may be replaced although its data is lost, as volume.NAME; may be repeated.")
    var allowDestroy: [String] = []

    @Option(help: "Begin anew with an empty volume where this one is gone; may be repeated.")
    var recreateVolume: [String] = []

    @Flag(help: "Create containers, but do not start them.")
    var noStart = false

    @Flag(help: "Build images before starting containers.")
    var build = false

    @Flag(help: "Do not build an image, even when it is missing.")
    var noBuild = false

    @Flag(name: .customLong("no-deps"), help: "Leave the services alone that the named ones depend on.")
    var noDependencies = false

    @Option(name: [.short, .long], help: "Seconds that containers get to stop.")
    var timeout: Int?

    @Flag(help: "No colours in logs.")
    var noColor = false

    @Flag(help: "No names before the lines of logs.")
    var noLogPrefix = false

    @Flag(help: "Times before the lines of logs.")
    var timestamps = false

    @OptionGroup var options: RunOptions

    @Argument(help: "Services to start, with what they depend on; all when none is named.")
    var services: [String] = []

    func validate() throws {
        if forceRecreate, noRecreate {
            throw ValidationError("--force-recreate and --no-recreate contradict each other")
        }
        if watch, detach || wait || noStart {
            throw ValidationError("--watch stays, which --detach, --wait and --no-start contradict")
        }
        if build, noBuild { throw ValidationError("--build and --no-build contradict each other") }
    }

    func run() throws {
        let session = Session(global, file)
        try session.reporting(options) { try run($0, session) }
    }

    private func run(_ run: StackRun, _ session: Session) throws {
        let stack = try session.loadStack(services: services).stack
        run.concerns(stack.name, try scaled(stack), services: services, dependencies: !noDependencies)
        let rules = watch ? try WatchRules(stack, services: services) : nil
        if noBuild { try rules?.refuseRebuilds() }
        try StackBuild(stack: stack, session: session)
            .ensure(services, dependencies: !noDependencies, build ? .always : noBuild ? .never : .missing)
        let request = try request(stack)
        let client = try run.engine()
        if run.isReported { run.notePlan(try client.plan(stack: stack.name, request)) }
        if detach || wait || noStart {
            try run.complete(client.apply(stack: stack.name, request), timeout: wait ? request.waitTimeout : nil)
            return
        }
        try stay(run, client, request, stack: stack.name, rules)
    }

    /// With as many replicas as the command line says, as they are shown.
    private func scaled(_ stack: Stack) throws -> Stack {
        var scaled = stack
        for (service, count) in try scaleMap(scales) { scaled.services[service]?.replicas = count }
        return scaled
    }

    private func request(_ stack: Stack) throws -> ApplyRequest {
        var request = ApplyRequest(stack: stack, services: services, scale: try scaleMap(scales))
        request.forceRecreate = forceRecreate
        request.noRecreate = noRecreate
        request.removeOrphans = removeOrphans
        request.allowDestroy = allowDestroy
        request.recreatedVolumes = recreateVolume
        request.noStart = noStart
        request.noDependencies = noDependencies
        request.wait = wait
        request.waitTimeout = waitTimeout?.nanoseconds
        return request
    }

    private func stay(
        _ run: StackRun, _ client: EngineClient, _ request: ApplyRequest, stack: String, _ rules: WatchRules?
    ) throws {
        let session = run.session
        let beginning = wallClockNow()
        let signals = try SignalSource(endingSignals)
        let watch = try rules.map { rules in
            let rebuild = ServiceRebuild(session: session, client: client, stack: rules.stack)
            return try WatchSession(session, client, rules, rebuild, signals)
        }
        let foreground = ForegroundStack(
            session: session, client: client, stack: stack, services: services, timeout: try nanoseconds(timeout),
            signals: signals, watch: watch)
        let stream = try client.apply(stack: stack, request)
        switch try follow(stream, session.progressPrinter(about: run.subject), signals, observe: { run.observe($0) }) {
        case .done: break
        case .failed(let diagnostics): throw CommandFailure(diagnostics)
        case .interrupted: try foreground.stop(logs: nil)
        }
        let style = LogStyle(
            prefix: !noLogPrefix, color: session.output.color && !noColor, terminal: session.output.isTerminal)
        let logs = try LogFollower(
            client: client, stack: stack, services: services,
            selection: LogSelection(follow: true, timestamps: timestamps, since: beginning.unixText), style: style,
            console: session.output, saysEnds: true)
        try watch?.begin()
        try foreground.showLogs(logs)
    }
}
