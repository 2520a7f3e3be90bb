import ArgumentParser
import EngineClient
import EngineWire
import InternetAddress
import StackModel

struct NetworkCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a network; its id is printed.",
        usage: "gantry network create [<global options>] [<options>] <name>")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(name: [.short, .long], help: "bridge, macvlan or ipvlan.")
    var driver = "bridge"

    @Option(name: .customLong("subnet"), help: "Subnet in CIDR form; may be repeated, for both families.")
    var subnets: [String] = []

    @Option(name: .customLong("ip-range"), help: "Part of a subnet that containers get addresses from.")
    var ranges: [String] = []

    @Option(name: .customLong("gateway"), help: "Address of the host in a subnet.")
    var gateways: [String] = []

    @Option(name: .customLong("aux-address"), help: "Address kept free, NAME=ADDRESS; may be repeated.")
    var auxiliary: [String] = []

    @Flag(name: .customLong("internal"), help: "No way out of the host.")
    var isInternal = false

    @Flag(name: .customLong("ipv6"), inversion: .prefixedNo, help: "Containers get IPv6 addresses.")
    var hasIPv6 = false

    @Flag(name: .customLong("ipv4"), inversion: .prefixedNo, help: "Containers get IPv4 addresses.")
    var hasIPv4 = true

    @Flag(help: "Containers of any stack may join.")
    var attachable = false

    @Option(name: [.customShort("o"), .customLong("opt")], help: "Option of the driver, KEY=VALUE; may be repeated.")
    var options: [String] = []

    @Option(name: .customLong("label"), help: "Label, KEY[=VALUE]; may be repeated.")
    var labels: [String] = []

    @Argument(help: "Name of the network.")
    var name: String

    func run() throws {
        let session = Session(global)
        let reply = try session.engine().createNetwork(try request())
        if !reply.Warning.isEmpty {
            try session.show([Diagnostic(.warning, code: "network.option", "network \(name): \(reply.Warning)")])
        }
        try session.output.write(reply.Id + "\n")
    }

    func request() throws(CommandFailure) -> NetworkCreateRequest {
        var request = NetworkCreateRequest(Name: name)
        request.Driver = driver
        request.Internal = isInternal
        request.Attachable = attachable
        request.EnableIPv4 = hasIPv4
        request.EnableIPv6 = hasIPv6
        request.Options = try pairs(options, "--opt")
        request.Labels = try pairs(labels, "--label")
        request.IPAM = NetworkIPAM(
            Driver: "default",
            Config: try addressConfigs(
                subnets: subnets, ranges: ranges, gateways: gateways, auxiliary: try pairs(auxiliary, "--aux-address")))
        return request
    }
}

/// Puts each range, gateway and kept address to the subnet that it lies in, as `docker network create` does.
func addressConfigs(
    subnets: [String], ranges: [String], gateways: [String], auxiliary: [String: String]
) throws(CommandFailure) -> [NetworkIPAM.Config] {
    var configs = subnets.map { NetworkIPAM.Config(Subnet: $0) }
    func index(of text: String, _ option: String) throws(CommandFailure) -> Int {
        let address = IPAddress(text.prefix { $0 != "/" })
        let found = configs.firstIndex { config in
            guard let address, let subnet = config.Subnet.flatMap({ CIDR($0) }) else { return false }
            return subnet.contains(address)
        }
        guard let index = found else {
            throw .usage(
                "no --subnet contains \(option) \(text)", hint: "name the subnet that it lies in with --subnet")
        }
        return index
    }
    for text in ranges {
        let place = try index(of: text, "--ip-range")
        configs[place].IPRange = text
    }
    for text in gateways {
        let place = try index(of: text, "--gateway")
        guard configs[place].Gateway == nil else {
            throw .usage("two gateways lie in subnet \(configs[place].Subnet ?? "")")
        }
        configs[place].Gateway = text
    }
    for (name, text) in auxiliary.sorted(by: { $0.key < $1.key }) {
        let place = try index(of: text, "--aux-address")
        configs[place].AuxiliaryAddresses = (configs[place].AuxiliaryAddresses ?? [:]).merging([name: text]) { $1 }
    }
    return configs
}
