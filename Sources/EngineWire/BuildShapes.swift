import StackModel

// What `POST /build/batch` hears and says: images that are built together. JSON, keys as written here.

/// One image to build.
public struct BuildRequest: Codable, Equatable, Sendable {
    /// Where the build's files are.
    public enum Source: Codable, Equatable, Sendable {
        /// Absolute path of a folder on the engine's machine.
        case folder(String)
        /// A Git repository or an archive.
        case url(String)
        /// A folder of the archive that came with the request, already without what its ignore file names.
        case sent(String)
        /// No files.
        case none
    }

    /// A value that is known to the client alone.
    public struct Secret: Codable, Equatable, Sendable {
        public var id: String
        public var bytes: [UInt8]

        public init(id: String, bytes: [UInt8]) {
            self.id = id
            self.bytes = bytes
        }
    }

    /// A service's name, or empty; in front of the steps' names where several images are built.
    public var name: String
    public var context: Source
    /// The context's folder is there for this build alone.
    public var isTemporary = false
    /// What its ignore file names is not in the context any more.
    public var isFiltered: Bool?
    /// Path relative to the context or absolute; `nil`: `Dockerfile`.
    public var dockerfile: String?
    /// The Dockerfile itself.
    public var dockerfileText: String?
    public var target: String?
    public var arguments: [String: String] = [:]
    public var labels: [String: String] = [:]
    public var tags: [String] = []
    /// Name to folder, URL, `docker-image://NAME`, `service:NAME` of another request or `sent:FOLDER` of the archive.
    public var contexts: [String: String] = [:]
    public var noCache = false
    public var noCacheFilter: [String] = []
    public var pull = false
    /// `NAME` of an image, `type=registry,ref=NAME` or `type=local,src=FOLDER`.
    public var cacheFrom: [String] = []
    /// `type=registry,ref=NAME` or `type=local,dest=FOLDER`.
    public var cacheTo: [String] = []
    public var platforms: [String] = []
    public var secrets: [Secret] = []
    /// Id to the path of an agent's socket on the engine's machine.
    public var agents: [String: String] = [:]
    /// `default`, `none`, `host` or a network's name.
    public var network: String?
    public var allow: [String] = []
    public var extraHosts: [ExtraHost] = []
    /// Bytes.
    public var shmSize: Int64?
    public var ulimits: [String: Ulimit] = [:]
    public var privileged = false

    public init(name: String = "", context: Source) {
        self.name = name
        self.context = context
    }
}

/// Body of `POST /build/batch`. The answer is a stream of `BuildLine`.
public struct BuildBatch: Codable, Equatable, Sendable {
    public var builds: [BuildRequest]
    /// Nothing is built; what the checks find is told.
    public var checks: Bool

    public init(builds: [BuildRequest], checks: Bool = false) {
        self.builds = builds
        self.checks = checks
    }
}

/// One line of the stream. The last one is `.done` or `.failed`; a stream that ends without one was cut.
public enum BuildLine: Codable, Equatable, Sendable {
    /// A step of a build, as BuildKit counts them.
    case started(vertex: Int, name: String)
    case output(vertex: Int, text: String, isError: Bool)
    case finished(vertex: Int, isCached: Bool, nanoseconds: UInt64, error: String?)
    case warning(Diagnostic)
    /// An image is ready.
    case built(name: String, image: String, tags: [String])
    case done
    case failed([Diagnostic], excerpt: BuildExcerpt?)
}

/// The lines of a Dockerfile around what failed.
public struct BuildExcerpt: Codable, Equatable, Sendable {
    public var file: String
    /// The number of the first of `lines`.
    public var firstLine: Int
    public var lines: [String]
    /// First and last line of what failed.
    public var marked: [Int]

    public init(file: String, firstLine: Int, lines: [String], marked: [Int]) {
        self.file = file
        self.firstLine = firstLine
        self.lines = lines
        self.marked = marked
    }
}

/// A layer or a folder that builds keep, in `GET /system/df`.
public struct BuildCacheItem: Codable, Equatable, Sendable {
    public var ID: String
    /// `regular` for a step, `exec.cachemount` for a folder of `RUN --mount=type=cache`.
    public var type: String
    public var InUse: Bool
    /// An image has the layer, too.
    public var Shared: Bool
    /// Bytes.
    public var Size: Int64
    /// RFC 3339.
    public var LastUsedAt: String

    enum CodingKeys: String, CodingKey {
        case ID, InUse, Shared, Size, LastUsedAt
        case type = "Type"
    }

    public init(ID: String, type: String, InUse: Bool, Shared: Bool, Size: Int64, LastUsedAt: String) {
        self.ID = ID
        self.type = type
        self.InUse = InUse
        self.Shared = Shared
        self.Size = Size
        self.LastUsedAt = LastUsedAt
    }
}

/// Answer of `POST /build/prune`.
public struct BuildPruneReply: Codable, Equatable, Sendable {
    public var CachesDeleted: [String]?
    /// Bytes.
    public var SpaceReclaimed: Int64

    public init(CachesDeleted: [String], SpaceReclaimed: Int64) {
        self.CachesDeleted = CachesDeleted
        self.SpaceReclaimed = SpaceReclaimed
    }
}
