/// Where the listener descriptor of a seccomp filter goes, with the container process state of the OCI runtime
/// specification. <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#containerprocessstate>
public struct ListenerPlan: PlanCodable, Equatable {
    /// A stream socket of the host.
    public var path: String
    /// The state's JSON, cut where the process's number belongs.
    public var state: [String]

    public init(path: String, state: [String]) {
        self.path = path
        self.state = state
    }

    public func encode(into encoder: inout PlanEncoder) {
        encoder.put(path)
        encoder.put(state)
    }

    public init(from decoder: inout PlanDecoder) throws(PlanError) {
        path = try decoder.string()
        state = try decoder.strings()
    }
}
