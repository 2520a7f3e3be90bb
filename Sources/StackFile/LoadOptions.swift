import StackModel

/// What a load is asked for: the command line's global options and the process's surroundings.
public struct LoadOptions: Sendable {
    /// `-f` in order; `-` is standard input. Empty: `COMPOSE_FILE`, then `compose.yaml` and its kin, upwards from the
    /// working directory, with the matching override file.
    public var files: [String]
    /// `-p`.
    public var projectName: String?
    /// `--project-directory`; relative paths in stack files start here. Default: the folder of the first file.
    public var projectDirectory: String?
    /// `--profile`. Empty: `COMPOSE_PROFILES`.
    public var profiles: [String]
    /// `--env-file`. Empty: `COMPOSE_ENV_FILES`, then `.env` in the project's folder.
    public var envFiles: [String]
    /// The process's environment; wins over environment files.
    public var environment: [String: String]
    /// Absolute path of the current folder.
    public var workingDirectory: String
    /// Services named on the command line: their profiles become active.
    public var targetServices: [String]
    /// Takes warnings for errors.
    public var strict: Bool

    public init(workingDirectory: String, environment: [String: String]) {
        files = []
        profiles = []
        envFiles = []
        self.environment = environment
        self.workingDirectory = workingDirectory
        targetServices = []
        strict = false
    }
}

/// A stack and what there was to say about its files.
public struct LoadedStack: Sendable {
    public var stack: Stack
    public var warnings: [Diagnostic]
    /// The canonical tree that `render` prints.
    let document: Node

    /// The canonical document, as `docker compose config` prints it.
    public func render(_ format: ConfigFormat) -> String {
        let ordered = ConfigOrder.apply(to: document)
        return switch format {
        case .yaml: YAMLWriter.write(ordered)
        case .json: JSONWriter.write(ordered)
        }
    }
}

/// Forms of the canonical document.
public enum ConfigFormat: Sendable {
    case yaml, json
}

/// Why a stack cannot be loaded; at least one diagnostic, at most 20.
public struct StackFileError: Error, Sendable {
    public var diagnostics: [Diagnostic]

    public init(diagnostics: [Diagnostic]) { self.diagnostics = diagnostics }
}
