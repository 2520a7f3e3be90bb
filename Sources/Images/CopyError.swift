import Glibc
import LinuxSystem

/// What can go wrong when files go into or out of a container.
public enum CopyError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is nothing at the path.
    case notFound(String)
    /// What is there cannot take what comes: a folder over a file, a file where a folder must be.
    case conflict(String)
    /// The mount, or the whole root, is read-only.
    case readOnly(String)
    /// Well-formed, and not done for safety.
    case refused(String)
    /// The archive is malformed, truncated or hostile.
    case archive(String)
    case noSpace(String)
    case system(SystemError)

    /// Errors that the content alone can have caused are told as such.
    init(_ error: SystemError) {
        switch error.code {
        case EROFS: self = .readOnly("\(error.path ?? "the destination") is read-only")
        case ENOSPC, EDQUOT: self = .noSpace("no space left for \(error.path ?? "the destination")")
        default: self = .system(error)
        }
    }

    public init(_ error: ImageError) {
        switch error {
        case .archive(let why): self = .archive("bad archive: \(why)")
        case .noSpace(let path): self = .noSpace("no space left for \(path)")
        case .system(let error): self.init(error)
        default: self = .archive(error.description)
        }
    }

    public var description: String {
        switch self {
        case .notFound(let text), .conflict(let text), .readOnly(let text), .refused(let text), .archive(let text),
            .noSpace(let text):
            text
        case .system(let error): error.description
        }
    }
}

/// Runs what fails with an errno, as a copy error.
func copying<Result: ~Copyable>(_ body: () throws(SystemError) -> Result) throws(CopyError) -> Result {
    do { return try body() } catch { throw CopyError(error) }
}

/// Runs what fails as an image error, as a copy error.
func reading<Result: ~Copyable>(_ body: () throws(ImageError) -> Result) throws(CopyError) -> Result {
    do { return try body() } catch { throw CopyError(error) }
}
