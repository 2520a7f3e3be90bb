import StackModel

/// Which files make the stack, and with which variables.
struct Sources {
    /// Absolute paths in merge order; `-` is standard input.
    var files: [String]
    var projectDirectory: String
    var environment: [String: String]
}

/// Finds stack files and environment files: Compose Specification, chapter Compose file, and Docker Compose's
/// `COMPOSE_*` variables.
struct Discovery {
    static let fileNames = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"]
    static let overrideNames = [
        "compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml", "docker-compose.override.yml",
    ]

    let options: LoadOptions
    let files: FileAccess
    let report: Report
    let environmentFiles: EnvironmentFiles

    func sources() throws(StackFileError) -> Sources {
        let home = options.environment["HOME"]
        let cwd = options.workingDirectory
        var environment = options.environment
        let named = options.files.map { $0 == "-" ? $0 : PathText.absolute($0, in: cwd, home: home) }
        let given = options.projectDirectory.map { PathText.absolute($0, in: cwd, home: home) }
        let firstFolder = named.first.flatMap { $0 == "-" ? nil : PathText.directory(of: $0) }
        loadProjectEnvironment(from: given ?? firstFolder ?? cwd, into: &environment)
        try report.check()

        var files = named
        if files.isEmpty { files = filesFromVariable(environment, cwd: cwd, home: home) }
        if files.isEmpty { files = try search(from: given ?? cwd) }
        let folder = files.first.flatMap { $0 == "-" ? nil : PathText.directory(of: $0) } ?? cwd
        let projectDirectory = given ?? folder
        loadProjectEnvironment(from: projectDirectory, into: &environment)
        try report.check()
        return Sources(files: files, projectDirectory: projectDirectory, environment: environment)
    }

    /// `--env-file`, else `COMPOSE_ENV_FILES`, else `.env` in the folder. What is already set stays.
    private func loadProjectEnvironment(from folder: String, into environment: inout [String: String]) {
        var paths = options.envFiles
        if paths.isEmpty, let list = environment["COMPOSE_ENV_FILES"], !list.isEmpty {
            paths = list.split(separator: ",").map(String.init)
        }
        let cwd = options.workingDirectory
        if paths.isEmpty {
            let isDisabled = ["1", "true", "yes"].contains(environment["COMPOSE_DISABLE_ENV_FILE"]?.lowercased())
            let path = PathText.clean(folder + "/.env")
            guard !isDisabled, files.exists(path) else { return }
            paths = [path]
        }
        let absolute = paths.map { PathText.absolute($0, in: cwd, home: environment["HOME"]) }
        let values = environmentFiles.load(absolute, environment: environment)
        environment.merge(values) { present, _ in present }
    }

    private func filesFromVariable(_ environment: [String: String], cwd: String, home: String?) -> [String] {
        guard let list = environment["COMPOSE_FILE"], !list.isEmpty else { return [] }
        let separator = environment["COMPOSE_PATH_SEPARATOR"].flatMap { $0.isEmpty ? nil : $0 } ?? ":"
        return parts(of: list, separator: separator)
            .map { $0 == "-" ? $0 : PathText.absolute($0, in: cwd, home: home) }
    }

    private func parts(of text: String, separator: String) -> [String] {
        var parts: [String] = []
        var rest = Array(text.utf8)[...]
        let wanted = Array(separator.utf8)
        var part: [UInt8] = []
        while let byte = rest.first {
            if rest.starts(with: wanted) {
                parts.append(String(decoding: part, as: UTF8.self))
                part = []
                rest = rest.dropFirst(wanted.count)
            } else {
                part.append(byte)
                rest = rest.dropFirst()
            }
        }
        parts.append(String(decoding: part, as: UTF8.self))
        return parts.filter { !$0.isEmpty }
    }

    /// The first of the usual names in the folder or above it, and its override file.
    private func search(from start: String) throws(StackFileError) -> [String] {
        var folder = PathText.clean(start)
        while true {
            let found = Self.fileNames.map { PathText.clean(folder + "/" + $0) }.filter(files.exists)
            if let file = found.first {
                warnOfSeveral(found)
                let overrides = Self.overrideNames.map { PathText.clean(folder + "/" + $0) }.filter(files.exists)
                warnOfSeveral(overrides)
                return [file] + overrides.prefix(1)
            }
            if folder == "/" { break }
            folder = PathText.directory(of: folder)
        }
        throw StackFileError(diagnostics: [
            Diagnostic(
                code: "stack.file", "no stack file in \(start) or any folder above it",
                hint: "create compose.yaml, or name a file with -f")
        ])
    }

    private func warnOfSeveral(_ found: [String]) {
        guard found.count > 1, let first = found.first else { return }
        let names = found.map(PathText.name).joined(separator: ", ")
        report.warning("stack.file", "several stack files: \(names); \(PathText.name(of: first)) is used", at: nil)
    }
}
