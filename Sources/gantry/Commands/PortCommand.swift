import ArgumentParser
import EngineClient
import EngineWire
import StackModel

struct PortCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "port", abstract: "Show where the ports of a service or container are published.",
        usage: "gantry port [<global options>] [<options>] <service or container> [<port>[/<protocol>]]")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Option(help: "Number of the service's container.")
    var index: Int?

    @Option(name: .customLong("protocol"), help: "tcp, udp or sctp.")
    var transport = "tcp"

    @Argument(help: "Service, or name or id of a container.")
    var name: String

    @Argument(help: "Port in the container; all when missing.")
    var port: String?

    func run() throws {
        let session = Session(global, file)
        let container = try find(session)
        guard let port else {
            let lines = container.ports.sorted(by: isBefore).map { entry in
                "\(entry.target)/\(entry.transport.rawValue) -> \(hostText(entry))\n"
            }
            return try session.output.write(lines.joined())
        }
        let parts = port.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let number = UInt16(parts[0]),
            let wanted = Port.Transport(rawValue: parts.count > 1 ? parts[1] : transport)
        else {
            throw CommandFailure.usage("'\(port)' is no port", hint: "write a number, or for example 53/udp")
        }
        let found = container.ports.filter { $0.target == number && $0.transport == wanted }
        guard !found.isEmpty else {
            throw CommandFailure(
                code: "port.not-published",
                "port \(number)/\(wanted.rawValue) of container \(container.name) is not published")
        }
        try session.output.write(found.sorted(by: isBefore).map { hostText($0) + "\n" }.joined())
    }

    /// A service of the stack here, else a container of any stack.
    private func find(_ session: Session) throws -> ContainerStatus {
        let engine = try session.engine()
        var known: [String] = []
        if try session.explicitProjectName() != nil || session.hasStackFile {
            let own = try engine.containers(stack: try session.projectName())
            let replicas = own.filter { $0.service == name && !$0.oneOff }.sorted { $0.number < $1.number }
            if let index {
                if let replica = replicas.first(where: { $0.number == index }) { return replica }
            } else if let replica = replicas.first(where: { $0.state == .running }) ?? replicas.first {
                return replica
            }
            if !replicas.isEmpty, let index {
                throw CommandFailure(
                    code: "container.not-found", "service '\(name)' has no container with number \(index)")
            }
            known = own.map(\.service)
        }
        let isID = name.utf8.count >= 4
        for stack in try engine.stacks() {
            for container in try engine.containers(stack: stack.name)
            where container.name == name || (isID && container.id.hasPrefix(name)) {
                return container
            }
        }
        let hint = known.isEmpty ? nil : "the services here are \(Set(known).sorted().joined(separator: ", "))"
        throw CommandFailure(
            code: "container.not-found", "there is no service and no container '\(name)'", hint: hint)
    }
}

private func hostText(_ port: ContainerStatus.PublishedPort) -> String {
    port.hostIP.contains(":") ? "[\(port.hostIP)]:\(port.published)" : "\(port.hostIP):\(port.published)"
}

private func isBefore(_ left: ContainerStatus.PublishedPort, _ right: ContainerStatus.PublishedPort) -> Bool {
    (left.target, left.transport, left.hostIP, left.published)
        < (right.target, right.transport, right.hostIP, right.published)
}
