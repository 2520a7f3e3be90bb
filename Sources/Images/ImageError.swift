import Glibc
import LinuxSystem

/// What can go wrong with images, told so that the user knows what to do.
public enum ImageError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No image of that name or id; `similar` holds the nearest names there are, best first.
    case notFound(name: String, similar: [String])
    /// An id prefix that fits more than one image.
    case ambiguous(prefix: String, ids: [Digest])
    /// A text that is no image reference, and the rule it breaks.
    case invalidReference(text: String, why: String)
    /// A text that is no instruction for an image's configuration, and why.
    case invalidChange(text: String, why: String)
    /// The archive is malformed, truncated, hostile or beyond a limit.
    case archive(why: String)
    /// Content that is not what its digest says.
    case digestMismatch(expected: Digest, actual: Digest, what: String)
    /// Well-formed, and something Gantry does not do.
    case unsupported(String)
    /// Content of the store that is missing or changed; the image must be loaded again.
    case damaged(String)
    /// Another process has the store open.
    case locked(path: String)
    case noSpace(path: String)
    case system(SystemError)

    /// Full disks and quotas get their own case: they are the user's to solve.
    public init(_ error: SystemError) {
        if error.code == ENOSPC || error.code == EDQUOT {
            self = .noSpace(path: error.path ?? "the image store")
        } else {
            self = .system(error)
        }
    }

    public var description: String {
        switch self {
        case .notFound(let name, let similar):
            let hint = similar.isEmpty ? "" : "; similar: \(similar.joined(separator: ", "))"
            return "no such image: \(name)\(hint)"
        case .ambiguous(let prefix, let ids):
            return "image id \(prefix) is not unique: \(ids.map(\.short).joined(separator: ", "))"
        case .invalidReference(let text, let why):
            return "invalid image reference \(text.prefix(300).debugDescription): \(why)"
        case .invalidChange(let text, let why):
            return "invalid change \(text.prefix(300).debugDescription): \(why)"
        case .archive(let why):
            return "bad image archive: \(why)"
        case .digestMismatch(let expected, let actual, let what):
            return "\(what) has digest \(actual), expected \(expected)"
        case .unsupported(let what):
            return "not supported: \(what)"
        case .damaged(let what):
            return "image store damaged: \(what)"
        case .locked(let path):
            return "image store \(path) is open in another process"
        case .noSpace(let path):
            return "no space left for \(path)"
        case .system(let error):
            return error.description
        }
    }
}

/// Runs what fails with an errno, as an image error.
func converting<Result: ~Copyable>(_ body: () throws(SystemError) -> Result) throws(ImageError) -> Result {
    do {
        return try body()
    } catch {
        throw ImageError(error)
    }
}

/// Bytes from an archive as text for a message: quoted, control characters escaped, at most 200 bytes.
package func quoted(_ bytes: some Collection<UInt8>) -> String {
    let byteCountMax = 200
    let text = String(decoding: bytes.prefix(byteCountMax), as: UTF8.self).debugDescription
    return bytes.count > byteCountMax ? "\(text)… (\(bytes.count) bytes)" : text
}
