import LinuxSystem
import SupervisorPlan

public enum RootFilesystem: Equatable, Sendable {
    /// overlayfs. `lower` from the topmost layer down; `volatile` skips syncing, for containers whose writable layer
    /// is not kept.
    case overlay(lower: [String], upper: String, work: String, volatile: Bool)
    /// A directory used as it is.
    case directory(String)
}

/// Which system calls a container may make.
public enum SeccompPolicy: Equatable, Sendable {
    /// `linux.seccomp` of the specification, or, without one, the standard profile for its capabilities.
    case standard
    case unconfined
}

public struct LogSettings: Equatable, Sendable {
    public var path: String
    /// 0 never rotates.
    public var maxBytes: UInt64
    /// Files kept, the current one included.
    public var files: Int

    public init(path: String, maxBytes: UInt64 = 0, files: Int = 1) {
        self.path = path
        self.maxBytes = maxBytes
        self.files = files
    }
}

/// A secret or config: its bytes go to a tmpfs in the container and are bound read-only over `path`.
public struct InjectedFile: Equatable, Sendable {
    public var path: String
    public var bytes: [UInt8]
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32

    public init(path: String, bytes: [UInt8], mode: UInt32 = 0o444, uid: UInt32 = 0, gid: UInt32 = 0) {
        self.path = path
        self.bytes = bytes
        self.mode = mode
        self.uid = uid
        self.gid = gid
    }
}

public struct LaunchRequest: Sendable {
    /// `[a-zA-Z0-9_+-][a-zA-Z0-9_+.-]*`; names the cgroups.
    public var id: String
    public var spec: RuntimeSpec
    /// `name|uid[:group|gid]`, looked up inside the container; `nil` takes the specification's numbers. With a user
    /// given, one that is not root keeps no effective capabilities, as under Docker.
    public var user: String?
    /// Further groups by name or number (`group_add`), looked up inside the container.
    public var groups: [String]
    public var root: RootFilesystem
    /// The container's folder under the exec root; made with mode 0700 when missing. One launch at a time.
    public var directory: String
    public var log: LogSettings?
    /// Connected, framed sockets of the first clients, `SupervisorDescriptor.clientsMax` at most; consumed, whatever
    /// comes of the launch.
    public var attach: [Int32]
    public var stdinOpen: Bool
    /// Process 1 is Gantry's own init, which forwards signals and reaps.
    public var useInit: Bool
    public var files: [InjectedFile]
    public var seccomp: SeccompPolicy
    /// The container's cgroup as a path below each hierarchy, such as the specification's `linux.cgroupsPath`; `nil`:
    /// one named by the id below `cgroupParent`.
    public var cgroupPath: String?
    /// The cgroup above the container's as a path below each hierarchy, made when missing; `nil`: the runtime's own.
    public var cgroupParent: String?
    /// What hooks are told: the folder of the container's `config.json`.
    public var bundle: String
    /// Keeps the caller's session keyring, keyrings(7), instead of a new one.
    public var sharesKeyring = false
    /// `NAME=value`, of hooks on the host's side that name no environment of their own.
    public var hookEnvironment: [String] = []

    public init(id: String, spec: RuntimeSpec, root: RootFilesystem, directory: String) {
        self.id = id
        self.spec = spec
        self.root = root
        self.directory = directory
        attach = []
        groups = []
        stdinOpen = false
        useInit = false
        files = []
        seccomp = .standard
        bundle = directory
    }
}

public struct LaunchedContainer: Equatable, Sendable {
    /// The container's init, as the host numbers it.
    public var pid: Int32
    public var supervisorPID: Int32
    /// Nanoseconds since 1970.
    public var startedAt: UInt64
    /// What was not done though it was asked for, e.g. an oom_score_adj that needs more privilege.
    public var warnings: [String]
}

/// What the exec root and the kernel say about a container.
public struct ContainerRecord: Equatable, Sendable {
    public enum State: Equatable, Sendable {
        case neverStarted
        /// The supervisor is at work and the user's program not yet executed.
        case starting(supervisorPID: Int32)
        case running(pid: Int32, supervisorPID: Int32, startedAt: UInt64)
        case exited(ExitRecord)
        /// The supervisor was killed: what was left of the container has been killed too, and an exit code of 137
        /// recorded.
        case lost(ExitRecord, note: String)
    }
    public var state: State
    /// Nanoseconds since 1970 of the last start, when there was one.
    public var startedAt: UInt64?
}

public struct ExecRequest: Sendable {
    /// The container's folder.
    public var directory: String
    /// The container's specification: capabilities, seccomp and no-new-privileges come from it.
    public var spec: RuntimeSpec
    public var args: [String]
    /// The whole environment; empty takes the specification's.
    public var env: [String]
    /// `nil` takes the specification's.
    public var cwd: String?
    public var user: String?
    public var groups: [String]
    public var terminal: Bool
    public var consoleSize: RuntimeSpec.ConsoleSize?
    public var stdinOpen: Bool
    /// Every capability and no seccomp filter.
    public var privileged: Bool
    public var seccomp: SeccompPolicy
    /// Keeps the caller's session keyring, keyrings(7), instead of a new one.
    public var sharesKeyring = false

    public init(directory: String, spec: RuntimeSpec, args: [String]) {
        self.directory = directory
        self.spec = spec
        self.args = args
        env = []
        groups = []
        terminal = false
        stdinOpen = false
        privileged = false
        seccomp = .standard
    }
}
