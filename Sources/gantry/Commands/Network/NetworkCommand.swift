import ArgumentParser
import EngineClient
import EngineWire
import StackModel

/// `gantry network …`: networks beside those of stacks.
struct NetworkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network", abstract: "Make, list, connect and remove networks.",
        usage: "gantry network <command> [<global options>] [<options>]",
        subcommands: [
            NetworkCreate.self, NetworkRemove.self, NetworkList.self, NetworkInspectCommand.self, NetworkPrune.self,
            NetworkConnect.self, NetworkDisconnect.self, NetworkGraphCommand.self,
        ])
}

struct NetworkRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove networks.",
        usage: "gantry network rm [<global options>] [-f] <network> ...", aliases: ["remove"])

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Also networks of stacks; none that does not exist is an error.")
    var force = false

    @Argument(help: "Names or ids.")
    var networks: [String]

    func run() throws {
        let session = Session(global)
        let engine = try session.engine()
        var problems: [Diagnostic] = []
        for network in networks {
            do throws(EngineClientError) {
                try engine.removeNetwork(network, force: force)
            } catch {
                if force, case .refused(404, _) = error { continue }
                problems += failure(for: error)?.diagnostics ?? []
                continue
            }
            try session.output.write(harmless(network) + "\n")
        }
        if !problems.isEmpty { throw CommandFailure(problems) }
    }
}

struct NetworkPrune: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove the networks that nothing uses.",
        usage: "gantry network prune [<global options>] [-f] [--filter <key=value>] ...")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "Do not ask.")
    var force = false

    @Option(name: .customLong("filter"), help: "label=KEY[=VALUE], label!=KEY[=VALUE] or until=AGE; may be repeated.")
    var filters: [String] = []

    func run() throws {
        let session = Session(global)
        let filters = try networkFilters(filters)
        if !force { try confirm(session) }
        let names = try session.engine().pruneNetworks(filters: filters)
        guard !names.isEmpty else { return }
        try session.output.write("Deleted Networks:\n" + names.map { harmless($0) + "\n" }.joined())
    }

    private func confirm(_ session: Session) throws {
        guard session.errors.isTerminal else {
            throw CommandFailure.usage("nobody is there to be asked", hint: "say -f to remove without being asked")
        }
        try session.errors.write(
            "This removes all networks that no container is on.\nAre you sure you want to continue? [y/N] ")
        let answer = readLine()?.lowercased() ?? ""
        if answer != "y", answer != "yes" { throw CommandFailure([], exitCode: 1) }
    }
}

struct NetworkConnect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect", abstract: "Give a container an interface on a network, while it runs.",
        usage: "gantry network connect [<global options>] [<options>] <network> <container>")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(help: "IPv4 address; any free one when missing.")
    var ip: String?

    @Option(help: "IPv6 address; any free one when missing.")
    var ip6: String?

    @Option(name: .customLong("alias"), help: "Further name on the network; may be repeated.")
    var aliases: [String] = []

    @Option(name: .customLong("link-local-ip"), help: "Link-local address; may be repeated.")
    var linkLocal: [String] = []

    @Option(name: .customLong("driver-opt"), help: "Option of the network's driver, KEY=VALUE; may be repeated.")
    var options: [String] = []

    @Option(name: .customLong("gw-priority"), help: "The network of the highest gets the default route.")
    var priority = 0

    @Argument(help: "Name or id.") var network: String
    @Argument(help: "Name or id.") var container: String

    func run() throws {
        var endpoint = NetworkConnectRequest.Endpoint()
        endpoint.IPAMConfig = NetworkConnectRequest.Addresses(
            IPv4Address: ip, IPv6Address: ip6, LinkLocalIPs: linkLocal)
        endpoint.Aliases = aliases
        endpoint.DriverOpts = try pairs(options, "--driver-opt")
        endpoint.GwPriority = priority
        let request = NetworkConnectRequest(Container: container, EndpointConfig: endpoint)
        try Session(global).engine().connect(network, request)
    }
}

struct NetworkDisconnect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disconnect", abstract: "Take a container's interface on a network away, while it runs.",
        usage: "gantry network disconnect [<global options>] [-f] <network> <container>")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Flag(name: [.short, .long], help: "A container that does not exist is no error.")
    var force = false

    @Argument(help: "Name or id.") var network: String
    @Argument(help: "Name or id.") var container: String

    func run() throws {
        try Session(global).engine().disconnect(network, NetworkDisconnectRequest(Container: container, Force: force))
    }
}

/// `KEY=VALUE` arguments; a missing value is empty.
func pairs(_ arguments: [String], _ option: String) throws(CommandFailure) -> [String: String] {
    var result: [String: String] = [:]
    for argument in arguments {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let key = parts.first, !key.isEmpty else {
            throw .usage("'\(argument)' of \(option) has no name", hint: "write KEY=VALUE")
        }
        result[String(key)] = parts.count > 1 ? String(parts[1]) : ""
    }
    return result
}

/// `KEY=VALUE` filters to lists by key; `label!=x` has the key `label!`.
func networkFilters(_ arguments: [String]) throws(CommandFailure) -> [String: [String]] {
    var result: [String: [String]] = [:]
    for argument in arguments {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
            throw .usage(
                "'\(argument)' is no filter", hint: "write KEY=VALUE, for example label=team or driver=macvlan")
        }
        result[String(argument[..<equals]), default: []].append(String(argument[argument.index(after: equals)...]))
    }
    return result
}
