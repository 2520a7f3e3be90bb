import Glibc
import LinuxSystem

/// Why a netlink exchange failed.
public enum NetlinkError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A socket call failed.
    case system(SystemError)
    /// The kernel refused a request: what was asked, its errno (positive) and its own words (extended ack), if any.
    case refused(operation: String, code: Int32, reason: String?)
    /// Bytes from the kernel do not follow the format.
    case malformed(String)
    /// A request does not fit: an attribute or message is longer than its 16-bit length can say.
    case oversized(operation: String)
    /// The receive buffer overflowed and messages were lost.
    case overrun
    /// A dump was inconsistent on every one of the attempts.
    case dumpInterrupted(operation: String)

    /// The kernel's errno, when it refused or a call failed.
    public var code: Int32? {
        switch self {
        case .system(let error): error.code
        case .refused(_, let code, _): code
        case .malformed, .oversized, .overrun, .dumpInterrupted: nil
        }
    }

    public var description: String {
        switch self {
        case .system(let error): return error.description
        case .refused(let operation, let code, let reason):
            let text = String(cString: strerror(code))
            return reason.map { "\(operation): \(text) (\($0))" } ?? "\(operation): \(text)"
        case .malformed(let what): return "malformed netlink message: \(what)"
        case .oversized(let operation): return "\(operation): request too large for a netlink message"
        case .overrun: return "netlink receive buffer overflowed"
        case .dumpInterrupted(let operation): return "\(operation): tables changed during every dump"
        }
    }
}
