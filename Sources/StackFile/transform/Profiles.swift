import StackModel

/// Which services are enabled: those without profiles, with an active profile, or targeted by name. Targeting a service
/// activates its profiles (Compose Specification, chapter Profiles).
struct Profiles {
    private let active: Set<String>

    init(options: LoadOptions, environment: [String: String], services: Node, report: Report) {
        var names = options.profiles
        if names.isEmpty {
            names = (environment["COMPOSE_PROFILES"] ?? "").split(separator: ",").map { $0.filter { !$0.isWhitespace } }
        }
        var active = Set(names)
        for target in options.targetServices {
            guard let service = services[target] else {
                let keys = services.mapping?.keys ?? []
                report.error(
                    "stack.reference", "no such service: \(target)", at: nil,
                    hint: nearest(target, in: keys).map { "did you mean '\($0)'?" })
                continue
            }
            active.formUnion(service["profiles"]?.texts ?? [])
        }
        self.active = active
    }

    func enables(_ service: Node) -> Bool {
        let profiles = service["profiles"]?.texts ?? []
        return profiles.isEmpty || active.contains("*") || !active.isDisjoint(with: profiles)
    }
}
