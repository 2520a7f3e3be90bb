/// Cuts a stream of bytes into lines; a line that is not complete is kept for later.
public struct LineSplitter: Sendable {
    /// Of one line of JSON.
    public static let lineByteCountMax = 4 << 20

    private var pending: [UInt8] = []

    public init() {}

    /// Lines that are complete now, without LF or CRLF, without empty ones.
    public mutating func feed(_ bytes: some Sequence<UInt8>) throws(HTTPFault) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        for byte in bytes {
            if byte == 0x0a {
                if pending.last == 0x0d { pending.removeLast() }
                if !pending.isEmpty { lines.append(pending) }
                pending = []
            } else {
                guard pending.count < Self.lineByteCountMax else { throw .lineTooLong }
                pending.append(byte)
            }
        }
        return lines
    }

    /// What is left at the end of the stream: a last line without its newline.
    public mutating func finish() -> [UInt8]? {
        defer { pending = [] }
        return pending.isEmpty ? nil : pending
    }
}
