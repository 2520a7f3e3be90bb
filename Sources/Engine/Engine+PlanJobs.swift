import EngineWire
import Reconciler
import StackModel

/// What a plan says of services that run by the clock. They have no containers until their time comes: what would
/// become of them is seen in the definitions alone.
extension Engine {
    /// - Parameters:
    ///   - record: as it is to be.
    ///   - present: `nil`: the stack is not up.
    func jobChanges(
        _ record: StackRecord, imageIDs: [String: String], present: StackRecord?
    ) -> [PlanReply.Change] {
        let old = present?.stack.scheduled ?? [:]
        let new = record.stack.scheduled
        let names = Set(old.keys).union(new.keys)
        guard !names.isEmpty else { return [] }
        // Of the others the plan itself tells, and to compare them all takes its time.
        func resolved(_ record: StackRecord, _ imageIDs: [String: String]) -> ResolvedStack {
            var stack = record.stack
            stack.services = stack.services.filter { names.contains($0.key) }
            return ResolvedStack(stack: stack, imageIDs: imageIDs, scale: record.scale)
        }
        var fields: [String: [PlanReply.Field]] = [:]
        if let present {
            let differences = StackDifferences(
                new: resolved(record, imageIDs), old: resolved(present, present.imageIDs ?? [:]))
            for section in differences.sections { fields[section.address] = section.fields }
        }
        return names.sorted().compactMap { name in
            let changed = fields["service.\(name)"] ?? []
            let (action, reason): (PlanReply.Change.Action, String)
            switch (old[name], new[name]) {
            case (nil, let schedule?): (action, reason) = (.create, "runs at '\(schedule.cron)'")
            case (.some, nil): (action, reason) = (.remove, "the stack file has no such job")
            case (.some, .some) where !changed.isEmpty: (action, reason) = (.update, Self.reason(changed))
            default: return nil
            }
            var change = PlanReply.Change(
                address: "job.\(name)", action: action, kind: .container, name: "\(record.stack.name)-\(name)",
                reason: reason, source: record.stack.source(of: "services.\(name)"))
            if action == .update { change.fields = changed }
            return change
        }
    }

    private static func reason(_ fields: [PlanReply.Field]) -> String {
        let paths = Set(fields.map { String($0.path.prefix { $0 != "." }) }).sorted()
        return paths.count == 1 ? "\(paths[0]) changed" : "\(paths.count) fields changed"
    }
}

extension Stack {
    /// By service.
    fileprivate var scheduled: [String: Schedule] { services.compactMapValues(\.schedule) }
}
