import CLinux
import EngineClient
import EngineWire
import FoundationEssentials
import Glibc
import LinuxSystem
import StackFile
import StackModel

/// What one run of a command works with.
struct Session {
    let options: GlobalOptions
    let files: [String]
    let environment: [String: String]
    let workingDirectory: String
    let output: Console
    let errors: Console
    let ci: CIEnvironment

    init(_ options: GlobalOptions, _ files: some StackFileOptions) {
        self.init(options, files: files.files)
    }

    /// For commands without a stack file.
    init(_ options: GlobalOptions) { self.init(options, files: []) }

    private init(_ options: GlobalOptions, files: [String]) {
        self.options = options
        self.files = files
        environment = processEnvironment()
        workingDirectory = currentDirectory()
        ci = CIEnvironment(environment)
        let ansi = options.ansi ?? environment["COMPOSE_ANSI"].flatMap { AnsiMode(rawValue: $0) } ?? .auto
        output = Console(descriptor: STDOUT_FILENO, ansi: ansi, environment: environment)
        errors = Console(descriptor: STDERR_FILENO, ansi: ansi, environment: environment)
    }

    // MARK: - Stack

    /// What the command line asks of a load; `services` have their profiles activated.
    func loadOptions(services: [String] = []) -> LoadOptions {
        var load = LoadOptions(workingDirectory: workingDirectory, environment: environment)
        load.files = files
        load.projectName = options.projectName
        load.projectDirectory = options.projectDirectory
        load.profiles = options.profiles
        load.envFiles = options.envFiles
        load.targetServices = services
        load.strict = options.strict
        load.keepsUnused = options.allResources
        return load
    }

    /// Loads the stack file and shows its warnings.
    func loadStack(services: [String] = []) throws -> LoadedStack {
        let options = loadOptions(services: services)
        var loaded: LoadedStack
        do throws(StackFileError) { loaded = try StackFile.loadStack(options) } catch {
            // Its messages may quote what was substituted.
            var mask = SecretMask()
            mask.add(secretsAmong: environment.mapValues { Optional($0) })
            ProgramFacts.hide(mask)
            throw error
        }
        loaded.stack.secretValues = Set(loaded.document.secretVariables.values).sorted()
        try hide(SecretMask(of: loaded.stack))
        try show(loaded.warnings)
        return loaded
    }

    /// The project the user means. The stack file is read only when nothing else names it.
    func projectName() throws -> String {
        if let name = try explicitProjectName() { return name }
        return try loadStack().stack.name
    }

    /// `-p` or COMPOSE_PROJECT_NAME.
    func explicitProjectName() throws(CommandFailure) -> String? {
        guard
            let name = [options.projectName, environment["COMPOSE_PROJECT_NAME"]].compactMap(\.self).first(where: {
                !$0.isEmpty
            })
        else { return nil }
        guard isProjectName(name) else {
            throw .usage(
                "'\(name)' is no project name",
                hint: "use lower-case letters, digits, '-' and '_', beginning with a letter or a digit")
        }
        return name
    }

    /// Whether the user names a stack file or one lies where it is looked for: here or in a folder above.
    var hasStackFile: Bool {
        if !files.isEmpty || !(environment["COMPOSE_FILE"] ?? "").isEmpty { return true }
        return folders(from: options.projectDirectory ?? workingDirectory).contains { folder in
            standardStackFiles.contains { FileSystem.exists("\(folder)/\($0)") }
        }
    }

    // MARK: - Engine

    func host() throws(EngineHostError) -> EngineHost {
        try EngineHost.choose(option: options.host, environment: environment)
    }

    /// Folder for what ends with a reboot, as the user's own engine has it.
    var execRoot: String {
        guard let path = environment["GANTRY_EXEC_ROOT"], !path.isEmpty else {
            return StandardPaths.current(environment).execRoot
        }
        return path.hasPrefix("/") ? path : "\(workingDirectory)/\(path)"
    }

    /// A client of an engine that answers; it is started when it does not run.
    func engine() throws -> EngineClient {
        var client = EngineClient(host: try host(), environment: environment, tls: options.tls.client)
        client.owner = commandOwner(command: ProgramFacts.command, environment)
        client.lockTimeout = ci.lockTimeout
        if try !client.isAnswering() { try startEngine(client, environment: environment) }
        return client
    }

    /// A client of the engine when one answers already.
    func runningEngine() throws -> EngineClient? {
        let client = EngineClient(host: try host(), environment: environment, tls: options.tls.client)
        return try client.isAnswering() ? client : nil
    }

    // MARK: - Saying

    /// How reports name files.
    var places: FilePlaces { FilePlaces(ci, workingDirectory: workingDirectory) }

    func show(_ diagnostics: [Diagnostic]) throws(SystemError) {
        for diagnostic in diagnostics {
            ProgramFacts.note(diagnostic)
            guard progressMode != .json else {
                try errors.write(progressLine("diagnostic", diagnosticJSON(diagnostic)))
                continue
            }
            try errors.write(diagnosticText(diagnostic, color: errors.color))
            try annotate([diagnostic])
        }
    }

    /// On GitHub, diagnostics are shown at their lines too, each once. To standard error, as the output may be another
    /// program's input.
    func annotate(_ diagnostics: [Diagnostic]) throws(SystemError) {
        guard ci.system == .github, !diagnostics.isEmpty else { return }
        try errors.write(annotations(diagnostics, places))
    }

    /// Keeps secrets out of everything that is printed from now on, and on GitHub out of all that the job prints.
    private func hide(_ mask: SecretMask) throws(SystemError) {
        ProgramFacts.hide(mask)
        guard ci.system == .github, progressMode != .json else { return }
        for text in mask.texts where !text.contains(where: \.isNewline) {
            let escaped = text.replacing("%", with: "%25").replacing("\r", with: "%0D")
            try errors.write(Array("::add-mask::\(escaped)\n".utf8))
        }
    }

    var progressMode: ProgressMode {
        let wanted = options.progress ?? environment["COMPOSE_PROGRESS"].flatMap { ProgressMode(rawValue: $0) } ?? .auto
        if wanted != .auto { return wanted }
        return errors.isTerminal && !ci.isPresent && environment["TERM"] != "dumb" && options.ansi != .never
            ? .tty : .plain
    }
}

/// Where a stack file is looked for, in order (Compose Specification, "Compose file").
let standardStackFiles = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"]

/// One diagnostic as it is shown, ending in a newline.
func diagnosticText(_ diagnostic: Diagnostic, color: Bool) -> String {
    let text = renderDiagnostic(harmlessDiagnostic(diagnostic), color: color)
    return text.hasSuffix("\n") ? text : text + "\n"
}

/// A project's name (Compose Specification, "name").
func isProjectName(_ name: String) -> Bool {
    guard let first = name.utf8.first, first != UInt8(ascii: "-"), first != UInt8(ascii: "_") else { return false }
    return name.utf8.allSatisfy {
        (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
    }
}

/// `path` and every folder above it.
func folders(from path: String) -> [String] {
    var result = [path]
    let depthMax = 256
    var current = path
    while current != "/", current.hasPrefix("/"), result.count < depthMax {
        current = FileSystem.parent(of: current)
        result.append(current)
    }
    return result
}

func currentDirectory() -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    // A folder that was removed under the shell: the root stands in, and the stack file is then not found.
    guard getcwd(&buffer, buffer.count) != nil else { return "/" }
    return buffer.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "/" }
}

/// All environment variables, as this program was given them (proc_pid_environ(5)); Foundation's way costs every
/// command most of a millisecond. Without /proc there are none.
func processEnvironment() -> [String: String] {
    // Commands work without variables, on their defaults.
    guard let bytes = try? FileSystem.readFile("/proc/self/environ") else { return [:] }
    return environment(from: bytes)
}

/// `NAME=VALUE` entries that each end in a zero byte; the first of a name counts, as with getenv(3).
func environment(from bytes: [UInt8]) -> [String: String] {
    let pairs = bytes.split(separator: 0).compactMap { entry -> (String, String)? in
        guard let equals = entry.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        return (
            String(decoding: entry[..<equals], as: UTF8.self), String(decoding: entry[(equals + 1)...], as: UTF8.self)
        )
    }
    return Dictionary(pairs) { first, _ in first }
}
