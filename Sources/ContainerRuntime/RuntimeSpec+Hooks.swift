extension RuntimeSpec {
    /// A program that the runtime runs at a point of the container's life.
    /// <https://github.com/opencontainers/runtime-spec/blob/main/config.md#posix-platform-hooks>
    public struct Hook: Codable, Equatable, Sendable {
        /// Absolute path.
        public var path: String
        /// The whole vector; absent, the path is all of it.
        public var args: [String]?
        /// The whole environment.
        public var env: [String]?
        /// Seconds.
        public var timeout: Int?

        public init(path: String, args: [String]? = nil, env: [String]? = nil, timeout: Int? = nil) {
            self.path = path
            self.args = args
            self.env = env
            self.timeout = timeout
        }
    }

    public struct Hooks: Codable, Equatable, Sendable {
        public var prestart: [Hook]?
        public var createRuntime: [Hook]?
        public var createContainer: [Hook]?
        public var startContainer: [Hook]?
        public var poststart: [Hook]?
        public var poststop: [Hook]?

        public init() {}
    }
}
