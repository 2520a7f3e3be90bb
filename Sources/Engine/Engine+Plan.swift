import EngineWire
import Images
import Reconciler
import StackModel

extension Engine {
    /// What `apply` with the same request would do, without doing any of it.
    public func plan(_ name: String, _ request: ApplyRequest) async throws(EngineError) -> PlanReply {
        let record = try requestedRecord(name, request)
        let applied = record.stack.applied(request.services, noDependencies: request.noDependencies)
        let missing = missingImages(record).filter { applied.contains($0.key) }
        let imageIDs = try resolveImages(record, needed: applied.subtracting(missing.keys))
        let observed = await observe(name)
        var known = imageIDs.merging(record.imageIDs ?? [:]) { _, kept in kept }
        // Of an image that is not there nobody knows the id; where it is another image it is another id.
        for (service, action) in missing where action == .pull {
            let image = record.stack.services[service]?.image
            let isOther = observed.containers.contains { $0.service == service && $0.definition.service.image != image }
            if isOther { known[service] = "" }
        }
        let isNew = isNewRevision(record, imageIDs: known)
        var desired = desiredState(record, mode: .apply, request: request, imageIDs: known)
        if isNew {
            (desired.changedAt, desired.isPaused, desired.promoted) = (Clock.now(), false, [])
        } else if let present = stacks[name]?.record {
            (desired.isPaused, desired.promoted) = (present.isPaused == true, present.promoted ?? [])
        }
        let plan = Reconciler.plan(desired: desired, observed: observed, now: Clock.now())
        var reply = document(plan, desired, observed, name).reply()
        reply.changes.insert(contentsOf: missing.sorted { $0.key < $1.key }.map { imageChange($0, $1, record) }, at: 0)
        let active = stacks[name].flatMap { $0.record.active ? $0.record : nil }
        reply.changes += jobChanges(record, imageIDs: known, present: active)
        reply.base.revision = active?.revision
        let next = (revisions[name]?.last?.number ?? 0) + 1
        reply.target.revision = isNew ? next : active?.revision ?? next
        reply.repaired = stacks[name]?.recentRepairs(now: Clock.now()) ?? []
        reply.conclude(services: record.stack.services.count)
        if request.savesPlan == true {
            let ids = known.filter { applied.contains($0.key) && missing[$0.key] == nil }
            reply.saved = try savedPlan(reply, record, request, imageIDs: ids)
        }
        return reply
    }

    func document(
        _ plan: Plan, _ desired: DesiredState, _ observed: ObservedState, _ name: String
    ) -> PlanDocument {
        var document = PlanDocument(plan: plan, desired: desired, observed: observed)
        document.applied = stacks[name]?.record.stack
        document.networks = networks.mapValues { PlanDocument.Identity(key: $0.key, id: String($0.id.prefix(12))) }
        document.volumes = volumes.mapValues { PlanDocument.Identity(key: $0.key, id: "\($0.createdAt)") }
        return document
    }

    /// Services whose images a client builds, or the engine pulls, before anything is applied.
    private func missingImages(_ record: StackRecord) -> [String: PlanReply.Change.Action] {
        record.stack.services.compactMapValues { service in
            // Damaged ones are as good as missing.
            guard (try? images.image(service.image)) == nil else { return nil }
            if service.build != nil { return .build }
            return service.pullPolicy?.mode == .never || service.provider != nil ? nil : .pull
        }
    }

    private func imageChange(
        _ service: String, _ action: PlanReply.Change.Action, _ record: StackRecord
    ) -> PlanReply.Change {
        let key = action == .build ? "build" : "image"
        return PlanReply.Change(
            address: "image.\(service)", action: action, kind: .image,
            name: record.stack.services[service]?.image ?? service, reason: "image is missing",
            source: record.stack.source(of: "services.\(service).\(key)"))
    }

    /// What would be lost is lost only when it was named; said before anything is saved or pulled.
    func refuseDestruction(_ record: StackRecord, _ request: ApplyRequest) async throws(EngineError) {
        guard request.refusesDestruction == true || request.allowDestroy?.isEmpty == false else { return }
        for address in request.allowDestroy ?? [] {
            guard address.hasPrefix("volume."), record.stack.volumes[String(address.dropFirst(7))] != nil else {
                throw .diagnostics([
                    Diagnostic(
                        code: "consent.unknown", "the stack has nothing called \(address) that could be destroyed",
                        hint: "volumes are written volume.KEY, with the key that the stack file has")
                ])
            }
        }
        let observed = await observe(record.stack.name)
        let plan = Reconciler.plan(
            desired: desiredState(record, mode: .apply, request: request), observed: observed, now: Clock.now())
        let refusals = plan.blocked.filter { $0.code == "consent.needed" || $0.code == "volume.in-use" }
        guard refusals.isEmpty else { throw .diagnostics(refusals) }
    }
}

extension PlanReply {
    /// Fills in what follows from the rest.
    mutating func conclude(services: Int) {
        let counted = effective
        summary = [:]
        for change in counted { summary[change.action.rawValue, default: 0] += 1 }
        if !drift.isEmpty { summary["drift"] = drift.count }
        if !orphans.isEmpty { summary["orphan"] = orphans.count }
        let touched = Set(counted.map(\.address))
        summary["unchanged"] = base.objects.keys.count { !touched.contains($0) }
        // A new revision is a change, also where no container learns of it.
        changed = !counted.isEmpty || (target.revision != nil && target.revision != base.revision)
        disruption = counted.map(\.disruption).max() ?? .none
        applyable = errors.isEmpty
    }
}
