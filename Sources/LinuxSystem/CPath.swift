/// A NUL-terminated path of arbitrary bytes: names in archives need not be UTF-8, so they never become a `String`.
public struct CPath: Sendable {
    private let terminated: [UInt8]

    public init(_ bytes: some Sequence<UInt8>) { terminated = Array(bytes) + [0] }

    /// Without the terminator.
    public var bytes: ArraySlice<UInt8> { terminated.dropLast() }

    public func withPointer<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        terminated.withUnsafeBytes { buffer in
            // The buffer is never empty: it ends in NUL.
            guard let base = buffer.baseAddress else { preconditionFailure("empty path buffer") }
            return body(base.assumingMemoryBound(to: CChar.self))
        }
    }

    /// For messages: what is no UTF-8 is replaced.
    var text: String { String(decoding: bytes, as: UTF8.self) }
}
