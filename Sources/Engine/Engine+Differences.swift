import EngineWire
import Images
import Reconciler
import StackModel

extension Engine {
    /// How two revisions differ, or a stack file and what is applied.
    public func differences(_ name: String, _ request: DiffRequest) throws(EngineError) -> DiffReply {
        let (old, from) = try side(name, request.from)
        if var stack = request.stack {
            stack.name = name
            stack = bindingPorts(stack)
            let ids = stack.services.keys.reduce(into: [String: String]()) { ids, service in
                let image = stack.services[service]?.image
                // An image that is not there is as good as the one that the containers have.
                let known = image.flatMap { try? images.image($0).id.description }
                ids[service] = known ?? (image == old.stack.services[service]?.image ? old.imageIDs[service] : nil)
            }
            let new = ResolvedStack(stack: stack, imageIDs: ids, scale: [:])
            return DiffReply(
                stack: name, from: from, to: "stack file", sections: StackDifferences(new: new, old: old).sections)
        }
        let (new, to) = try side(name, request.to)
        return DiffReply(stack: name, from: from, to: to, sections: StackDifferences(new: new, old: old).sections)
    }

    private func side(_ name: String, _ number: Int?) throws(EngineError) -> (ResolvedStack, String) {
        guard let number else {
            guard let record = stacks[name]?.record, record.active else {
                return (ResolvedStack(stack: Stack(name: name), imageIDs: [:], scale: [:]), "nothing")
            }
            let stack = ResolvedStack(stack: record.stack, imageIDs: record.imageIDs ?? [:], scale: record.scale)
            return (stack, record.revision.map { "revision \($0)" } ?? "what is applied")
        }
        guard let revision = revisions[name]?.first(where: { $0.number == number }) else {
            guard stacks[name] != nil else { throw .stackNotFound(name) }
            let known = (revisions[name] ?? []).map { "\($0.number)" }.joined(separator: ", ")
            throw .badRequest("stack \(name) has no revision \(number); it has \(known)")
        }
        return (revision.resolved, "revision \(number)")
    }
}

/// The differences between two stacks, for people.
struct StackDifferences {
    private let new: ResolvedStack
    private let old: ResolvedStack
    private let sensitivity: Sensitivity

    init(new: ResolvedStack, old: ResolvedStack) {
        self.new = new
        self.old = old
        sensitivity = Sensitivity([new.stack, old.stack])
    }

    var sections: [DiffReply.Section] {
        services + sections("network", new.stack.networks, old.stack.networks, Network()) { $0.differences(from: $1) }
            + sections("volume", new.stack.volumes, old.stack.volumes, Volume()) { $0.differences(from: $1) }
    }

    private var services: [DiffReply.Section] {
        Set(new.stack.services.keys).union(old.stack.services.keys).sorted().compactMap { name in
            let (left, right) = (definition(name, new), definition(name, old))
            let nothing = ContainerDefinition(service: Service(image: ""), imageID: "")
            let differences = (left ?? nothing).differences(from: right ?? nothing)
            return section("service.\(name)", "services.\(name)", left != nil, right != nil, differences) {
                $0.change.source(in: new.stack, service: name)
            }
        }
    }

    private func definition(_ service: String, _ stack: ResolvedStack) -> ContainerDefinition? {
        var stack = stack
        // A number that was given to a command, and not in the file.
        if let replicas = stack.scale[service] { stack.stack.services[service]?.replicas = replicas }
        return ContainerDefinition(stack: stack.stack, service: service, imageID: stack.imageIDs[service] ?? "")
    }

    private func sections<Object>(
        _ kind: String, _ new: [String: Object], _ old: [String: Object], _ nothing: Object,
        _ differences: (Object, Object) -> [FieldDifference]
    ) -> [DiffReply.Section] {
        Set(new.keys).union(old.keys).sorted().compactMap { key in
            let found = differences(new[key] ?? nothing, old[key] ?? nothing)
            return section("\(kind).\(key)", "\(kind)s.\(key)", new[key] != nil, old[key] != nil, found) {
                self.new.stack.source(of: "\(kind)s.\(key).\($0.path)")
            }
        }
    }

    private func section(
        _ address: String, _ path: String, _ isNew: Bool, _ isOld: Bool, _ differences: [FieldDifference],
        source: (FieldDifference) -> SourceMark?
    ) -> DiffReply.Section? {
        guard isNew != isOld || !differences.isEmpty else { return nil }
        let fields = differences.map { PlanReply.Field($0, source: isNew ? source($0) : nil, sensitivity) }
        return DiffReply.Section(
            address: address, action: isNew ? (isOld ? .changed : .added) : .removed, fields: fields,
            source: isNew ? new.stack.source(of: path) : nil)
    }
}
