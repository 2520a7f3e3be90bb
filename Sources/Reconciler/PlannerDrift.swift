import StackModel

// What the policies for drift let the background loop do. A command repairs what is only reported otherwise, too.
extension Planner {
    /// - Parameter service: `nil` for what belongs to the whole stack.
    func mayRepair(_ kind: DriftClass, _ service: String? = nil, at address: String) -> Bool {
        desired.mode(of: address) == .apply || stack.driftPolicy(kind, service: service) == .repair
    }

    /// Limits and pauses: nothing else of the container changes.
    mutating func emitContainerRepairs() {
        for container in observed.containers where container.isAlive && !container.stopping {
            guard !isTouchedOrRetired(container) else { continue }
            guard !container.limits.isEmpty || container.state == .paused else { continue }
            let source = stack.source(of: "services.\(container.service)")
            // An update sets the limits itself.
            let isUpdated =
                surveys[container.service]?.kept.contains { $0.container.id == container.id && !$0.updates.isEmpty }
                ?? false
            if !container.limits.isEmpty, !isUpdated, mayRestoreLimits(container) {
                let reason = container.limits.map(\.text).sorted().joined(separator: ", ")
                let subject = Subject(name: container.name, service: container.service, reason: reason, source: source)
                builder.single(.repair, .container, .restoreLimits(id: container.id), subject)
            }
            guard container.state == .paused, !container.pausedByUser else { continue }
            if mayResume(container) {
                let subject = Subject(
                    name: container.name, service: container.service, reason: "paused by others", source: source)
                builder.single(.repair, .container, .resumeContainer(id: container.id), subject)
            } else if let end = resumeTime(container) {
                builder.wake(at: end)
            }
        }
    }

    /// Who ignores limits sets them by hand.
    private func mayRestoreLimits(_ container: ObservedContainer) -> Bool {
        let policy = stack.driftPolicy(.limits, service: container.service)
        return policy == .repair || (policy == .warn && desired.mode(of: PlanAddress.of(container)) == .apply)
    }

    /// What a command has paused stays so, and what others have, unless the stack says otherwise: they may be looking
    /// at it.
    func mayResume(_ container: ObservedContainer) -> Bool {
        guard !container.pausedByUser else { return false }
        if stack.driftPolicy(.paused, service: container.service) == .repair { return true }
        return resumeTime(container).map { $0 <= now } ?? false
    }

    private func resumeTime(_ container: ObservedContainer) -> Int64? {
        guard stack.driftPolicy(.paused, service: container.service) == .warn,
            let longest = stack.pausedMax(of: container.service), let since = container.pausedSince
        else { return nil }
        return since.addingReportingOverflow(longest).partialValue
    }

    /// A resolver is repaired with any of the interfaces.
    func resolverNetwork(_ container: ObservedContainer, _ problem: ObservedContainer.Problem) -> String? {
        problem == .resolverMissing ? container.definition.networkNames.values.sorted().first : nil
    }
}

extension Surveyor {
    /// A first start, and all that a command or a rollout makes, is no repair.
    func mayReplaceMissing(_ service: String, _ number: Int) -> Bool {
        desired.mode(of: PlanAddress.of(service, number)) == .apply || !desired.isSettled
            || desired.stack.driftPolicy(.deleted, service: service) == .repair
    }

    func mayRestart(_ container: ObservedContainer) -> Bool {
        desired.mode(of: PlanAddress.of(container)) == .apply
            || desired.stack.driftPolicy(.exited, service: container.service) == .repair
    }
}

extension DesiredState {
    func recreates(_ key: String, _ name: String) -> Bool {
        !recreatedVolumes.isDisjoint(with: [key, name])
    }
}
