import StackModel

/// One service of `GET /stacks/{name}/services`: what there should be, by the stack as it was applied last. What a
/// stack file may hold in confidence (variables, commands, labels) is not in it.
public struct ServiceSummary: Codable, Equatable, Sendable {
    public struct Dependency: Codable, Equatable, Sendable {
        public var service: String
        public var condition: StackModel.Dependency.Condition

        public init(service: String, condition: StackModel.Dependency.Condition) {
            self.service = service
            self.condition = condition
        }
    }

    public var name: String
    public var image: String
    /// How many replicas there should be; `nil` for a service that runs by the clock.
    public var replicas: Int?
    /// By name.
    public var dependsOn: [Dependency]
    /// Keys of the networks that it is on.
    public var networks: [String]
    public var hasHealthcheck: Bool
    /// A user has stopped it.
    public var isStopped: Bool

    public init(name: String, image: String) {
        self.name = name
        self.image = image
        (dependsOn, networks) = ([], [])
        (hasHealthcheck, isStopped) = (false, false)
    }
}
