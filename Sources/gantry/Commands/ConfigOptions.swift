import ArgumentParser
import StackFile

/// Steps of loading that `config` may leave out or add.
struct ConfigSteps: ParsableArguments {
    @Flag(help: "Leave variables as they are written.")
    var noInterpolate = false

    @Flag(help: "Leave out what is implied: the default network, names of resources, dependencies behind links.")
    var noNormalize = false

    @Flag(help: "Leave relative paths relative.")
    var noPathResolution = false

    @Flag(help: "Do not check that what is referred to exists and that values fit together.")
    var noConsistency = false

    @Flag(help: "Keep env_file and label_file instead of reading them.")
    var noEnvResolution = false

    @Flag(help: "Name images by the digests that the engine has for them.")
    var resolveImageDigests = false

    @Flag(help: "Print an override file that names images by their digests, and nothing else.")
    var lockImageDigests = false
}

/// What `config` may list instead of showing the document.
struct ConfigLists: ParsableArguments {
    enum List {
        case services, volumes, networks, models
        case hashes(String)
        case profiles, images, variables, environment
    }

    @Flag(help: "Only names of services.")
    var services = false

    @Flag(help: "Only names of volumes.")
    var volumes = false

    @Flag(help: "Only names of networks.")
    var networks = false

    @Flag(help: "Only models.")
    var models = false

    @Flag(help: "Only images.")
    var images = false

    @Flag(help: "Only profiles.")
    var profiles = false

    @Flag(help: "Only variables that the file takes, with their defaults.")
    var variables = false

    @Flag(help: "Only what variables are substituted from.")
    var environment = false

    @Option(help: ArgumentHelp("Only hashes of services, as containers are labelled: '*' or names.", valueName: "list"))
    var hash: String?

    /// The first one in Docker Compose's order.
    var chosen: List? {
        let given: [(Bool, List)] = [
            (services, .services), (volumes, .volumes), (networks, .networks), (models, .models),
            (hash != nil, .hashes(hash ?? "")), (profiles, .profiles), (images, .images), (variables, .variables),
            (environment, .environment),
        ]
        return given.first(where: \.0)?.1
    }
}

/// What `--format` means.
enum ConfigForm: Equatable {
    case document(ConfigFormat)
    case diagnostics(DiagnosticFormat)
    /// None was asked for.
    case usual

    init(_ text: String?, quiet: Bool) throws(CommandFailure) {
        guard let text else {
            self = .usual
            return
        }
        switch (text, DiagnosticFormat(rawValue: text)) {
        case (_, let format?) where quiet: self = .diagnostics(format)
        case ("yaml", _): self = .document(.yaml)
        case ("json", _): self = .document(.json)
        case (_, .some):
            throw .usage(
                "format '\(text)' is for errors and warnings, not for the stack file", hint: "add --quiet")
        default:
            let names = quiet ? DiagnosticFormat.allCases.map(\.rawValue).joined(separator: ", ") : "yaml, json"
            throw .usage("unsupported format '\(text)'", hint: "the formats are \(names)")
        }
    }

    var isJSON: Bool { self == .document(.json) || self == .diagnostics(.json) }
    var document: ConfigFormat { isJSON ? .json : .yaml }

    /// A table unless a form was asked for.
    var variables: VariableFormat { isJSON ? .json : self == .document(.yaml) ? .yaml : .table }
}
