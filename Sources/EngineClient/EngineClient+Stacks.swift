import EngineWire
import StackModel

/// The verbs that change a stack and need no more than service names.
public enum StackVerb: String, Sendable { case start, stop, restart, kill }

extension EngineClient {
    /// `GET /stacks`.
    public func stacks() throws(EngineClientError) -> [StackSummary] {
        try reply([StackSummary].self, HTTPRequest("GET", ["stacks"]), "the list of stacks")
    }

    /// `GET /stacks/{name}/containers`.
    public func containers(stack: String) throws(EngineClientError) -> [ContainerStatus] {
        let request = HTTPRequest("GET", ["stacks", stack, "containers"])
        return try reply([ContainerStatus].self, request, "the list of containers")
    }

    /// `POST /stacks/{name}/plan`.
    public func plan(stack: String, _ body: ApplyRequest) throws(EngineClientError) -> PlanReply {
        try reply(PlanReply.self, HTTPRequest("POST", ["stacks", stack, "plan"], body: json(body)), "the plan")
    }

    /// `POST /stacks/{name}/apply`.
    public func apply(stack: String, _ body: ApplyRequest) throws(EngineClientError) -> ProgressStream {
        ProgressStream(try open(HTTPRequest("POST", ["stacks", stack, "apply"], body: json(body))))
    }

    /// `POST /stacks/{name}/down`.
    public func down(stack: String, _ body: DownRequest) throws(EngineClientError) -> ProgressStream {
        ProgressStream(try open(HTTPRequest("POST", ["stacks", stack, "down"], body: json(body))))
    }

    /// `GET /stacks/{name}/revisions`, oldest first.
    public func revisions(stack: String) throws(EngineClientError) -> [RevisionSummary] {
        try reply([RevisionSummary].self, HTTPRequest("GET", ["stacks", stack, "revisions"]), "the revisions")
    }

    /// `POST /stacks/{name}/rollback`.
    public func rollback(stack: String, _ body: RollbackRequest) throws(EngineClientError) -> ProgressStream {
        ProgressStream(try open(HTTPRequest("POST", ["stacks", stack, "rollback"], body: json(body))))
    }

    /// `POST /stacks/{name}/start|stop|restart|kill`.
    public func perform(
        _ verb: StackVerb, stack: String, _ body: ServicesRequest
    ) throws(EngineClientError) -> ProgressStream {
        ProgressStream(try open(HTTPRequest("POST", ["stacks", stack, verb.rawValue], body: json(body))))
    }

    /// `POST /stacks/{name}/run`.
    public func run(_ body: RunRequest) throws(EngineClientError) -> RunReply {
        let request = HTTPRequest("POST", ["stacks", body.stack.name, "run"], body: try json(body))
        return try reply(RunReply.self, request, "the new container")
    }
}
