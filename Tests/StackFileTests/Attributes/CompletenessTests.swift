import StackModel
import Testing

@testable import StackFile

/// That nothing a stack file says is lost, and nothing of the model stays unread.
struct CompletenessTests {
    // MARK: - The model

    /// Values of a type whose properties are all as they are without any key.
    private static let defaults: [String: any Sendable] = {
        let plain: [any Sendable] = [
            Stack(name: ""), Service(image: ""), Build(context: ""), PullPolicy(mode: .missing), Develop(),
            Develop.Watch(path: "", action: .rebuild), Deploy(), Deploy.Placement(), UpdateConfig(), Resources(),
            BlockIO(), BlockIO.Weight(path: "", weight: 0), BlockIO.Rate(path: "", rate: 0), Reservations(),
            Reservations.GenericResource(kind: "", value: 0), DeviceRequest(), Port(target: 0), NetworkAttachment(),
            ExtraHost(name: "", address: ""), Mount(kind: .bind, target: ""), FileMount(source: "", target: ""),
            Network(), Subnet(), Volume(), FileObject(), Model(model: ""), Job(service: Service(image: "")),
            Dependency(condition: .started), Healthcheck(), Hook(), RestartPolicy(mode: .no), Ulimit(soft: 0, hard: 0),
            Logging(), CredentialSpec(), Provider(type: ""), ModelBinding(), ServiceOptions(), Schedule(cron: ""),
            StackOptions(), DriftPolicies(),
            Rollout(), SourceMark(file: "", line: 0, column: 0),
        ]
        return Dictionary(plain.map { (String(reflecting: type(of: $0)), $0) }) { first, _ in first }
    }()

    @Test func everyPropertyOfTheModelIsRead() throws {
        let stack = try modelled(Everything.project)
        var usage = PropertyUsage(defaults: Self.defaults)
        usage.visit(stack)
        #expect(usage.unknownTypes.isEmpty)
        // Asked for by Docker's clients alone; all profiles are active; filled in by the program that knows what the
        // file was filled in with.
        #expect(
            usage.unused == [
                "StackModel.NetworkAttachment._links", "StackModel.Stack._disabledServices",
                "StackModel.Stack._secretValues",
            ])
        #expect(Set(Self.defaults.keys).subtracting(usage.types).isEmpty, "types that are not reached")
    }

    // MARK: - The keys

    @Test func everyKeyOfTheSchemaIsThere() throws {
        let document = try #require(
            try YAMLComposer.documents(Array(Everything.file.utf8), file: "everything", report: Report()).first)
        var used: Set<String> = []
        collectPaths(of: document, Schema.file, "", into: &used)
        var known: Set<String> = []
        collectPaths(of: Schema.file, "", into: &known)
        #expect(known.subtracting(used).sorted() == [])
    }

    @Test func everyKeyChangesTheModel() throws {
        let document = try #require(
            try YAMLComposer.documents(Array(Everything.file.utf8), file: "everything", report: Report()).first)
        let whole = try stack(of: document)
        var lost: [String] = []
        for path in removablePaths(of: document) where path != ["version"] {
            let less = try? stack(of: document.removing(path[...]))  // A file that does not load has changed.
            if less == whole { lost.append(path.joined(separator: ".")) }
        }
        #expect(lost == [])
    }

    /// Without places, which move.
    private func stack(of document: Node) throws -> Stack {
        var stack = try modelled(Everything.project(YAMLWriter.write(document)), checked: false)
        stack.sources = [:]
        return stack
    }

    /// The paths of all keys of the schema in a document; an item of a list is its index.
    private func removablePaths(of node: Node, _ path: [String] = []) -> [[String]] {
        switch node.content {
        case .scalar: []
        case .sequence(let items):
            items.enumerated().flatMap { removablePaths(of: $0.element, path + ["\($0.offset)"]) }
        case .mapping(let mapping):
            mapping.entries.flatMap { [path + [$0.key]] + removablePaths(of: $0.value, path + [$0.key]) }
        }
    }

    private func collectPaths(of node: Node, _ shape: Shape, _ path: String, into paths: inout Set<String>) {
        if let items = node.items, let item = shape.list?.item {
            for node in items { collectPaths(of: node, item, path + "[]", into: &paths) }
        }
        for entry in node.entries {
            switch shape.keys {
            case .object(let object):
                guard let field = object.fields[entry.key] else { continue }
                paths.insert(path + "." + entry.key)
                collectPaths(of: entry.value, field.shape, path + "." + entry.key, into: &paths)
            case .free(_, let value): collectPaths(of: entry.value, value, path + ".*", into: &paths)
            case nil: break
            }
        }
    }

    private func collectPaths(of shape: Shape, _ path: String, into paths: inout Set<String>) {
        if let item = shape.list?.item { collectPaths(of: item, path + "[]", into: &paths) }
        switch shape.keys {
        case .object(let object):
            // A job has the keys of a service.
            let inherited = object.base == nil ? [] : Set(Schema.serviceFields.keys)
            for (key, field) in object.fields where !inherited.contains(key) {
                paths.insert(path + "." + key)
                collectPaths(of: field.shape, path + "." + key, into: &paths)
            }
        case .free(_, let value): collectPaths(of: value, path + ".*", into: &paths)
        case nil: break
        }
    }
}

extension Node {
    /// The tree without the value at a path of keys and indices.
    fileprivate func removing(_ path: ArraySlice<String>) -> Node {
        guard let first = path.first else { return self }
        let rest = path.dropFirst()
        if let items, let index = Int(first) {
            var changed = items
            changed[index] = items[index].removing(rest)
            return .list(changed, at: mark)
        }
        guard !rest.isEmpty, let value = self[first] else { return removing(first) }
        return setting(first, to: value.removing(rest))
    }
}

/// Which properties of the model's types have another value than the default one somewhere in a value.
private struct PropertyUsage {
    let defaults: [String: any Sendable]
    private(set) var types: Set<String> = []
    private(set) var unknownTypes: Set<String> = []
    private var known: Set<String> = []
    private var used: Set<String> = []

    var unused: [String] { known.subtracting(used).sorted() }

    init(defaults: [String: any Sendable]) { self.defaults = defaults }

    mutating func visit(_ value: Any) {
        let mirror = Mirror(reflecting: value)
        let type = String(reflecting: Swift.type(of: value))
        if mirror.displayStyle == .struct, type.hasPrefix("StackModel."), !isWrapper(type) { compare(mirror, type) }
        for child in mirror.children { visit(child.value) }
    }

    private func isWrapper(_ type: String) -> Bool {
        type.hasPrefix("StackModel.Sparse") || type.hasPrefix("StackModel.Switch")
    }

    private mutating func compare(_ mirror: Mirror, _ type: String) {
        guard let plain = defaults[type] else {
            unknownTypes.insert(type)
            return
        }
        types.insert(type)
        for (child, usual) in zip(mirror.children, Mirror(reflecting: plain).children) {
            let name = "\(type).\(child.label ?? "")"
            known.insert(name)
            if String(reflecting: child.value) != String(reflecting: usual.value) { used.insert(name) }
        }
    }
}
