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

    /// `POST /stacks/{name}/plan/check`.
    public func check(stack: String, _ body: SavedPlan) throws(EngineClientError) -> PlanCheck {
        let request = HTTPRequest("POST", ["stacks", stack, "plan", "check"], body: try json(body))
        return try reply(PlanCheck.self, request, "whether the plan can be applied")
    }

    /// `POST /stacks/{name}/diff`.
    public func differences(stack: String, _ body: DiffRequest) throws(EngineClientError) -> DiffReply {
        try reply(DiffReply.self, HTTPRequest("POST", ["stacks", stack, "diff"], body: json(body)), "the differences")
    }

    /// `POST /stacks/{name}/apply`.
    public func apply(stack: String, _ body: ApplyRequest) throws(EngineClientError) -> ProgressStream {
        try progress(HTTPRequest("POST", ["stacks", stack, "apply"], body: json(body)))
    }

    /// `POST /stacks/{name}/down`.
    public func down(stack: String, _ body: DownRequest) throws(EngineClientError) -> ProgressStream {
        try progress(HTTPRequest("POST", ["stacks", stack, "down"], body: json(body)))
    }

    /// `GET /stacks/{name}/revisions`, oldest first.
    public func revisions(stack: String) throws(EngineClientError) -> [RevisionSummary] {
        try reply([RevisionSummary].self, HTTPRequest("GET", ["stacks", stack, "revisions"]), "the revisions")
    }

    /// `POST /stacks/{name}/drift`.
    public func drift(stack: String, _ body: DriftRequest) throws(EngineClientError) -> DriftReport {
        try reply(DriftReport.self, HTTPRequest("POST", ["stacks", stack, "drift"], body: json(body)), "the drift")
    }

    /// `GET /stacks/{name}/rollout`.
    public func rollout(stack: String) throws(EngineClientError) -> RolloutReply {
        try reply(RolloutReply.self, HTTPRequest("GET", ["stacks", stack, "rollout"]), "the rollout")
    }

    /// Services whose update waits for somebody, and what for.
    public func heldServices(of stack: String) throws(EngineClientError) -> [String: RolloutReply.State] {
        let waiting = try rollout(stack: stack).services.filter { [.canary, .paused].contains($0.state) }
        return Dictionary(waiting.map { ($0.service, $0.state) }) { first, _ in first }
    }

    /// `POST /stacks/{name}/rollout/{verb}`.
    public func rollout(
        _ verb: RolloutVerb, stack: String, _ body: RolloutRequest
    ) throws(EngineClientError) -> ProgressStream {
        try progress(HTTPRequest("POST", ["stacks", stack, "rollout", verb.rawValue], body: json(body)))
    }

    /// `POST /stacks/{name}/rollback`.
    public func rollback(stack: String, _ body: RollbackRequest) throws(EngineClientError) -> ProgressStream {
        try progress(HTTPRequest("POST", ["stacks", stack, "rollback"], body: json(body)))
    }

    /// `POST /stacks/{name}/wait`.
    public func wait(stack: String, _ body: WaitRequest) throws(EngineClientError) -> ProgressStream {
        try progress(HTTPRequest("POST", ["stacks", stack, "wait"], body: json(body)))
    }

    /// `GET /stacks/{name}/jobs`.
    public func jobs(stack: String) throws(EngineClientError) -> [JobStatus] {
        try reply([JobStatus].self, HTTPRequest("GET", ["stacks", stack, "jobs"]), "the list of jobs")
    }

    /// `POST /stacks/{name}/jobs/{job}/run`.
    public func runJob(_ job: String, stack: String) throws(EngineClientError) -> JobRunStatus {
        try reply(JobRunStatus.self, HTTPRequest("POST", ["stacks", stack, "jobs", job, "run"]), "the run")
    }

    /// `POST /stacks/{name}/jobs/{job}/suspend|resume`.
    public func suspendJob(_ job: String, _ isSuspended: Bool, stack: String) throws(EngineClientError) {
        let verb = isSuspended ? "suspend" : "resume"
        try send(HTTPRequest("POST", ["stacks", stack, "jobs", job, verb]))
    }

    /// `POST /stacks/{name}/start|stop|restart|kill`.
    public func perform(
        _ verb: StackVerb, stack: String, _ body: ServicesRequest
    ) throws(EngineClientError) -> ProgressStream {
        try progress(HTTPRequest("POST", ["stacks", stack, verb.rawValue], body: json(body)))
    }

    /// `POST /stacks/{name}/run`.
    public func run(_ body: RunRequest) throws(EngineClientError) -> RunReply {
        let request = HTTPRequest("POST", ["stacks", body.stack.name, "run"], body: try json(body))
        return try reply(RunReply.self, request, "the new container")
    }
}
