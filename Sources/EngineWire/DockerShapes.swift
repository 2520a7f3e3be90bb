// Bodies that follow the Docker Engine API, for the endpoints where Gantry's own client and Docker's clients meet.

/// `GET /version`.
public struct VersionReply: Codable, Equatable, Sendable {
    public var Version: String
    public var ApiVersion: String
    public var MinAPIVersion: String
    public var Os: String
    public var Arch: String
    public var KernelVersion: String
    /// Set, and true, for the engine of a plain user.
    public var Rootless: Bool?

    public init(
        Version: String, ApiVersion: String, MinAPIVersion: String, Os: String, Arch: String, KernelVersion: String,
        Rootless: Bool? = nil
    ) {
        self.Version = Version
        self.ApiVersion = ApiVersion
        self.MinAPIVersion = MinAPIVersion
        self.Os = Os
        self.Arch = Arch
        self.KernelVersion = KernelVersion
        self.Rootless = Rootless
    }
}

/// One image in `GET /images/json`.
public struct ImageSummary: Codable, Equatable, Sendable {
    /// `sha256:…` of the image's config.
    public var Id: String
    public var RepoTags: [String]
    /// Seconds since 1970.
    public var Created: Int64
    /// Bytes on disk of all layers.
    public var Size: Int64

    public init(Id: String, RepoTags: [String], Created: Int64, Size: Int64) {
        self.Id = Id
        self.RepoTags = RepoTags
        self.Created = Created
        self.Size = Size
    }
}

/// The part of `GET /images/{name}/json` that clients need.
public struct ImageInspect: Codable, Equatable, Sendable {
    /// `sha256:…` of the image's config.
    public var Id: String
    public var RepoTags: [String]
    /// `NAME@sha256:…` with the digest of the manifest, once for each name without its tag.
    public var RepoDigests: [String]
    /// Bytes on disk of all layers.
    public var Size: Int64

    public init(Id: String, RepoTags: [String], RepoDigests: [String], Size: Int64) {
        self.Id = Id
        self.RepoTags = RepoTags
        self.RepoDigests = RepoDigests
        self.Size = Size
    }
}

/// `POST /containers/{id}/exec`.
public struct ExecCreateRequest: Codable, Equatable, Sendable {
    public var Cmd: [String]
    public var Env: [String]?
    public var User: String?
    public var WorkingDir: String?
    public var Tty: Bool?
    public var AttachStdin: Bool?
    public var AttachStdout: Bool?
    public var AttachStderr: Bool?
    public var Privileged: Bool?
    public var DetachKeys: String?

    public init(Cmd: [String]) { self.Cmd = Cmd }
}

/// `{"Id": …}`.
public struct IdReply: Codable, Equatable, Sendable {
    public var Id: String

    public init(Id: String) { self.Id = Id }
}

/// `POST /exec/{id}/start`.
public struct ExecStartRequest: Codable, Equatable, Sendable {
    public var Detach: Bool?
    public var Tty: Bool?

    public init(Detach: Bool? = nil, Tty: Bool? = nil) {
        self.Detach = Detach
        self.Tty = Tty
    }
}

/// The part of `GET /exec/{id}/json` that clients need.
public struct ExecInspect: Codable, Equatable, Sendable {
    public var ID: String
    public var Running: Bool
    public var ExitCode: Int?
    public var Pid: Int

    public init(ID: String, Running: Bool, ExitCode: Int?, Pid: Int) {
        self.ID = ID
        self.Running = Running
        self.ExitCode = ExitCode
        self.Pid = Pid
    }
}

/// Answer of `POST /containers/{id}/wait`.
public struct WaitReply: Codable, Equatable, Sendable {
    public var StatusCode: Int

    public init(StatusCode: Int) { self.StatusCode = StatusCode }
}
