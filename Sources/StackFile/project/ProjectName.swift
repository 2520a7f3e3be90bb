import StackModel

/// The project's name: `-p`, then `COMPOSE_PROJECT_NAME`, then `name:` of the last file that has one, then the folder.
struct ProjectName {
    let options: LoadOptions
    let environment: [String: String]
    let report: Report

    /// `nil` after reporting that there is no valid name.
    func resolve(documents: [Node], directory: String) -> String? {
        if let name = options.projectName, !name.isEmpty { return valid(name, from: "-p", at: nil) }
        if let name = environment["COMPOSE_PROJECT_NAME"], !name.isEmpty {
            return valid(name, from: "COMPOSE_PROJECT_NAME", at: nil)
        }
        let interpolation = Interpolation(environment: environment, report: report)
        if let node = documents.compactMap({ $0["name"] }).last(where: { !$0.isNull }), let scalar = node.scalar {
            // Before substitution there is only the text itself to make a name of.
            if !options.interpolates, scalar.text.contains("$") { return Self.normalised(scalar.text) }
            let text = scalar.value == .string ? interpolation.substitute(scalar.text, at: node.mark) : scalar.text
            guard let text else { return nil }
            if !text.isEmpty { return fitted(text, at: node.mark) }
        }
        let name = Self.normalised(PathText.name(of: directory))
        if name.isEmpty {
            report.error(
                "stack.project-name", "the folder \(directory) gives no project name", at: nil,
                hint: "give one with -p, COMPOSE_PROJECT_NAME or 'name:' in the stack file")
            return nil
        }
        return name
    }

    /// A name in a file is made to fit, as Docker Compose does; names that are given for this run must be right.
    private func fitted(_ name: String, at mark: SourceMark) -> String? {
        let fitted = Self.normalised(name)
        if fitted.isEmpty { return valid(name, from: "name", at: mark) }
        if fitted != name {
            report.warnOnce(
                "name", "stack.project-name", "the project is called '\(fitted)', made of '\(name)'", at: mark,
                hint: "write 'name: \(fitted)'")
        }
        return fitted
    }

    private func valid(_ name: String, from origin: String, at mark: SourceMark?) -> String? {
        if Self.isValid(name) { return name }
        let suggestion = Self.normalised(name)
        report.error(
            "stack.project-name",
            "project name '\(name)' (\(origin)) must consist only of lowercase alphanumeric characters, hyphens and "
                + "underscores, and start with a letter or a number", at: mark,
            hint: suggestion.isEmpty ? nil : "for example '\(suggestion)'")
        return nil
    }

    /// `[a-z0-9][a-z0-9_-]*`
    static func isValid(_ name: String) -> Bool { !name.isEmpty && normalised(name) == name }

    /// Lower case, other characters dropped, leading `-` and `_` dropped.
    static func normalised(_ name: String) -> String {
        let kept = name.lowercased().unicodeScalars.filter { scalar in
            ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "-" || scalar == "_"
        }
        return String(String.UnicodeScalarView(kept.drop { $0 == "-" || $0 == "_" }))
    }
}
