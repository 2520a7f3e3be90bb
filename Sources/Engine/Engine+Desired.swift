import ContainerNetwork
import EngineWire
import Images
import Logging
import Reconciler
import StackModel

/// From a request and the stored record to the desired state: everything that can be refused is refused here, before
/// anything is made.
extension Engine {
    func validateStackName(_ name: String) throws(EngineError) {
        let allowed = Set("abcdefghijklmnopqrstuvwxyz0123456789_-")
        guard let first = name.first, first != "_", first != "-", name.allSatisfy(allowed.contains), name.count <= 128
        else {
            throw .badRequest(
                "invalid stack name '\(name)': begin with a letter or digit and use a-z, 0-9, '-' and '_'"
            )
        }
    }

    /// The record as it will be when `request` is accepted.
    func requestedRecord(_ name: String, _ request: ApplyRequest) throws(EngineError) -> StackRecord {
        let old = stacks[name].flatMap { $0.record.active ? $0.record : nil }
        guard var stack = request.stack ?? stacks[name]?.record.stack else { throw .stackNotFound(name) }
        stack.name = name
        stack = bindingPorts(stack)
        for service in request.services + request.scale.keys.sorted() where stack.services[service] == nil {
            throw .badRequest("no such service: \(service)")
        }
        stack = stack.keeping(
            old?.stack, selection: request.services, noDependencies: request.noDependencies)
        let keepsScale = request.stack == nil || !request.services.isEmpty
        var scale = keepsScale ? (old?.scale ?? [:]) : [:]
        scale.merge(request.scale) { _, new in new }
        var selection = request.services
        if let old, !selection.isEmpty {
            selection = old.selection.isEmpty ? [] : Set(old.selection).union(selection).sorted()
        }
        let applied = stack.applied(request.services, noDependencies: request.noDependencies)
        // A saved plan starts what it names, and nothing else that was stopped meanwhile.
        var stopped = (old?.stopped ?? []).subtracting(
            request.saved.map { applied.intersection($0.touchedServices) } ?? applied)
        if request.noDependencies {
            // Nor does the background loop bring up what the command leaves alone.
            let kept = old.map { $0.stack.applied($0.selection) } ?? []
            stopped.formUnion(stack.applied(request.services).subtracting(applied).subtracting(kept))
        }
        if request.noStart {
            stopped.formUnion(request.services.isEmpty ? Array(stack.services.keys) : request.services)
        }
        var record = StackRecord(
            stack: stack, scale: scale, stopped: stopped, selection: selection, active: true, updatedAt: Clock.now())
        (record.revision, record.changedAt) = (old?.revision, old?.changedAt)
        record.imageIDs = old?.imageIDs?.filter { !applied.contains($0.key) && stack.services[$0.key] != nil }
        return record
    }

    func desiredState(
        _ record: StackRecord, mode: DesiredState.Mode, request: ApplyRequest? = nil, imageIDs: [String: String]? = nil
    ) -> DesiredState {
        var desired = DesiredState(
            stack: record.stack, imageIDs: imageIDs ?? record.imageIDs ?? knownImageIDs(record.stack), mode: mode)
        desired.scale = record.scale
        desired.isRollback = record.isRollback == true
        desired.followedSince = max(startedAt, record.releasedAt ?? 0)
        desired.isPaused = record.isPaused == true
        desired.promoted = record.promoted ?? []
        // The first one replaces nothing, and one that has worked is no rollout any more.
        if let revision = record.revision, revision > 1, !isStable(record) { desired.changedAt = record.changedAt }
        desired.selection = request?.services ?? record.selection
        desired.stopped = record.stopped
        desired.isSettled = isStable(record)
        guard let request else { return desired }
        desired.forceRecreate = request.forceRecreate
        desired.noRecreate = request.noRecreate
        desired.recreatedVolumes = Set(request.recreatedVolumes)
        desired.removeOrphans = request.removeOrphans
        desired.noStart = request.noStart
        desired.noDependencies = request.noDependencies
        desired.allowDestroy = Set(request.allowDestroy ?? [])
        desired.refusesDestruction = request.refusesDestruction == true
        desired.touches = request.saved.map { Set($0.touches) }
        return desired
    }

    /// Image ids by service, as far as there are images; all `needed` services whose image is missing are reported at
    /// once, each at its line.
    func resolveImages(_ record: StackRecord, needed: Set<String>) throws(EngineError) -> [String: String] {
        var ids = knownImageIDs(record.stack)
        var problems: [Diagnostic] = []
        for (name, service) in record.stack.services.sorted(by: { $0.key < $1.key }) where needed.contains(name) {
            do throws(ImageError) {
                ids[name] = try images.image(service.image).id.description
            } catch {
                guard var diagnostic = EngineError.image(error).diagnostics.first else { continue }
                diagnostic.message = "service '\(name)': \(diagnostic.message)"
                diagnostic.source = record.stack.source(
                    of: "services.\(name).\(service.build == nil ? "image" : "build")")
                if service.build != nil { diagnostic.hint = "`gantry build \(name)` builds it" }
                problems.append(diagnostic)
            }
            problems += missingHookImages(name, service, record.stack)
        }
        guard problems.isEmpty else { throw .diagnostics(problems) }
        return ids
    }

    private func missingHookImages(_ name: String, _ service: Service, _ stack: Stack) -> [Diagnostic] {
        service.hookImages.flatMap { image in
            do throws(ImageError) {
                _ = try images.image(image)
                return [Diagnostic]()
            } catch {
                return EngineError.image(error).diagnostics.map { diagnostic in
                    var diagnostic = diagnostic
                    diagnostic.message = "service '\(name)': \(diagnostic.message)"
                    diagnostic.source = stack.source(of: "services.\(name).pre_start")
                    return diagnostic
                }
            }
        }
    }

    /// An image that has been removed meanwhile is no reason to touch the containers that were made of it.
    private func knownImageIDs(_ stack: Stack) -> [String: String] {
        // A missing entry means "the image its containers have".
        stack.services.compactMapValues { try? images.image($0.image).id.description }
    }

    /// Whether anything of the stack exists.
    func ownsObjects(_ name: String) -> Bool {
        containers.values.contains { $0.stored.stackName == name }
            || networks.values.contains { $0.stackName == name } || volumes.values.contains { $0.stackName == name }
    }

    /// Forgets a stack that was taken down, or whose first `apply` was refused. Volumes that were kept do not keep it.
    func dropIfEmpty(_ name: String) {
        guard let entry = stacks[name], !entry.record.active else { return }
        let hasContainers = containers.values.contains { $0.stored.stackName == name }
        let hasNetworks = networks.values.contains { $0.stackName == name }
        guard !hasContainers, !hasNetworks else { return }
        // With its revisions, or another stack of its name would have them as its own.
        let kept = revisions.removeValue(forKey: name) ?? []
        do throws(DatabaseError) { try store.save([], deleting: [entry.record] + kept) } catch {
            log.error("stack record not deleted", metadata: ["stack": "\(name)", "error": "\(error)"])
        }
        forgetJobs(name)
        noteChange(in: name)
        stacks[name] = nil
    }
}
