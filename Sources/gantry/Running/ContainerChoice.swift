import EngineClient
import EngineWire
import StackModel

/// What a command's word names: containers of a service of the stack here, or else a container of any stack, by its
/// name, its id or the beginning of it, which the engine looks up.
enum NamedContainers: Equatable {
    case service([ContainerStatus])
    case container(String)

    /// - Parameter includesOneOff: also those that `run` made.
    static func find(
        _ name: String, index: Int?, includesOneOff: Bool = false, _ session: Session
    ) throws -> NamedContainers {
        guard try session.explicitProjectName() != nil || session.hasStackFile else {
            return try onlyContainer(name, index)
        }
        let own = try session.engine().containers(stack: try session.projectName())
            .filter { $0.service == name && (includesOneOff || !$0.oneOff) }
            .sorted { ($0.oneOff ? 1 : 0, $0.number) < ($1.oneOff ? 1 : 0, $1.number) }
        if own.isEmpty { return try onlyContainer(name, index) }
        guard let index else { return .service(own) }
        guard let chosen = own.first(where: { $0.number == index && !$0.oneOff }) else {
            throw CommandFailure(
                code: "container.not-found", "service '\(name)' has no container with number \(index)")
        }
        return .service([chosen])
    }

    private static func onlyContainer(_ name: String, _ index: Int?) throws(CommandFailure) -> NamedContainers {
        guard index == nil else {
            throw CommandFailure(code: "container.not-found", "there is no service '\(name)' that has numbers")
        }
        return .container(name)
    }

    /// As the engine knows them; of a service, the first is the lowest.
    var references: [String] {
        switch self {
        case .service(let containers): containers.map(\.id)
        case .container(let name): [name]
        }
    }

    /// The one that a command works on that takes one.
    var first: String {
        get throws(CommandFailure) {
            guard let first = references.first else {
                throw CommandFailure(code: "container.not-found", "the service has no container")
            }
            return first
        }
    }
}
