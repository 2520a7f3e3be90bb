/// One line of a user namespace's map, `user_namespaces(7)`.
public struct IDMapping: PlanCodable, Equatable, Codable {
    public var containerID: UInt32
    public var hostID: UInt32
    public var size: UInt32

    public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
        self.containerID = containerID
        self.hostID = hostID
        self.size = size
    }

    public func encode(into encoder: inout PlanEncoder) {
        for number in [containerID, hostID, size] { encoder.put(number) }
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        containerID = try decoder.integer()
        hostID = try decoder.integer()
        size = try decoder.integer()
    }

    /// As `/proc/PID/uid_map` takes it.
    public var line: String { "\(containerID) \(hostID) \(size)\n" }
}

/// The maps of a user namespace. Of a mount, empty maps stand for the user namespace that the container joins.
public struct IDMapPlan: PlanCodable, Equatable {
    public var users: [IDMapping]
    public var groups: [IDMapping]

    public init(users: [IDMapping], groups: [IDMapping]) {
        self.users = users
        self.groups = groups
    }

    public var isEmpty: Bool { users.isEmpty && groups.isEmpty }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(users)
        encoder.put(groups)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        users = try decoder.values()
        groups = try decoder.values()
    }
}
