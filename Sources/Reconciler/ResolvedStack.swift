import StackModel

/// A stack with everything that its containers are made of.
public struct ResolvedStack: Equatable, Sendable {
    public var stack: Stack
    /// Service to image id.
    public var imageIDs: [String: String]
    /// Service to number of replicas, in place of the stack's.
    public var scale: [String: Int]

    public init(stack: Stack, imageIDs: [String: String], scale: [String: Int]) {
        self.stack = stack
        self.imageIDs = imageIDs
        self.scale = scale
    }

    /// Applying the one where the other is would change nothing. Fields are compared in normal form, as plans do it.
    public func isSame(as other: ResolvedStack) -> Bool {
        guard Set(stack.services.keys) == Set(other.stack.services.keys) else { return false }
        guard stack.services.keys.allSatisfy({ isSame($0, as: other) }) else { return false }
        return stack.networks.keys == other.stack.networks.keys && stack.volumes.keys == other.stack.volumes.keys
            && stack.networks.allSatisfy { key, network in other.stack.networks[key].map(network.isSame) ?? false }
            && stack.volumes.allSatisfy { key, volume in other.stack.volumes[key].map(volume.isSame) ?? false }
    }

    /// The same of one service alone.
    func isSame(_ service: String, as other: ResolvedStack) -> Bool {
        guard replicas(of: service) == other.replicas(of: service), let own = definition(service),
            let their = other.definition(service)
        else { return false }
        return own.changes(from: their).allSatisfy { $0.effect == .none }
    }

    private func replicas(of service: String) -> Int { scale[service] ?? stack.services[service]?.replicas ?? 0 }

    private func definition(_ service: String) -> ContainerDefinition? {
        ContainerDefinition(stack: stack, service: service, imageID: imageIDs[service] ?? "")
    }
}
