import StackModel

/// `extends`: a service starts from another one, of the same file or of another file.
struct Extends {
    static let chainMax = 50

    let loader: FileLoader
    let scope: FileScope

    private struct Place: Equatable {
        var path: String
        var service: String
    }

    func apply(to document: Node, path: String) -> Node {
        workloadKinds.reduce(document) { apply(to: $0, path: path, kind: $1) }
    }

    private func apply(to document: Node, path: String, kind: String) -> Node {
        guard var root = document.mapping, let services = root[kind], let mapping = services.mapping,
            mapping.entries.contains(where: { $0.value["extends"] != nil })
        else { return document }
        var result = mapping
        for entry in mapping.entries where entry.value["extends"] != nil {
            let place = Place(path: path, service: entry.key)
            guard let resolved = resolve(entry.value, place, in: mapping, chain: [place]) else {
                loader.report.markDamaged(entry.value.mark)
                continue
            }
            result.set(entry.key, like: entry, to: resolved)
        }
        var changed = services
        changed.content = .mapping(result)
        root.set(kind, to: changed)
        return Node(.mapping(root), at: document.mark, mergeTag: document.mergeTag)
    }

    /// The service merged over what it extends; `nil` after reporting why not.
    private func resolve(_ service: Node, _ place: Place, in services: Mapping, chain: [Place]) -> Node? {
        guard var own = service.mapping, let extends = own["extends"], extends.mergeTag != .reset, !extends.isNull
        else { return service }
        own.remove("extends")
        var stripped = service
        stripped.content = .mapping(own)
        // The schema check has said so if it is missing.
        guard let name = extends.text ?? extends["service"]?.text else { return nil }
        let mark = extends["service"]?.mark ?? extends.mark
        guard let base = base(name, extends: extends, place, in: services, chain: chain, at: mark) else { return nil }
        return Merge(keepsTags: true, isRaw: !loader.interpolates).mergeService(stripped, over: base)
    }

    private func base(
        _ name: String, extends: Node, _ place: Place, in services: Mapping, chain: [Place], at mark: SourceMark
    ) -> Node? {
        guard let file = extends["file"]?.text else {
            guard isAcyclic(Place(path: place.path, service: name), chain, at: mark) else { return nil }
            guard let base = services[name] else {
                return missing(name, in: place.path, candidates: services.keys, at: mark)
            }
            let next = Place(path: place.path, service: name)
            loader.report.provenance?.addBase(base, named: name, of: chain.first?.service, at: mark)
            return resolve(base, next, in: services, chain: chain + [next])
        }
        let home = scope.environment["HOME"]
        let path = PathText.absolute(file, in: scope.directory, home: home)
        let next = Place(path: path, service: name)
        guard isAcyclic(next, chain, at: mark) else { return nil }
        let directory = PathText.directory(of: path)
        var inner = scope
        inner.directory = directory
        let nested = Extends(loader: loader, scope: inner)
        let errorsBefore = loader.report.errorCount
        let others = nested.services(of: path, at: extends["file"]?.mark, wanted: name)
        guard loader.report.errorCount == errorsBefore else { return nil }
        guard let service = others[name] else { return missing(name, in: path, candidates: others.keys, at: mark) }
        loader.report.provenance?.addBase(service, named: name, of: chain.first?.service, at: mark)
        guard let resolved = nested.resolve(service, next, in: others, chain: chain + [next]) else { return nil }
        let folder = loader.shownFolder(directory, from: scope.directory)
        return PathResolution(directory: folder, home: home).applyService(withoutTags(resolved))
    }

    /// The services of another file in long form; only `wanted` and what it extends there are checked.
    private func services(of path: String, at mark: SourceMark?, wanted: String) -> Mapping {
        var result: Node?
        for document in loader.documents(path, at: mark, as: .extends) {
            guard let services = document["services"]?.mapping else { continue }
            let needed = closure(of: wanted, in: services)
            let prepared = services.mapValues { entry in
                needed.contains(entry.key) ? prepare(entry.value, name: entry.key) : entry.value
            }
            let tree = Node.map(["services": Node(.mapping(prepared), at: document.mark)], at: document.mark)
            result = unique(Merge(keepsTags: true, isRaw: !loader.interpolates).merge(tree, over: result), uniqueTable)
        }
        return result?["services"]?.mapping ?? Mapping()
    }

    private func prepare(_ service: Node, name: String) -> Node {
        let report = loader.report
        let interpolated = loader.interpolated(service, scope)
        SchemaCheck(phase: .document, report: report, isRaw: !loader.interpolates)
            .check(interpolated, against: Schema.service, path: "services.\(name)")
        return Canonicalizer(report: report, isRaw: !loader.interpolates).applyService(interpolated, name: name)
    }

    private func closure(of name: String, in services: Mapping) -> Set<String> {
        var needed: Set<String> = []
        var next: String? = name
        while let name = next, needed.insert(name).inserted {
            let extends = services[name]?["extends"]
            next = extends?["file"] == nil ? extends?.text ?? extends?["service"]?.text : nil
        }
        return needed
    }

    private func isAcyclic(_ next: Place, _ chain: [Place], at mark: SourceMark) -> Bool {
        if let start = chain.firstIndex(of: next) {
            let cycle = chain[start...].map { "\($0.path) \($0.service)" }.sorted().joined(separator: "\n")
            let names = (chain[start...] + [next]).map(\.service).joined(separator: " → ")
            // Each service of the cycle comes here; one message is enough.
            guard loader.reportedCycles.insert(cycle).inserted else { return false }
            loader.report.error("stack.cycle", "services extend each other: \(names)", at: mark)
            return false
        }
        guard chain.count <= Self.chainMax else {
            loader.report.error("stack.limit", "'extends' goes through more than \(Self.chainMax) services", at: mark)
            return false
        }
        return true
    }

    private func missing(_ name: String, in path: String, candidates: [String], at mark: SourceMark) -> Node? {
        let shown = PathText.shown(path, from: loader.workingDirectory)
        loader.report.error(
            "stack.reference", "service '\(name)' to extend is not in \(shown)", at: mark,
            hint: nearest(name, in: candidates).map { "did you mean '\($0)'?" })
        return nil
    }
}
