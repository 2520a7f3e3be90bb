// Bodies that follow the Docker Engine API, for the endpoints where Gantry's own client and Docker's clients meet.

/// `GET /version`.
public struct VersionReply: Codable, Equatable, Sendable {
    public struct Platform: Codable, Equatable, Sendable {
        public var Name: String

        public init(Name: String) { self.Name = Name }
    }
    /// A part of the engine; Docker's command line shows these.
    public struct Component: Codable, Equatable, Sendable {
        public var Name: String
        public var Version: String
        public var Details: [String: String]

        public init(Name: String, Version: String, Details: [String: String]) {
            self.Name = Name
            self.Version = Version
            self.Details = Details
        }
    }

    public var Platform: Platform?
    public var Components: [Component]?
    public var Version: String
    public var ApiVersion: String
    public var MinAPIVersion: String
    public var GitCommit: String?
    public var GoVersion: String?
    public var Os: String
    public var Arch: String
    public var KernelVersion: String
    public var BuildTime: String?
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
    /// The same, as docker-py writes it: Docker does not mind capitals.
    public var detachKeys: String?
    /// Height and width of the terminal.
    public var ConsoleSize: [Int]?

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
    /// Height and width of the terminal.
    public var ConsoleSize: [Int]?

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
