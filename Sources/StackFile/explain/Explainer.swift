import StackModel

/// Answers where values come from, with what a load has noted.
struct Explainer {
    static let stepsMax = 100
    static let childrenMax = 500

    let document: Node
    let provenance: Provenance
    let report: Report
    let options: LoadOptions
    let environment: [String: String]
    let disabledServices: [String]

    func explain(_ text: String) throws(Diagnostic) -> Explanation {
        let path: StackPath
        do throws(Diagnostic) { path = try StackPath.resolve(text, in: document) } catch { throw better(error, text) }
        let steps = steps(to: path)
        let children = children(of: path)
        let rule = steps.isEmpty ? rule(for: path) : inherited(path, steps)
        return Explanation(path: path.text, value: path.node, steps: steps, rule: rule, children: children)
    }

    /// Services of inactive profiles and values that were reset are in the files, but not in the stack.
    private func better(_ error: Diagnostic, _ text: String) -> Diagnostic {
        var error = error
        for layer in provenance.layers.reversed() {
            // What is not in this layer may be in another; else the error that was given stands.
            guard let path = try? StackPath.resolve(text, in: layer.document) else { continue }
            if case .key("services")? = path.steps.first, path.steps.count > 1, case .key(let name) = path.steps[1],
                disabledServices.contains(name)
            {
                error.hint = "service '\(name)' is left out: activate one of its profiles with --profile"
            } else if let reset = path.nodes.first(where: { $0.mergeTag == .reset }) {
                error.hint = "it is removed by !reset at \(reset.mark)"
                error.notes = [.init("removed here", at: reset.mark, sourceLine: report.line(at: reset.mark))]
            }
            return error
        }
        return error
    }

    // MARK: - Places

    private struct Candidate {
        var node: Node
        var mark: SourceMark
        var notes: [Diagnostic.Note]
        /// In an environment file.
        var isLine = false
    }

    private func steps(to path: StackPath) -> [Explanation.Step] {
        var candidates: [Candidate] = []
        for layer in provenance.layers.reversed() {
            if let hit = path.find(in: layer.document) {
                candidates.append(Candidate(node: hit.node, mark: hit.mark, notes: notes(hit, layer)))
            }
            candidates += hidden(path, in: layer)
        }
        if let winner = candidates.firstIndex(where: { $0.node.mark == path.node.mark && !$0.node.isNull }) {
            candidates.insert(candidates.remove(at: winner), at: 0)
        }
        candidates += inServiceFiles(path)
        var seen: Set<SourceMark> = []
        let kept = candidates.filter { seen.insert($0.mark).inserted }.prefix(Self.stepsMax)
        let marks = scalarMarks(of: path.node)
        return kept.enumerated().map { index, candidate in
            let isMerged = path.node.scalar == nil && !marks.isDisjoint(with: scalarMarks(of: candidate.node))
            return Explanation.Step(
                role: index == 0 ? .value : isMerged ? .merged : .overridden, mark: candidate.mark,
                sourceLine: report.line(at: candidate.mark), value: candidate.node, notes: candidate.notes,
                variables: variables(of: candidate))
        }
    }

    private func variables(of candidate: Candidate) -> [Explanation.Variable] {
        if candidate.isLine { return variables(inLineAt: candidate.mark) }
        return candidate.node.scalar == nil ? [] : variables(at: candidate.node.mark)
    }

    private func scalarMarks(of node: Node) -> Set<SourceMark> {
        switch node.content {
        case .scalar: [node.mark]
        case .sequence(let items): items.reduce(into: []) { $0.formUnion(scalarMarks(of: $1)) }
        case .mapping(let mapping): mapping.entries.reduce(into: []) { $0.formUnion(scalarMarks(of: $1.value)) }
        }
    }

    /// Values of merge keys that the mapping has of its own, whole or in part.
    private func hidden(_ path: StackPath, in layer: Provenance.Layer) -> [Candidate] {
        var result: [Candidate] = []
        var node = layer.document
        for (index, step) in path.steps.enumerated() {
            guard case .key(let key) = step else { break }
            for merged in provenance.mergedKeys
            where merged.isOverridden && merged.key == key && merged.mapping == node.mark {
                guard let value = path.findRaw(from: index + 1, in: merged.value) else { continue }
                let note = note("by the merge key '<<' here", merged.mark)
                result.append(Candidate(node: value, mark: value.mark, notes: [note]))
            }
            guard let next = node[key] else { break }
            node = next
        }
        return result
    }

    /// What `env_file` and `label_file` say, the last file first.
    private func inServiceFiles(_ path: StackPath) -> [Candidate] {
        let place = path.pattern
        guard place.count == 4, case .key(let key)? = path.steps.last else { return [] }
        return provenance.serviceFiles.reversed().compactMap { file in
            guard file.place == Array(place.dropLast()), let value = file.values[key] else { return nil }
            let shown = PathText.shown(file.path, from: options.workingDirectory)
            let mark = provenance.place(of: key, in: shown)
            return Candidate(
                node: .string(value, at: mark), mark: mark,
                notes: [note("\(place[2] == "labels" ? "label_file" : "env_file") is given here", file.mark)],
                isLine: true)
        }
    }

    private func notes(_ hit: LayerHit, _ layer: Provenance.Layer) -> [Diagnostic.Note] {
        var notes: [Diagnostic.Note] = []
        var parent = layer.document
        for part in hit.trail {
            if let key = part.key {
                for merged in provenance.mergedKeys
                where !merged.isOverridden && merged.key == key && merged.mapping == parent.mark {
                    notes.append(note("by the merge key '<<' here", merged.mark))
                }
                if let alias = alias(keyMark: part.keyMark, node: part.node) {
                    notes.append(note("by the alias '*\(alias.name)' here", alias.mark))
                }
            }
            parent = part.node
        }
        switch layer.role {
        case .file: break
        case .include(let mark): notes.append(note("the file is included here", mark))
        case .extends(let service, let mark): notes.append(note("service '\(service)' is extended here", mark))
        }
        if let scalar = hit.node.scalar, hit.node.mark == hit.parent.mark, scalar.value != .null,
            !provenance.collections.contains(hit.node.mark)
        {
            notes.append(Diagnostic.Note("part of a short form, or its default", at: hit.node.mark))
        } else if hit.parent.mapping != nil, hit.node.mark == hit.parent.mark {
            notes.append(Diagnostic.Note("the default; the file does not say it", at: hit.node.mark))
        }
        return notes
    }

    /// The alias after a key whose value stands elsewhere.
    private func alias(keyMark: SourceMark?, node: Node) -> Provenance.Alias? {
        guard let keyMark else { return nil }
        func isAfterKey(_ mark: SourceMark) -> Bool {
            mark.file == keyMark.file && (mark.line, mark.column) > (keyMark.line, keyMark.column)
        }
        let possible = provenance.aliases.filter { $0.target == node.mark && isAfterKey($0.mark) }
        let first = possible.min { ($0.mark.line, $0.mark.column) < ($1.mark.line, $1.mark.column) }
        // The value itself stands after its key: then it has the anchor.
        return isAfterKey(node.mark) ? nil : first
    }

    func note(_ message: String, _ mark: SourceMark) -> Diagnostic.Note {
        Diagnostic.Note(message, at: mark, sourceLine: report.line(at: mark))
    }

    // MARK: - Children

    private func children(of path: StackPath) -> [Explanation.Child] {
        var paths: [StackPath] = []
        for entry in path.node.entries.prefix(Self.childrenMax) {
            var child = path
            if child.descend(entry.key) { paths.append(child) }
        }
        for index in (path.node.items ?? []).indices.prefix(Self.childrenMax) {
            var child = path
            if child.descend(index) { paths.append(child) }
        }
        return paths.map { child in
            Explanation.Child(path: child.text, value: child.node, mark: steps(to: child).first?.mark)
        }
    }
}
