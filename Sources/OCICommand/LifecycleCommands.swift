import ArgumentParser
import ContainerRuntime
import Glibc
import LinuxSystem

struct LaunchArguments: ParsableArguments {
    @Option(name: [.short, .long], help: "Folder with config.json (default: the working directory).")
    var bundle = "."

    @Option(name: [.customShort("f"), .long], help: "The configuration's file in the bundle.")
    var config = "config.json"

    @Option(help: "Socket that gets the terminal's master.")
    var consoleSocket: String?

    @Option(help: "File that the process id is written to.")
    var pidFile: String?

    @Flag(help: "Not supported.")
    var noPivot = false

    @Flag(help: "Keep the caller's session keyring.")
    var noNewKeyring = false

    @Option(help: "Number of further descriptors, from 3 on, that the program gets.")
    var preserveFds = 0

    @Argument(help: "The container's id.")
    var id: String

    var options: LaunchOptions {
        LaunchOptions(
            id: id, bundle: bundle, pidFile: pidFile, preserved: preserveFds, noPivot: noPivot,
            sharesKeyring: noNewKeyring)
    }
}

struct CreateCommand: OCICommand {
    static let configuration = CommandConfiguration(commandName: "create", abstract: "Create a container.")

    @OptionGroup var launch: LaunchArguments

    func run(_ context: Context) throws {
        let bundle = try Bundle(at: launch.bundle, config: launch.config)
        let (console, _) = try ConsoleSocket.open(
            launch.consoleSocket, terminal: bundle.hasProcess && bundle.spec.process.terminal, detached: true)
        _ = try Launch(launch.options, bundle, console: console, context, try context.runtime())
    }
}

struct StartCommand: OCICommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Run the program of a created container.")

    @Argument var id: String

    func run(_ context: Context) throws {
        let container = try context.container(id)
        let runtime = try context.runtime()
        let status = try container.status(runtime).status
        guard status == "created" else {
            throw OCIError("cannot start container '\(id)': it is \(status), not created")
        }
        try Start.perform(container, context, runtime)
    }
}

struct RunCommand: OCICommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Create and start a container.")

    @OptionGroup var launch: LaunchArguments

    @Flag(name: [.short, .long], help: "Do not wait for its end.")
    var detach = false

    @Flag(help: "Do not delete the container after its end.")
    var keep = false

    func run(_ context: Context) throws {
        let bundle = try Bundle(at: launch.bundle, config: launch.config)
        guard bundle.hasProcess else { throw OCIError("config.json: process is missing") }
        let runtime = try context.runtime()
        let (console, own) = try ConsoleSocket.open(
            launch.consoleSocket, terminal: bundle.spec.process.terminal, detached: detach)
        let foreground = detach ? nil : try Foreground(terminalSocket: own)
        let launched = try Launch(launch.options, bundle, console: console, context, runtime)
        if let console { close(console) }
        try foreground?.takeTerminal()
        do {
            try Start.perform(launched.container, context, runtime)
        } catch {
            try Removal.perform(launched.container, context, runtime)
            throw error
        }
        guard let foreground else { return }
        let code = try foreground.wait(for: launched.process.pid)
        if !keep { try Removal.perform(launched.container, context, runtime) }
        throw ContainerExit(code: code)
    }
}

struct StateCommand: OCICommand {
    static let configuration = CommandConfiguration(commandName: "state", abstract: "Print a container's state.")

    @Argument var id: String

    func run(_ context: Context) throws {
        let container = try context.container(id)
        let (status, pid) = try container.status(try context.runtime())
        print(try JSON.encode(StateReport(container.facts, status: status, pid: pid)))
    }
}

struct KillCommand: OCICommand {
    static let configuration = CommandConfiguration(commandName: "kill", abstract: "Send a signal to a container.")

    @Flag(name: [.short, .long], help: "To every process of the container.")
    var all = false

    @Argument var id: String

    @Argument(help: "Name or number.") var signal = "TERM"

    func run(_ context: Context) throws {
        let container = try context.container(id)
        let runtime = try context.runtime()
        let number = try SignalName.number(signal)
        let directory = container.directory
        let isAlive = try runtime.status(directory: directory).pid != 0
        if all, number != SIGKILL {
            guard isAlive else { throw OCIError("container not running") }
            for process in try runtime.processes(directory: directory) { Glibc.kill(process, number) }
            return
        }
        // Without process ids of its own, a container's processes outlive the first one.
        if number == SIGKILL, try all || !runtime.hasProcessNamespace(directory: directory) {
            try runtime.killAll(directory: directory)
            if all { return }
        }
        guard isAlive else { throw OCIError("container not running") }
        do {
            try runtime.signal(directory: directory, number)
        } catch {
            guard case .notRunning = error else { throw error }
            if number != SIGKILL { throw OCIError("container not running") }
        }
    }
}

struct DeleteCommand: OCICommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Delete a container.")

    @Flag(name: [.short, .long], help: "Kill it first where it lives; that there is none is no error.")
    var force = false

    @Argument var id: String

    func run(_ context: Context) throws {
        let runtime = try context.runtime()
        guard FileSystem.exists("\(context.root)/\(id)") || !force else { return }
        let container: StoredContainer
        do {
            container = try context.container(id)
        } catch {
            guard force else { throw error }
            return
        }
        let status = try container.status(runtime).status
        guard status == "stopped" || force else {
            throw OCIError("cannot delete container '\(id)' that is not stopped: \(status)")
        }
        try Removal.perform(container, context, runtime)
    }
}

struct PauseCommand: OCICommand {
    static let configuration = CommandConfiguration(commandName: "pause", abstract: "Freeze a container.")

    @Argument var id: String

    func run(_ context: Context) throws {
        let container = try context.container(id)
        try context.runtime().pause(directory: container.directory)
    }
}

struct ResumeCommand: OCICommand {
    static let configuration = CommandConfiguration(commandName: "resume", abstract: "Thaw a container.")

    @Argument var id: String

    func run(_ context: Context) throws {
        let container = try context.container(id)
        let runtime = try context.runtime()
        guard try container.status(runtime).status == "paused" else {
            throw OCIError("container '\(id)' is not paused")
        }
        try runtime.resume(directory: container.directory)
    }
}
