import StackModel

/// What a load is asked for: the command line's global options and the process's surroundings.
public struct LoadOptions: Sendable {
    /// `-f` in order; `-` is standard input. Empty: `COMPOSE_FILE`, then `compose.yaml` and its kin, upwards from the
    /// working directory, with the matching override file.
    public var files: [String] = []
    /// `-p`.
    public var projectName: String?
    /// `--project-directory`; relative paths in stack files start here. Default: the folder of the first file.
    public var projectDirectory: String?
    /// `--profile`. Empty: `COMPOSE_PROFILES`.
    public var profiles: [String] = []
    /// `--env-file`. Empty: `COMPOSE_ENV_FILES`, then `.env` in the project's folder.
    public var envFiles: [String] = []
    /// The process's environment; wins over environment files.
    public var environment: [String: String]
    /// Absolute path of the current folder.
    public var workingDirectory: String
    /// Services named on the command line: their profiles become active.
    public var targetServices: [String] = []
    /// Takes warnings for errors.
    public var strict = false

    /// Substitutes variables; without it most values stay as they are written.
    public var interpolates = true
    /// Fills in what is implied: the default network, names of resources, dependencies behind links.
    public var normalizes = true
    /// Makes paths absolute.
    public var resolvesPaths = true
    /// Checks that what is referred to exists and that values fit together.
    public var checksConsistency = true
    /// Puts the variables of `env_file` under `environment`.
    public var resolvesEnvironment = true
    /// Keeps networks, volumes, configs and secrets that no service uses.
    public var keepsUnused = false
    /// Leaves out services that are neither in `targetServices` nor needed by those. No effect without targets.
    public var selectsTargets = false

    public init(workingDirectory: String, environment: [String: String]) {
        self.environment = environment
        self.workingDirectory = workingDirectory
    }
}

/// A stack and what there was to say about its files.
public struct LoadedStack: Sendable {
    public var stack: Stack
    public var document: LoadedDocument
    public var warnings: [Diagnostic] { document.warnings }

    /// The canonical document, as `docker compose config` prints it.
    public func render(_ format: ConfigFormat) -> String { document.render(format) }
}

/// The canonical tree of a stack's files.
public struct LoadedDocument: Sendable {
    public let name: String
    public let warnings: [Diagnostic]
    /// What was substituted from: the process's environment over the environment files.
    public let environment: [String: String]
    /// Of those, what was substituted and has a name that says that it is secret.
    public let secretVariables: [String: String]
    /// The typed stack, without the contents of configs and secrets; `nil` when steps it needs were left out.
    public let stack: Stack?
    /// All profiles that services name, enabled or not, sorted.
    public let profiles: [String]
    /// Services that no active profile enables, sorted.
    public let disabledServices: [String]
    var document: Node
    /// Absolute paths in merge order.
    let files: [String]
    let isRaw: Bool

    /// The document, as `docker compose config` prints it.
    public func render(_ format: ConfigFormat) -> String {
        let ordered = isRaw ? document.sorted(for: format) : ConfigOrder.apply(to: document, format)
        return switch format {
        case .yaml: YAMLWriter.write(ordered, escapesDollars: !isRaw)
        case .json: JSONWriter.write(ordered, escapesDollars: !isRaw)
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
