import StackModel

/// What objects are called in plans: by their keys in the stack file.
public enum PlanAddress {
    public static let firewall = "firewall"

    public static func of(_ container: ObservedContainer) -> String { of(container.service, container.number) }
    public static func of(_ service: String, _ number: Int) -> String { "service.\(service)[\(number)]" }

    /// - Parameter name: the engine's.
    public static func network(_ name: String, _ stack: Stack) -> String { "network.\(stack.networkKey(name) ?? name)" }
    public static func volume(_ name: String, _ stack: Stack) -> String { "volume.\(stack.volumeKey(name) ?? name)" }
}

extension Stack {
    public func networkKey(_ name: String) -> String? { networks.keys.sorted().first { networkName($0) == name } }
    public func volumeKey(_ name: String) -> String? { volumes.keys.sorted().first { volumeName($0) == name } }
}
