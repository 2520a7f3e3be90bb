import ArgumentParser
import EngineClient
import EngineWire
import LinuxSystem
import StackFile
import StackGraph
import StackModel

/// `gantry graph`.
struct GraphCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument { case dot, mermaid, svg }

    static let configuration = CommandConfiguration(
        commandName: "graph", abstract: "Draw the stack: who waits for whom, who is reached from where.",
        usage: "gantry graph [<global options>] [<options>]",
        discussion: """
            With what runs at the moment, where an engine answers. SVG is a picture as it
            is; GitHub and GitLab draw Mermaid in Markdown; DOT is for Graphviz.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(help: "dot, mermaid or svg; otherwise what the ending of --output says, or dot.")
    var format: Format?

    @Option(name: .shortAndLong, help: "Write it to this file.")
    var output: String?

    @Flag(help: "What the stack file says alone.")
    var noLive = false

    func run() throws {
        let session = Session(global, file)
        let stack = try session.loadStack().stack
        let live = noLive ? nil : try live(of: stack, session)
        let graph = StackGraph(stack, live: live)
        let text =
            switch chosenFormat {
            case .dot: graph.dot
            case .mermaid: graph.mermaid
            case .svg: graph.svg
            }
        guard let output else { return try session.output.write(text) }
        try FileSystem.replaceFile(output, with: text.utf8, mode: 0o644)
    }

    private var chosenFormat: Format {
        if let format { return format }
        switch output?.split(separator: ".").last {
        case "svg": return .svg
        case "mmd", "md", "mermaid": return .mermaid
        default: return .dot
        }
    }

    /// `nil` when the engine knows nothing of the stack.
    private func live(of stack: Stack, _ session: Session) throws -> [String: StackGraph.Live]? {
        guard let engine = try session.runningEngine(),
            try engine.stacks().contains(where: { $0.name == stack.name })
        else { return nil }
        var live: [String: StackGraph.Live] = [:]
        for container in try engine.containers(stack: stack.name) where !container.oneOff {
            var found = live[container.service] ?? StackGraph.Live(running: 0, ready: 0, hasFailures: false)
            if container.state == .running { found.running += 1 }
            let isDone = container.state == .exited && container.exitCode == 0
            let isReady = container.state == .running && (container.health ?? .healthy) == .healthy
            if isReady || isDone { found.ready += 1 }
            let hasEnded = container.state == .exited && !isDone
            if hasEnded || container.health == .unhealthy || container.state == .dead { found.hasFailures = true }
            live[container.service] = found
        }
        return live
    }
}
