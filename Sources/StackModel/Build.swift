/// How an image is made: Compose Build Specification.
public struct Build: Codable, Equatable, Sendable {
    /// Absolute path or URL.
    public var context: String
    /// Relative to the context; `nil` with `dockerfileInline`.
    public var dockerfile: String?
    public var dockerfileInline: String?
    /// Name to path, URL, `docker-image://REFERENCE` or `service:NAME`.
    @Sparse public var additionalContexts: [String: String] = [:]
    /// `nil` value: not found in the environment.
    @Sparse public var arguments: [String: String?] = [:]
    /// `ID` or `ID=PATH`.
    @Sparse public var ssh: [String] = []
    @Sparse public var labels: [String: String] = [:]
    @Sparse public var cacheFrom: [String] = []
    @Sparse public var cacheTo: [String] = []
    @Switch public var noCache: Bool = false
    /// Stages that are always built anew.
    @Sparse public var noCacheFilter: [String] = []
    @Switch public var pull: Bool = false
    public var target: String?
    public var network: String?
    public var isolation: String?
    @Switch public var privileged: Bool = false
    @Sparse public var entitlements: [String] = []
    @Sparse public var extraHosts: [ExtraHost] = []
    @Sparse public var secrets: [FileMount] = []
    public var shmSize: Int64?
    @Sparse public var tags: [String] = []
    @Sparse public var platforms: [String] = []
    @Sparse public var ulimits: [String: Ulimit] = [:]
    /// `true`, `false` or BuildKit's parameters (`mode=max`).
    public var provenance: String?
    public var sbom: String?

    public init(context: String) { self.context = context }
}

/// When an image is fetched.
public struct PullPolicy: Codable, Equatable, Sendable {
    public enum Mode: String, Codable, Sendable { case always, never, missing, build, refresh }
    public var mode: Mode
    /// For `refresh`: nanoseconds after which an image is looked for again (`daily`, `weekly`, `every_12h`).
    public var refreshAfter: Int64?

    public init(mode: Mode, refreshAfter: Int64? = nil) {
        self.mode = mode
        self.refreshAfter = refreshAfter
    }
}

/// What to do when files change during development: Compose Develop Specification.
public struct Develop: Codable, Equatable, Sendable {
    public struct Watch: Codable, Equatable, Sendable {
        public enum Action: String, CaseIterable, Codable, Sendable {
            case rebuild, restart, sync
            case syncRestart = "sync+restart"
            case syncExec = "sync+exec"
        }
        /// Absolute path.
        public var path: String
        public var action: Action
        /// Where files are copied to in the container.
        public var target: String?
        @Sparse public var include: [String] = []
        @Sparse public var ignore: [String] = []
        /// `sync+exec`: what is run after copying.
        public var exec: Hook?
        @Switch public var initialSync: Bool = false

        public init(path: String, action: Action) {
            self.path = path
            self.action = action
        }
    }

    @Sparse public var watch: [Watch] = []

    public init() {}
}
