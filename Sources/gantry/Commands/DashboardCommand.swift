import ArgumentParser
import CLinux
import Dispatch
import EngineAPI
import EngineClient
import Glibc
import LinuxSystem
import Logging
import StackModel

struct DashboardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard", abstract: "Watch stacks in a browser: graph, rollouts, logs, load, drift.",
        usage: "gantry dashboard [<global options>] [<options>]",
        discussion: """
            Serves a page at 127.0.0.1 until it is interrupted. The printed address works
            once: whoever opens it first sees the page, and nobody else does. The page
            only reads; what changes something is left to the command line.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(help: "Port to listen on (default: a free one).")
    var port: UInt16?

    @Flag(help: "Do not open a browser.")
    var noOpen = false

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        let session = Session(global)
        let client = try session.engine()
        let token = DashboardAccess.secret()
        let access = DashboardAccess(token: token, session: DashboardAccess.secret())
        var log = Logger(label: "gantry") { _ in QuietLogHandler() }
        log.logLevel = .error
        let server = try DashboardServer(
            source: DashboardSource(client), access: access, address: .loopback(port: port ?? 0),
            session: ["engine": client.host.name, "version": gantryVersion, "pace": client.host.isLocal ? "1" : "5"],
            log: log)
        let stop = try StopSignal()
        let outcome = ExitBox()
        let done = DispatchSemaphore(value: 0)
        let opens = !noOpen && session.output.isTerminal && Browser.isThere(session.environment)
        let console = session.output
        // OWNER: the one root task; the process ends with it.
        Task {
            outcome.set(await serve(server, token: token, console: console, opens: opens, stop: stop))
            done.signal()
        }
        done.wait()
        if let failure = outcome.diagnostics { throw CommandFailure(failure) }
    }
}

/// Runs until told to stop. `nil` when all went well.
private func serve(
    _ server: DashboardServer, token: String, console: Console, opens: Bool, stop: StopSignal
) async -> [Diagnostic]? {
    do {
        let address = "http://127.0.0.1:\(try await server.start())/?token=\(token)"
        try console.write("\(address)\n")
        if console.isTerminal { try console.write("It works once. Ctrl-C ends the dashboard.\n") }
        let page = opens ? Browser.open(address) : nil
        await stop.wait()
        if let page { unlink(page) }
        await server.stop()
        return nil
    } catch let error as SystemError where error.code == EADDRINUSE {
        return [
            Diagnostic(
                code: "dashboard.port-in-use", "the port is in use by another program",
                hint: "leave --port out to take a free one")
        ]
    } catch {
        return [Diagnostic(code: "dashboard.failed", "the dashboard cannot run: \(error)")]
    }
}

/// The browser of whoever sits at this machine.
private enum Browser {
    private static let opener = "/usr/bin/xdg-open"

    /// Browsers refuse to run as root, and rightly so.
    static func isThere(_ environment: [String: String]) -> Bool {
        let hasScreen = ["DISPLAY", "WAYLAND_DISPLAY"].contains { !(environment[$0] ?? "").isEmpty }
        return hasScreen && geteuid() != 0 && access(opener, X_OK) == 0
    }

    /// By way of a file that only its owner can read: everybody can read the arguments of a program. Answers the file.
    static func open(_ address: String) -> String? {
        var template = Array("/tmp/gantry-dashboard.XXXXXX.html".utf8CString)
        let raw = mkostemps(&template, 5, O_CLOEXEC)
        guard raw >= 0 else { return nil }
        let file = ClosableDescriptor(FileDescriptor(owning: raw))
        let path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        let page = "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url=\(address)\">\n"
        let patienceMilliseconds: UInt64 = 10_000
        guard file.writeAll(Array(page.utf8)) else { return path }
        // The address stands on the terminal, too: who has no browser loses nothing.
        _ = try? HelperProgram.run(
            path: opener, arguments: [opener, path], environment: processEnvironment().map { "\($0)=\($1)" },
            input: [], timeoutMilliseconds: patienceMilliseconds, keepsErrorOutput: false)
        return path
    }
}

/// Says nothing: what goes wrong is told to the page.
private struct QuietLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.error

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {}
}
