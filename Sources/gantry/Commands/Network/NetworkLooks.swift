import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct NetworkList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List networks.",
        usage: "gantry network ls [<global options>] [<options>]", aliases: ["list"])

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Only ids.")
    var quiet = false

    @Flag(name: .customLong("no-trunc"), help: "Show ids in full length.")
    var noTruncation = false

    @Option(
        name: [.customShort("f"), .customLong("filter")],
        help: "name=, id=, driver=, label=, type=custom|builtin or dangling=true|false; may be repeated.")
    var filters: [String] = []

    @Option(help: "Form of the output.")
    var format = OutputFormat.table

    func run() throws {
        let session = Session(global)
        let networks = try session.engine().networks(filters: try networkFilters(filters))
        try session.output.write(render(networks))
    }

    private func render(_ networks: [NetworkInspect]) -> String {
        func id(_ network: NetworkInspect) -> String { noTruncation ? network.Id : String(network.Id.prefix(12)) }
        if quiet { return networks.map { id($0) + "\n" }.joined() }
        switch format {
        case .table:
            return renderTable(
                ["NETWORK ID", "NAME", "DRIVER", "SCOPE"], networks.map { [id($0), $0.Name, $0.Driver, $0.Scope] })
        case .json: return networks.map { listedJSON($0, id: id($0)).text + "\n" }.joined()
        }
    }

    /// As `docker network ls --format json`: every value is text.
    private func listedJSON(_ network: NetworkInspect, id: String) -> JSONText {
        let labels = network.Labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return .object([
            ("CreatedAt", .string(network.Created)), ("Driver", .string(network.Driver)), ("ID", .string(id)),
            ("IPv4", .string("\(network.EnableIPv4)")), ("IPv6", .string("\(network.EnableIPv6)")),
            ("Internal", .string("\(network.Internal)")), ("Labels", .string(labels.joined(separator: ","))),
            ("Name", .string(network.Name)), ("Scope", .string(network.Scope)),
        ])
    }
}

struct NetworkInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show all of networks, as JSON.",
        usage: "gantry network inspect [<global options>] [-f <template>] <network> ...")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(name: [.short, .long], help: "json, on one line, or a Go template.")
    var format: String?

    @Argument(help: "Names or ids.")
    var networks: [String]

    func run() throws {
        let session = Session(global)
        let engine = try session.engine()
        try inspect(networks, format: format, strict: true, session) { networkJSON(try engine.network($0)) }
    }
}

struct NetworkGraphCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument { case text, dot, json }

    static let configuration = CommandConfiguration(
        commandName: "graph", abstract: "Show who is on which network, and what is published.",
        usage: "gantry network graph [<global options>] [--format text|dot|json]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(help: "text, dot (for Graphviz) or json.")
    var format = Format.text

    func run() throws {
        let session = Session(global)
        let graph = try session.engine().networkGraph()
        let text =
            switch format {
            case .text: renderGraph(graph)
            case .dot: renderGraphDot(graph)
            case .json: graphJSON(graph).indented + "\n"
            }
        try session.output.write(text)
    }
}
