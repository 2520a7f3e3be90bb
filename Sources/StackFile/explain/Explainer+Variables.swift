import StackModel

extension Explainer {
    /// The variables of the template at a mark.
    func variables(at mark: SourceMark) -> [Explanation.Variable] {
        guard let template = provenance.templates[mark] else { return [] }
        return variables(of: template.text) { template.environment[$0] }
    }

    /// The variables in a line of an environment file.
    func variables(inLineAt mark: SourceMark) -> [Explanation.Variable] {
        guard let line = report.line(at: mark), !line.contains("='") else { return [] }
        return variables(of: line) { name in
            environment[name] ?? provenance.serviceFiles.compactMap { $0.values[name] }.first
        }
    }

    private func variables(of text: String, _ lookup: (String) -> String?) -> [Explanation.Variable] {
        templateVariables(in: text).map { use in
            var variable = Explanation.Variable(name: use.name)
            variable.value = lookup(use.name)
            if let value = variable.value { (variable.origin, variable.mark) = origin(of: use.name, value) }
            let counts = use.emptyIsUnset ? variable.value?.isEmpty == false : variable.value != nil
            if let alternate = use.alternate {
                variable.replacement = counts ? alternate : ""
            } else if !counts {
                variable.replacement = use.defaultValue ?? ""
            }
            return variable
        }
    }

    /// The process's environment wins over files; of files that hold the value, the one that the loader takes.
    func origin(of name: String, _ value: String) -> (String, SourceMark?) {
        if options.environment[name] == value { return ("the environment", nil) }
        let files = provenance.variableFiles.filter { $0.values[name] == value }
        let project = files.last(where: \.isProjects)
        if let file = project ?? files.first {
            let text = !file.isProjects ? "the env_file of an include" : isGiven ? "--env-file" : "an environment file"
            return (text, provenance.place(of: name, in: file.file))
        }
        if let file = provenance.serviceFiles.first(where: { $0.values[name] == value }) {
            let shown = PathText.shown(file.path, from: options.workingDirectory)
            return ("the service's env_file", provenance.place(of: name, in: shown))
        }
        if name == "COMPOSE_PROJECT_NAME" { return ("the project's name", nil) }
        return ("an environment file", nil)
    }

    private var isGiven: Bool { !options.envFiles.isEmpty }

    /// A variable of a service that the file names without a value.
    func inherited(_ path: StackPath, _ steps: [Explanation.Step]) -> String? {
        guard let first = steps.first, first.value.isNull, let value = path.node.text else { return nil }
        guard case .key(let name)? = path.steps.last else { return nil }
        let isKnown = environment[name] == value || provenance.variableFiles.contains { $0.values[name] == value }
        guard isKnown else { return nil }
        let (origin, mark) = origin(of: name, value)
        return "the file names it without a value, so that it comes from \(origin)\(mark.map { " (\($0))" } ?? "")"
    }

    /// Why there is a value that no file gives.
    func rule(for path: StackPath) -> String {
        let pattern = path.pattern
        let last = pattern.last ?? ""
        switch (pattern.first ?? "", pattern.count) {
        case ("name", 1): return projectNameRule
        case ("networks", 2) where last == "default":
            return "the network 'default' is implied: services that name no networks are attached to it"
        case ("networks", 3) where last == "name", ("volumes", 3) where last == "name",
            ("configs", 3) where last == "name", ("secrets", 3) where last == "name":
            return "made of the project's name and the key, because the file gives no 'name'"
        case ("services", 3) where last == "networks", ("services", 4) where pattern[2] == "networks":
            return "the network 'default' is implied: the service names no networks"
        case ("services", 3...) where pattern[2] == "depends_on":
            let isBelow = pattern.count == 5 && path.node.mark == path.nodes[path.nodes.count - 2].mark
            if isBelow || pattern.count == 4 {
                return "implied by what the service shares with the other one, at \(path.node.mark)"
            }
            return "the default of '\(last)'"
        case ("services", 4) where pattern[2] == "environment":
            return "read from an environment file"
        default: return "the default of '\(last)'; no file says it"
        }
    }

    private var projectNameRule: String {
        if options.projectName?.isEmpty == false { return "given with -p" }
        if let name = environment["COMPOSE_PROJECT_NAME"], options.environment["COMPOSE_PROJECT_NAME"] == name {
            return "COMPOSE_PROJECT_NAME in the environment"
        }
        let inFile = provenance.variableFiles.last { $0.isProjects && $0.values["COMPOSE_PROJECT_NAME"] != nil }
        if let inFile {
            return "COMPOSE_PROJECT_NAME at \(provenance.place(of: "COMPOSE_PROJECT_NAME", in: inFile.file))"
        }
        return "made of the name of the project's folder"
    }
}
