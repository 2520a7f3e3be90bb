import StackModel

extension ServiceBuilder {
    /// `x-gantry` of the service.
    func gantryOptions() -> ServiceOptions? {
        guard let node = node["x-gantry"], node.mapping != nil else { return nil }
        var options = ServiceOptions()
        options.rollout = rollout(node["rollout"])
        options.sessionAffinity = word(node["session_affinity"], "session affinity")
        options.drift = driftPolicies(node["drift"])
        options.schedule = schedule(node["schedule"])
        if let reload = node["reload"], reload.mapping != nil {
            switch (reload["signal"]?.text, reload["command"]?.items) {
            case (.some, nil): options.reload = signal(reload["signal"]).map { .signal($0) }
            case (nil, let words?): options.reload = .command(words.compactMap(\.text))
            default:
                report.error("stack.conflict", "'reload' needs one of 'signal' and 'command'", at: reload.mark)
            }
        }
        return options
    }

    private func rollout(_ node: Node?) -> Rollout? {
        guard let node, node.mapping != nil else { return nil }
        var rollout = Rollout()
        rollout.minHealthyTime = duration(node["min_healthy_time"])
        rollout.healthyDeadline = duration(node["healthy_deadline"])
        rollout.progressDeadline = duration(node["progress_deadline"])
        rollout.drain = duration(node["drain"])
        rollout.canary = count(node["canary"], "canary")
        rollout.autoPromote = node["auto_promote"]?.flag
        rollout.autoRollback = node["auto_rollback"]?.flag
        return rollout
    }
}

/// One word, or policies by class; what is none of them was refused by the schema.
private func driftPolicies(_ node: Node?) -> DriftPolicies? {
    guard let node else { return nil }
    func policy(_ node: Node?) -> DriftPolicy? { node?.text.flatMap(DriftPolicy.init(rawValue:)) }
    guard node.mapping != nil else { return policy(node).map { DriftPolicies($0) } }
    var policies = DriftPolicies(policy(node["policy"]))
    for kind in DriftClass.allCases { policies.classes[kind] = policy(node[kind.rawValue]) }
    policies.pausedMax = node["paused_max"]?.text.flatMap { parseDuration($0) }
    return policies
}

extension StackBuilder {
    /// `x-gantry` of the stack.
    func gantryOptions(_ node: Node?) -> StackOptions? {
        guard let node, node.mapping != nil else { return nil }
        var options = StackOptions()
        let drift = node["drift"]
        options.drift = driftPolicies(drift)
        options.driftIgnored = drift?["ignore"]?.texts ?? []
        options.revisions = node["revisions"]?.wholeNumber.map { Int(clamping: $0) }
        return options
    }

    func model(_ entry: Mapping.Entry) -> Model {
        var model = Model(model: entry.value["model"]?.text ?? "")
        let name = entry.value["name"]?.text
        model.name = name == entry.key ? nil : name
        model.contextSize = entry.value["context_size"]?.wholeNumber.map { Int(clamping: $0) }
        model.runtimeFlags = entry.value["runtime_flags"]?.texts ?? []
        return model
    }

    func job(_ entry: Mapping.Entry, project: String) -> Job {
        let service = ServiceBuilder(name: entry.key, project: project, node: entry.value, report: report).build()
        let triggers = entry.value["triggers"]
        var job = Job(service: service, manual: triggers?["manual"]?.flag ?? (triggers == nil))
        job.schedules = (triggers?["schedule"]?.items ?? []).compactMap { $0["cron"]?.text }
        return job
    }
}
