import StackModel

/// Rules between different places of the merged stack (compose-go's `checkConsistency`), checked on the normalised
/// tree.
struct Consistency {
    let document: Node
    /// Services that profiles leave out.
    let disabled: Set<String>
    let report: Report
    let damage: Damage

    func check() {
        checkSources()
        for (kind, noun) in [("services", "service"), ("jobs", "job")] {
            for entry in document[kind]?.entries ?? [] {
                let isSound = !damage.touches(entry.value)
                guard let service = isSound ? entry.value : damage.sound(entry.value) else { continue }
                ServiceConsistency(
                    noun: noun, name: entry.key, service: service, mark: entry.keyMark, whole: self, isSound: isSound
                ).check()
            }
        }
        checkContainerNames()
        checkPublishedPorts()
        checkCycles()
    }

    /// What the section holds is known, so that a missing name is an error of its own.
    func isWhole(_ kind: String) -> Bool {
        !damage.touchesKeys(of: document) && !(document[kind].map(damage.touchesKeys) ?? false)
    }

    func names(_ kind: String) -> [String] { document[kind]?.mapping?.keys ?? [] }

    private func checkSources() {
        for (kind, keys) in fileSources {
            for entry in document[kind]?.entries ?? [] {
                if entry.value["external"]?.flag == true || entry.value["driver"] != nil { continue }
                if keys.contains(where: { entry.value[$0] != nil }) || damage.touches(entry.value) { continue }
                let message = "'\(kind).\(entry.key)' needs exactly one of \(oneOf(keys))"
                if kind == "configs", entry.value["external"] != nil {
                    report.unusable("stack.missing-key", message, at: entry.keyMark)
                } else {
                    report.error("stack.missing-key", message, at: entry.keyMark)
                }
            }
        }
    }

    private func checkContainerNames() {
        var first: [String: (service: String, mark: SourceMark)] = [:]
        for entry in document["services"]?.entries ?? [] {
            guard let node = entry.value["container_name"], let name = node.text else { continue }
            if let other = first[name] {
                report.error(
                    "stack.conflict", "service '\(other.service)' has the container name '\(name)' already",
                    at: node.mark, hint: "give each service a name of its own, or leave 'container_name' out",
                    notes: [.init("first given here", at: other.mark)])
            }
            first[name] = (entry.key, node.mark)
        }
    }

    private func checkPublishedPorts() {
        var first: [String: (service: String, mark: SourceMark)] = [:]
        for entry in document["services"]?.entries ?? [] {
            for port in entry.value["ports"]?.items ?? [] {
                guard let text = port["published"]?.text, let range = portRange(text), range.count == 1 else {
                    continue
                }
                let address = port["host_ip"]?.text ?? "0.0.0.0"
                let key = "\(address):\(text)/\(port["protocol"]?.text ?? "tcp")"
                if let other = first[key] {
                    report.unusable(
                        "stack.conflict", "host port \(key) is published by service '\(other.service)' already",
                        at: port.mark, hint: "publish another host port",
                        notes: [.init("first published here", at: other.mark)])
                } else {
                    first[key] = (entry.key, port.mark)
                }
            }
        }
    }

    /// Finds a dependency cycle by walking depth first; reports the first one.
    private func checkCycles() {
        let services = document["services"]
        var done: Set<String> = []
        for start in (services?.mapping?.keys ?? []).sorted() where !done.contains(start) {
            var path = [start]
            var isOnPath: Set<String> = [start]
            // Dependencies still to be walked, for each service of the path, the next one last.
            var pending = [dependencies(of: start)]
            while let next = pending.last?.last {
                pending[pending.count - 1].removeLast()
                if isOnPath.contains(next) { return reportCycle(path, closedBy: next) }
                if !done.contains(next), services?[next] != nil {
                    path.append(next)
                    isOnPath.insert(next)
                    pending.append(dependencies(of: next))
                }
                while pending.last?.isEmpty == true {
                    pending.removeLast()
                    let finished = path.removeLast()
                    isOnPath.remove(finished)
                    done.insert(finished)
                }
            }
            done.insert(start)
        }
    }

    private func reportCycle(_ path: [String], closedBy next: String) {
        let services = document["services"]
        let cycle = path[(path.firstIndex(of: next) ?? 0)...] + [next]
        let from = path.last ?? next
        let mark = services?[from]?["depends_on"]?.mapping?.keyMark(next) ?? services?.mapping?.keyMark(from)
        let others = zip(cycle, cycle.dropFirst()).dropLast().compactMap { from, to -> Diagnostic.Note? in
            guard let edge = services?[from]?["depends_on"]?.mapping?.keyMark(to) else { return nil }
            return .init("'\(from)' depends on '\(to)' here", at: edge)
        }
        report.error(
            "stack.cycle", "dependency cycle: \(cycle.joined(separator: " → "))", at: mark,
            hint: "remove one of these dependencies", notes: Array(others.prefix(Self.notesMax)))
    }

    /// Further places shown with one error.
    private static let notesMax = 5

    /// In reverse, so that the first is the next to be taken.
    private func dependencies(of service: String) -> [String] {
        (document.at("services", service, "depends_on")?.mapping?.keys ?? []).sorted(by: >)
    }
}
