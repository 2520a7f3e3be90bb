import StackModel

/// The services named on the command line with all they depend on; the others are left out.
struct Selection {
    let targets: [String]
    let report: Report

    func apply(to document: Node) -> Node {
        guard let services = document["services"] else { return document }
        let kept = closure(in: services)
        return document.setting("services", to: services.mapEntries { kept.contains($0.key) ? $0.value : nil })
    }

    private func closure(in services: Node) -> Set<String> {
        var kept: Set<String> = []
        var pending = targets.filter { services[$0] != nil }
        while let name = pending.popLast() {
            guard kept.insert(name).inserted else { continue }
            for dependency in services[name]?["depends_on"]?.entries ?? [] {
                if services[dependency.key] != nil {
                    pending.append(dependency.key)
                } else if dependency.value["required"]?.flag ?? true {
                    report.error("stack.reference", "no such service: \(dependency.key)", at: dependency.keyMark)
                }
            }
        }
        return kept
    }
}
