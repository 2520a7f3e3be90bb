import ArgumentParser
import EngineClient
import EngineWire
import StackFile
import StackModel

struct ScaleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scale", abstract: "Set the number of containers of services.",
        usage: "gantry scale [<global options>] [<options>] <service>=<n> ...")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions

    @Flag(name: .customLong("no-deps"), help: "Leave the services alone that the named ones depend on.")
    var noDependencies = false

    @Argument(help: "SERVICE=N.")
    var scales: [ServiceScale]

    func run() throws {
        let session = Session(global, file)
        let scale = try scaleMap(scales)
        let stack = try session.loadStack(services: scale.keys.sorted()).stack
        try StackBuild(stack: stack, session: session)
            .ensure(scale.keys.sorted(), dependencies: !noDependencies, .missing)
        var request = ApplyRequest(stack: stack, services: scale.keys.sorted(), scale: scale)
        request.noDependencies = noDependencies
        let client = try session.engine()
        var subject = ProgressSubject(
            stackName: stack.name, stack: stack, services: scale.keys.sorted(), dependencies: !noDependencies,
            client: client)
        for (service, count) in scale { subject.stack?.services[service]?.replicas = count }
        try session.complete(client.apply(stack: stack.name, request), about: subject)
    }
}
