// Volumes as the Docker Engine API has them.

/// One volume in `GET /volumes` and `GET /volumes/{name}`.
public struct VolumeInspect: Codable, Equatable, Sendable {
    /// RFC 3339.
    public var CreatedAt: String
    public var Driver = "local"
    public var Labels: [String: String]
    /// The folder on the host.
    public var Mountpoint: String
    public var Name: String
    public var Options: [String: String]
    public var Scope = "local"

    public init(
        Name: String, CreatedAt: String, Mountpoint: String, Labels: [String: String], Options: [String: String]
    ) {
        self.Name = Name
        self.CreatedAt = CreatedAt
        self.Mountpoint = Mountpoint
        self.Labels = Labels
        self.Options = Options
    }
}

/// Answer of `GET /volumes`.
public struct VolumeListReply: Codable, Equatable, Sendable {
    public var Volumes: [VolumeInspect]
    public var Warnings: [String]

    public init(Volumes: [VolumeInspect]) {
        self.Volumes = Volumes
        Warnings = []
    }
}

/// Body of `POST /volumes/create`.
public struct VolumeCreateRequest: Codable, Equatable, Sendable {
    /// Missing or empty: a volume without a name of its own.
    public var Name: String?
    public var Driver: String?
    public var DriverOpts: [String: String]?
    public var Labels: [String: String]?

    public init(
        Name: String? = nil, Driver: String? = nil, DriverOpts: [String: String]? = nil,
        Labels: [String: String]? = nil
    ) {
        self.Name = Name
        self.Driver = Driver
        self.DriverOpts = DriverOpts
        self.Labels = Labels
    }
}
