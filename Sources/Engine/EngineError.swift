import ContainerNetwork
import ContainerRuntime
import Images
import LinuxSystem
import Registry
import StackModel

/// Why the engine could not do what was asked. Every case becomes diagnostics that a user can act on.
public enum EngineError: Error, Sendable {
    case diagnostics([Diagnostic])
    case stackNotFound(String)
    case containerNotFound(String)
    case networkNotFound(String)
    case execNotFound(String)
    /// Its id: it can be started once.
    case execStarted(String)
    /// In its own words.
    case notFound(String)
    case containerNotRunning(String)
    case conflict(String)
    case badRequest(String)
    /// In Docker's words, with the status that its API gives them.
    case answered(Int, String)
    case image(ImageError)
    case copy(CopyError, container: String)
    case registry(RegistryError)
    case network(NetworkError)
    case runtime(RuntimeError, container: String)
    case database(DatabaseError)
    case system(SystemError)
    case cancelled

    public var diagnostics: [Diagnostic] {
        switch self {
        case .diagnostics(let diagnostics): diagnostics
        case .stackNotFound(let name):
            [Diagnostic(code: "stack.not-found", "no stack named '\(name)'", hint: "`gantry ls -a` shows the stacks")]
        case .containerNotFound(let name):
            [Diagnostic(code: "container.not-found", "no such container: \(name)")]
        case .networkNotFound(let name):
            [
                Diagnostic(
                    code: "network.not-found", "no such network: \(name)",
                    hint: "`gantry network ls` shows the networks")
            ]
        case .notFound(let message): [Diagnostic(code: "engine.not-found", message)]
        case .execNotFound(let id): [Diagnostic(code: "exec.not-found", "no such exec instance: \(id)")]
        case .execStarted(let id):
            [Diagnostic(code: "engine.conflict", "exec \(id.prefix(12)) has been started already")]
        case .containerNotRunning(let name):
            [Diagnostic(code: "container.not-running", "container \(name) is not running")]
        case .conflict(let message): [Diagnostic(code: "engine.conflict", message)]
        case .badRequest(let message): [Diagnostic(code: "engine.bad-request", message)]
        case .answered(_, let message): [Diagnostic(code: "engine.refused", message)]
        case .image(let error): [imageDiagnostic(error)]
        case .copy(let error, let container): [copyDiagnostic(error, container: container)]
        case .registry(let error): [Diagnostic(code: error.diagnosticCode, "\(error)")]
        case .network(let error): [Diagnostic(code: "network.failed", "\(error)")]
        case .runtime(let error, let container):
            [runtimeDiagnostic(error, container: container)]
        case .database(let error): [databaseDiagnostic(error)]
        case .system(let error): [systemDiagnostic(error)]
        case .cancelled: [Diagnostic(code: "engine.cancelled", "the engine is shutting down")]
        }
    }

    /// HTTP status, as Docker's API answers the same failure.
    public var status: Int {
        switch self {
        case .stackNotFound, .containerNotFound, .networkNotFound, .execNotFound, .notFound: 404
        case .conflict, .containerNotRunning, .execStarted: 409
        case .badRequest, .diagnostics: 400
        case .answered(let status, _): status
        case .image(.notFound), .registry(.notFound), .registry(.denied): 404
        case .registry(.unauthorized): 401
        case .image(.invalidReference), .image(.invalidChange), .image(.ambiguous): 400
        case .copy(let error, _): error.status
        case .cancelled: 503
        case .image, .registry, .network, .runtime, .database, .system: 500
        }
    }

    private func imageDiagnostic(_ error: ImageError) -> Diagnostic {
        switch error {
        case .notFound:
            Diagnostic(
                code: "image.not-found", "\(error)",
                hint: "`gantry pull` gets it from its registry, `gantry load -i FILE` from an archive")
        default: Diagnostic(code: "image.failed", "\(error)")
        }
    }

    private func copyDiagnostic(_ error: CopyError, container: String) -> Diagnostic {
        switch error {
        case .notFound(let path):
            Diagnostic(code: "copy.not-found", "could not find the file \(path) in container \(container)")
        case .system(let error): systemDiagnostic(error)
        case .noSpace(let text):
            Diagnostic(code: "disk.full", text, hint: "free some space where the container's files are and try again")
        default: Diagnostic(code: "copy.failed", "container \(container): \(error)")
        }
    }

    /// 126 and 127 are the exit codes that `run` and `exec` end with, as a shell would.
    private func runtimeDiagnostic(_ error: RuntimeError, container: String) -> Diagnostic {
        let code =
            switch error.conventionalExitCode {
            case 127: "container.command-not-found"
            case 126: "container.command-not-executable"
            default: "container.start-failed"
            }
        return Diagnostic(code: code, "container \(container): \(error)")
    }

    private func databaseDiagnostic(_ error: DatabaseError) -> Diagnostic {
        error.isDiskFull
            ? Diagnostic(code: "disk.full", "\(error)", hint: "free some space under the data root and try again")
            : Diagnostic(code: "state.failed", "\(error)")
    }

    private func systemDiagnostic(_ error: SystemError) -> Diagnostic {
        error.isNoSpace
            ? Diagnostic(code: "disk.full", "\(error)", hint: "free some space under the data root and try again")
            : Diagnostic(code: "system.failed", "\(error)")
    }
}

extension CopyError {
    /// As Docker's API answers.
    fileprivate var status: Int {
        switch self {
        case .notFound: 404
        case .conflict, .archive, .refused: 400
        case .readOnly: 403
        case .noSpace, .system: 500
        }
    }
}

extension RegistryError {
    fileprivate var diagnosticCode: String {
        switch self {
        case .unauthorized: "registry.unauthorized"
        case .denied: "registry.denied"
        case .notFound: "registry.not-found"
        case .unreachable, .certificate, .handshake: "registry.unreachable"
        default: "registry.failed"
        }
    }
}

extension SystemError {
    /// The disk or the quota is full.
    public var isNoSpace: Bool { code == 28 /* ENOSPC */ || code == 122 /* EDQUOT */ }
}
