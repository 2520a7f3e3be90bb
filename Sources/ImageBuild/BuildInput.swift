import Dockerfile
import Images
import LinuxSystem
import StackModel

/// One image to build.
public struct BuildInput: Sendable {
    public var dockerfile: Dockerfile
    /// Target, arguments, platform, names of contexts.
    public var options: BuildOptions
    /// nil: the build has no files.
    public var context: BuildContext?
    /// By name; what is named here stands before images and stages.
    public var contexts: [String: NamedContext] = [:]
    public var labels: [String: String] = [:]
    public var references: [ImageReference] = []
    /// Every step is carried out anew.
    public var ignoresCache = false
    /// Stages, by name or number, whose steps are carried out anew.
    public var uncachedStages: Set<String> = []
    /// Base images are looked for at their registries although they are here.
    public var pulls = false
    /// By id.
    public var secrets: [String: [UInt8]] = [:]
    /// Sockets of SSH agents on this machine, by id.
    public var agents: [String: String] = [:]
    public var network = RunNetwork.standard
    /// Allows `RUN --network=host`.
    public var allowsHostNetwork = false
    /// Allows `RUN --security=insecure`.
    public var allowsInsecure = false
    public var hosts: [(name: String, address: String)] = []
    /// Bytes of /dev/shm.
    public var sharedMemoryByteCount: Int64?
    public var ulimits: [String: Ulimit] = [:]
    /// Steps that `cache_from` brought, by their keys.
    public var imported: [Digest: BuildRecord] = [:]
    /// Seconds since 1970: SOURCE_DATE_EPOCH.
    public var timestamp: Int64?

    public init(dockerfile: Dockerfile, options: BuildOptions) {
        self.dockerfile = dockerfile
        self.options = options
    }
}

/// A folder of files for COPY, ADD and bind mounts.
public struct BuildContext: Sendable {
    public var source: CopySource
    /// Remembers the digests of its files; nil for a folder that is read once.
    public var index: DigestIndex?

    public init(source: CopySource, index: DigestIndex? = nil) {
        self.source = source
        self.index = index
    }
}

/// What `--build-context NAME=…` says.
public enum NamedContext: Sendable {
    case folder(BuildContext)
    /// The name of an image, in the store or at a registry.
    case image(String)
    /// The result of another build.
    case built(Image)
}

/// What RUN may reach.
public enum RunNetwork: Equatable, Hashable, Sendable {
    /// A bridge of Gantry's own, with the world behind it.
    case standard
    case none
    case host
    /// A network that is there.
    case named(String)

    var text: String {
        switch self {
        case .standard: "default"
        case .none: "none"
        case .host: "host"
        case .named(let name): "name:\(name)"
        }
    }
}

/// A command to carry out in a container.
public struct RunStep: Sendable {
    public enum MountKind: Equatable, Sendable {
        /// A folder or file of the host.
        case bind(String, readOnly: Bool)
        /// Bytes at most.
        case tmpfs(Int64?)
    }

    public struct Mount: Equatable, Sendable {
        /// Absolute in the container.
        public var target: String
        public var kind: MountKind
    }

    /// Bytes that are there while the command runs, and never on a disk.
    public struct File: Equatable, Sendable {
        public var path: String
        public var bytes: [UInt8]
        public var mode: UInt32
        public var uid: UInt32
        public var gid: UInt32
    }

    /// Topmost first.
    public var lower: [String]
    public var upper: String
    public var work: String
    public var arguments: [String]
    /// `NAME=VALUE` each.
    public var environment: [String]
    public var workingDirectory: String
    /// nil: root.
    public var user: String?
    public var mounts: [Mount] = []
    public var files: [File] = []
    public var network: RunNetwork
    public var isPrivileged = false
    public var hosts: [(name: String, address: String)]
    public var sharedMemoryByteCount: Int64?
    public var ulimits: [String: Ulimit]
    /// Steps of one stage come one after the other, and may share a network namespace.
    public var stage: Int
}

/// What a build needs of the engine.
public protocol BuildHost: Sendable {
    /// The image of a name, fetched when it is not here or when `pulls` says so.
    /// `output` gets lines about a transfer.
    func image(
        _ name: String, pulls: Bool, output: @escaping @Sendable ([UInt8]) -> Void
    ) async throws(BuildFailure) -> Image

    /// Carries out a command; `output` gets what it writes.
    func run(
        _ step: RunStep, output: @escaping @Sendable (_ bytes: [UInt8], _ isError: Bool) -> Void
    ) async throws(BuildFailure)

    /// RFC 3339; nil is now.
    func date(_ seconds: Int64?) -> String

    /// Layers as one tree. Blocks. `upper` and `work` take what is written; without them nothing can be.
    func open(lower: [String], upper: String?, work: String?) throws(BuildFailure) -> OpenTree

    /// Mounts layers where the host's paths see them, for a bind mount of RUN. Blocks.
    func mount(lower: [String], upper: String, work: String) throws(BuildFailure) -> MountedTree
}

/// A tree of layers; what is mounted for it goes with the last holder of its root.
public struct OpenTree: Sendable {
    /// `O_PATH`.
    public let root: SharedDescriptor

    public init(root: SharedDescriptor) { self.root = root }
}

/// A tree of layers at a path, until it is released.
public final class MountedTree: Sendable {
    public let path: String
    private let unmount: @Sendable () -> Void

    public init(path: String, unmount: @escaping @Sendable () -> Void) {
        self.path = path
        self.unmount = unmount
    }

    deinit { unmount() }
}
