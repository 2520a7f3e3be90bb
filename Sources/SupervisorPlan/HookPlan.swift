/// One hook of the OCI runtime specification: a program of the host's administrator that runs at a point of a
/// container's life and gets the container's state on its standard input.
/// <https://github.com/opencontainers/runtime-spec/blob/main/config.md#posix-platform-hooks>
public struct HookPlan: PlanCodable, Equatable {
    /// Absolute path.
    public var path: String
    /// The whole argument vector, the program's own name first.
    public var arguments: [String]
    /// The whole environment, `NAME=value`.
    public var environment: [String]
    /// Milliseconds after which it is killed, which is a failure; 0 waits as long as it takes.
    public var timeoutMilliseconds: UInt64

    public init(path: String, arguments: [String], environment: [String], timeoutMilliseconds: UInt64 = 0) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(path)
        encoder.put(arguments)
        encoder.put(environment)
        encoder.put(timeoutMilliseconds)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        path = try decoder.string()
        arguments = try decoder.strings()
        environment = try decoder.strings()
        timeoutMilliseconds = try decoder.integer()
    }
}

/// The hooks of a container, each list in the order in which it runs.
public struct HooksPlan: PlanCodable, Equatable {
    /// Host's side, everything mounted, before the root is changed.
    public var prestart: [HookPlan] = []
    public var createRuntime: [HookPlan] = []
    /// Inside the container's namespaces, before the root is changed: the path is one of the host's.
    public var createContainer: [HookPlan] = []
    /// Inside the container, right before its program.
    public var startContainer: [HookPlan] = []
    /// Host's side, after the program was executed.
    public var poststart: [HookPlan] = []
    /// Host's side, after the container is gone.
    public var poststop: [HookPlan] = []
    /// The state as JSON in three pieces, around the status and the process id.
    public var stateText: [String] = ["", "", ""]

    public init() {}

    public var isEmpty: Bool {
        [prestart, createRuntime, createContainer, startContainer, poststart, poststop].allSatisfy(\.isEmpty)
    }

    /// What a hook reads: the state with this status and process id.
    public func state(status: String, pid: Int32) -> [UInt8] {
        guard stateText.count == 3 else { return [] }
        return Array("\(stateText[0])\(status)\(stateText[1])\(pid)\(stateText[2])".utf8)
    }

    public func encode(into encoder: inout PlanEncoder) {
        for list in [prestart, createRuntime, createContainer, startContainer, poststart, poststop] {
            encoder.put(list)
        }
        encoder.put(stateText)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        prestart = try decoder.values()
        createRuntime = try decoder.values()
        createContainer = try decoder.values()
        startContainer = try decoder.values()
        poststart = try decoder.values()
        poststop = try decoder.values()
        stateText = try decoder.strings()
    }
}
