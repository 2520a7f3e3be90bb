import EngineWire
import FoundationEssentials
import Images
import JSONDocument
import Reconciler
import StackModel

/// What makes the hashes of values that are in no file.
struct StoredKey: StoredRecord {
    static let kind = "key"

    var recordID: String
    /// 64 bytes of text.
    var key: String
    var stackName: String { "" }
}

/// Plans that are made now and applied later.
extension Engine {
    // MARK: Saving

    func savedPlan(
        _ plan: PlanReply, _ record: StackRecord, _ request: ApplyRequest, imageIDs: [String: String]
    ) throws(EngineError) -> SavedPlan {
        var stack = request.stack ?? record.stack
        let sensitivity = Sensitivity([stack])
        stack.secretValues = []
        let tree = try Self.tree(of: stack)
        return SavedPlan(
            stack: try withholding().redacted(tree, sensitivity), imageIDs: imageIDs, base: plan.base,
            touches: Set(plan.effective.map(\.address)).sorted(), services: request.services, scale: request.scale,
            removeOrphans: request.removeOrphans, allowDestroy: request.allowDestroy ?? [])
    }

    private func withholding() throws(EngineError) -> Withholding {
        do throws(DatabaseError) {
            if let stored = try store.all(StoredKey.self).first(where: { $0.recordID == "plans" }) {
                return Withholding(key: Array(stored.key.utf8))
            }
            let stored = StoredKey(recordID: "plans", key: randomID())
            try store.save(stored)
            return Withholding(key: Array(stored.key.utf8))
        } catch {
            throw .database(error)
        }
    }

    private static func tree(of stack: Stack) throws(EngineError) -> JSONValue {
        do {
            return try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(stack))
        } catch {
            throw .badRequest("a stack cannot be written as JSON: \(error)")
        }
    }

    private static func stack(from tree: JSONValue) throws(EngineError) -> Stack {
        do {
            return try JSONDecoder().decode(Stack.self, from: JSONEncoder().encode(tree))
        } catch {
            throw .badRequest("the plan's stack cannot be read: it was written by another version, or changed")
        }
    }

    // MARK: Applying

    /// The request that a saved plan was made of, with what is in no file put back.
    func restored(_ name: String, _ request: ApplyRequest) throws(EngineError) -> ApplyRequest {
        guard let saved = request.saved else { return request }
        let present = try stacks[name].map { entry throws(EngineError) in try Self.tree(of: entry.record.stack) }
        let candidates = saved.candidates ?? [:]
        let (tree, missing) = try withholding().filled(saved.stack) { place in
            (candidates[place] ?? []) + [present?.value(at: place)].compactMap { $0 }
        }
        guard missing.isEmpty else { throw .diagnostics(missing.map(Self.changedSecret)) }
        var restored = request
        restored.stack = try Self.stack(from: tree)
        // What was not in the plan is to be in nothing else that is shown either.
        restored.stack?.secretValues = saved.stack.withheldPlaces.compactMap {
            if case .string(let text) = tree.value(at: $0) { text } else { nil }
        }
        (restored.services, restored.scale) = (saved.services, saved.scale)
        (restored.removeOrphans, restored.refusesDestruction) = (saved.removeOrphans, true)
        restored.allowDestroy = Array(Set(saved.allowDestroy).union(request.allowDestroy ?? [])).sorted()
        return restored
    }

    private static func changedSecret(_ place: String) -> Diagnostic {
        let path = place.dropFirst().replacing("/", with: ".")
        return Diagnostic(
            code: "plan.stale", "\(path) is not what it was when the plan was made, or cannot be read",
            hint: "secret values are in no plan: they are read from their files and variables again; make a new plan")
    }

    /// A plan is carried out only where it was made for.
    func refuseStale(_ name: String, _ saved: SavedPlan, progress: ProgressSink) throws(EngineError) {
        let check = planCheck(name, saved)
        guard check.stale.isEmpty else {
            throw .diagnostics(
                check.stale.map { Diagnostic(code: "plan.stale", $0, hint: "make a new plan with `gantry plan --out`") }
            )
        }
        for text in check.drifted { progress(.warning(Diagnostic(.warning, code: "plan.drifted", text))) }
    }

    /// Tells what a command without a plan would do beyond this one, and that it is left.
    func noteLeft(_ desired: DesiredState, _ name: String, progress: ProgressSink) async {
        guard let touches = desired.touches else { return }
        var unbound = desired
        unbound.touches = nil
        let observed = await observe(name)
        func changes(_ desired: DesiredState) -> [PlanReply.Change] {
            let plan = Reconciler.plan(desired: desired, observed: observed, now: Clock.now())
            return document(plan, desired, observed, name).reply().changes
        }
        let done = touches.union(changes(desired).map(\.address))
        for change in changes(unbound) where !done.contains(change.address) {
            let text = "\(change.address) is left as it is (\(change.reason)): the plan does not touch it"
            progress(
                .warning(
                    Diagnostic(
                        .warning, code: "plan.left", text, source: change.source,
                        hint: "`gantry up` or a new plan puts it right")))
        }
    }

    /// What of a saved plan's beginnings is not so any more.
    public func planCheck(_ name: String, _ saved: SavedPlan) -> PlanCheck {
        let active = stacks[name].flatMap { $0.record.active ? $0.record : nil }
        var check = PlanCheck(stale: [], drifted: [])
        if active?.revision != saved.base.revision {
            func text(_ revision: Int?) -> String { revision.map { "at revision \($0)" } ?? "not up" }
            check.stale.append(
                "stack \(name) was \(text(saved.base.revision)) when the plan was made, and is "
                    + "\(text(active?.revision)) now"
            )
        }
        let now = document(Plan(), DesiredState(stack: Stack(name: name), mode: .apply), observeRecords(name), name)
            .objects
        let touched = Set(saved.touches)
        for address in Set(now.keys).union(saved.base.objects.keys).sorted()
        where now[address] != saved.base.objects[address] {
            let change =
                now[address] == nil ? "is gone" : saved.base.objects[address] == nil ? "is new" : "was replaced"
            if touched.contains(address) {
                check.stale.append("\(address) \(change) since the plan was made")
            } else {
                check.drifted.append("\(address) \(change) since the plan was made, which does not touch it")
            }
        }
        // One that is damaged is as good as gone.
        for (service, id) in saved.imageIDs.sorted(by: { $0.key < $1.key }) where (try? image(id)) == nil {
            check.stale.append("the image of service \(service) is gone: \(id)")
        }
        return check
    }
}

extension SavedPlan {
    /// Services to which something happens.
    var touchedServices: Set<String> {
        Set(
            touches.compactMap { address in
                if address.hasPrefix("image.") { return String(address.dropFirst(6)) }
                guard address.hasPrefix("service."), let end = address.lastIndex(of: "[") else { return nil }
                return String(address[..<end].dropFirst(8))
            })
    }
}
