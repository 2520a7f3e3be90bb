import CLinux
import Glibc

/// A failed system call: which one, on what, and the kernel's answer.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Name of the call as in its manual page, e.g. `openat2`.
    public let call: String
    /// The object of the call, usually a path; `nil` when there is none to name.
    public let path: String?
    /// Value of `errno` right after the call.
    public let code: Int32

    public init(_ call: String, path: String? = nil, code: Int32) {
        self.call = call
        self.path = path
        self.code = code
    }

    /// `strerror(3)` of the code.
    public var reason: String { String(cString: strerror(code)) }

    public var description: String {
        guard let path else { return "\(call): \(reason)" }
        return "\(call) \(path): \(reason)"
    }
}

/// Runs a system call, again while it is interrupted, and throws its `errno` when it answers a negative number.
@discardableResult
public func check<Result: SignedInteger>(
    _ call: String, path: String? = nil, _ body: () -> Result
) throws(SystemError) -> Result {
    while true {
        let result = body()
        if result >= 0 { return result }
        let code = errno
        if code == EINTR { continue }
        throw SystemError(call, path: path, code: code)
    }
}
