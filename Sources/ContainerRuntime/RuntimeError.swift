import LinuxSystem
import SupervisorPlan

/// Why the runtime could not do what it was asked to.
public enum RuntimeError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The specification says something impossible or unsafe.
    case invalidSpec(String)
    /// The specification is fine, this runtime or kernel cannot do it.
    case unsupported(String)
    case unknownCapability(String)
    /// Exit code 127 by convention.
    case executableNotFound(String)
    /// Exit code 126 by convention.
    case notExecutable(String)
    case userNotFound(String)
    /// A step of the container's set-up failed.
    case setupFailed(step: String, SystemError)
    /// The supervisor ended without an answer, or did not answer in time.
    case supervisorFailed(String)
    case notRunning(directory: String)
    case stillRunning(directory: String)
    case paused(directory: String)
    /// A system call of the engine's own, and what it was for.
    case system(String, SystemError)

    init(_ failure: SetupFailure) {
        switch failure.kind {
        case .executableNotFound: self = .executableNotFound(failure.text)
        case .notExecutable: self = .notExecutable(failure.text)
        case .userNotFound: self = .userNotFound(failure.text)
        case .step: self = .setupFailed(step: failure.step, SystemError(failure.text, code: failure.code))
        }
    }

    public var description: String {
        switch self {
        case .invalidSpec(let text): "invalid container specification: \(text)"
        case .unsupported(let text): "not supported: \(text)"
        case .unknownCapability(let name): "unknown capability '\(name)'"
        case .executableNotFound(let text): "program not found: \(text)"
        case .notExecutable(let text): "program cannot be executed: \(text)"
        case .userNotFound(let text): text
        case .setupFailed(let step, let error): "cannot \(step): \(error.call)"
        case .supervisorFailed(let text): "the container's supervisor failed: \(text)"
        case .notRunning(let directory): "container \(FileSystem.lastComponent(of: directory)) is not running"
        case .stillRunning(let directory): "container \(FileSystem.lastComponent(of: directory)) is still running"
        case .paused(let directory): "container \(FileSystem.lastComponent(of: directory)) is paused"
        case .system(let purpose, let error): "cannot \(purpose): \(error)"
        }
    }

    /// What a shell would report for this failure; `nil` when no convention applies.
    public var conventionalExitCode: Int32? {
        switch self {
        case .executableNotFound: 127
        case .notExecutable: 126
        default: nil
        }
    }
}

/// Runs a system call of the engine's, naming its purpose in the error.
func purpose<Result: ~Copyable>(
    _ text: @autoclosure () -> String, _ body: () throws(SystemError) -> Result
) throws(RuntimeError) -> Result {
    do {
        return try body()
    } catch {
        throw .system(text(), error)
    }
}
