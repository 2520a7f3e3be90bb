import ContainerRuntime
import DockerTranslation
import JSONDocument
import Reconciler
import StackModel

/// `POST /containers/{id}/update`: limits and the restart policy of a container, which may run.
extension Engine {
    /// - Returns: what this host could not do.
    public func updateByClient(
        _ reference: String, _ wanted: [String: JSONValue]
    ) async throws(EngineError) -> [String] {
        let stored = try container(reference).stored
        guard stored.stackName.isEmpty else {
            throw .conflict(
                "container \(stored.name) belongs to stack '\(stored.stackName)': change it in the stack's file")
        }
        let fields = Fields(wanted)
        let limits = try translating { () throws(TranslationError) in try Resources(docker: fields) }
        let policy = try translating { () throws(TranslationError) -> RestartPolicy? in
            guard let fields = try fields.object("RestartPolicy"), try fields.text("Name") != nil else { return nil }
            return try RestartPolicy(docker: fields)
        }
        if policy != nil, policy?.mode != .no, stored.removeOnExit {
            throw .badRequest("Restart policy cannot be updated because AutoRemove is enabled for the container")
        }
        var changed = stored
        changed.definition.service.resources.take(limits)
        if let policy { changed.definition.service.restart = policy }
        try checkSwap(stored.definition.service.resources, limits)
        try checkShares(stored.definition.service.resources, limits)
        try checkKernel(limits)
        var warnings: [String] = []
        if limits != Resources(), containers[stored.id]?.process != nil {
            warnings = try await applyLimits(changed, limits)
        }
        guard var present = containers[stored.id]?.stored else { throw .containerNotFound(reference) }
        present.definition.service.resources.take(limits)
        if let policy { present.definition.service.restart = policy }
        for (name, value) in limits.docker { present.free?.request.hostConfig[name] = value }
        if let policy { present.free?.request.hostConfig["RestartPolicy"] = policy.docker }
        try save(present)
        containers[stored.id]?.stored = present
        announce(present, "update")
        return warnings
    }

    private func checkSwap(_ old: Resources, _ new: Resources) throws(EngineError) {
        guard let memory = new.memory, new.memorySwap == nil, let swap = old.memorySwap, swap > 0, memory > swap else {
            return
        }
        throw .badRequest(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
    }

    /// The kernel has one share of a processor's time, which is said in either of two ways.
    private func checkShares(_ old: Resources, _ new: Resources) throws(EngineError) {
        func isSet(_ value: Int64?) -> Bool { (value ?? 0) > 0 }
        for (name, isOld, isNew) in [
            ("CPU Period", isSet(old.cpuPeriod), isSet(new.cpuPeriod)),
            ("CPU Quota", isSet(old.cpuQuota), isSet(new.cpuQuota)),
        ] {
            if isOld, isSet(new.nanoCPUs) {
                throw .conflict("Conflicting options: Nano CPUs cannot be updated as \(name) has already been set")
            }
            if isNew, isSet(old.nanoCPUs) {
                throw .conflict("Conflicting options: \(name) cannot be updated as NanoCPUs has already been set")
            }
        }
    }

    /// Only what is new of them; what hangs together goes together.
    private func applyLimits(_ stored: StoredContainer, _ limits: Resources) async throws(EngineError) -> [String] {
        var partial = stored
        partial.definition.service.resources = limits
        if limits.memory != nil || limits.memorySwap != nil {
            partial.definition.service.resources.memory = stored.definition.service.resources.memory
            partial.definition.service.resources.memorySwap = stored.definition.service.resources.memorySwap
        }
        partial.definition.service.deviceCgroupRules = []
        let resources = try launchBuilder(partial, defaults: nil).resources(RuntimeSpec.Resources())
        let folder = options.containerRun(stored.id)
        return try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
            try runtime.update(directory: folder, resources)
        }
    }
}
