import CLinux
import Glibc
import Images
import LinuxSystem

/// What can go wrong with a step of a build, told so that the user knows what to do.
public enum BuildError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A source that is not there, or that an ignore file hides.
    case notFound(String)
    /// What is there cannot take what comes: a folder over a file, a file over a folder.
    case conflict(String)
    /// Well-formed, and not done for safety.
    case refused(String)
    /// What is read was changed meanwhile.
    case changed(String)
    /// A text that breaks a rule: a pattern, a URL, a checksum.
    case invalid(String)
    /// An archive that is malformed, truncated or hostile.
    case archive(String)
    /// More than there may be.
    case limit(String)
    /// A server or repository that does not answer as it should.
    case remote(String)
    case noSpace(String)
    case cancelled
    case system(SystemError)

    /// Full disks and quotas get their own case: they are the user's to solve.
    public init(_ error: SystemError) {
        if error.code == ENOSPC || error.code == EDQUOT {
            self = .noSpace("no space left for \(error.path ?? "the build")")
        } else {
            self = .system(error)
        }
    }

    public init(_ error: CopyError) {
        switch error {
        case .notFound(let text): self = .notFound(text)
        case .conflict(let text): self = .conflict(text)
        case .readOnly(let text), .refused(let text): self = .refused(text)
        case .archive(let text): self = .archive(text)
        case .noSpace(let text): self = .noSpace(text)
        case .system(let error): self.init(error)
        }
    }

    public init(_ error: ImageError) { self.init(CopyError(error)) }

    public var description: String {
        switch self {
        case .notFound(let text), .conflict(let text), .refused(let text), .changed(let text), .invalid(let text),
            .archive(let text), .limit(let text), .remote(let text), .noSpace(let text):
            text
        case .cancelled: "cancelled"
        case .system(let error): error.description
        }
    }
}

/// Runs what fails with an errno, as a build error.
func building<Result: ~Copyable>(_ body: () throws(SystemError) -> Result) throws(BuildError) -> Result {
    do { return try body() } catch { throw BuildError(error) }
}
