import CLibCrypto

/// A SHA-256 content address, `sha256:` and 64 lower-case hexadecimal digits (image-spec `descriptor.md`).
public struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The 64 digits; safe as a file name.
    public let hex: String

    /// The digest written as `sha256:<64 hex>`; nil for anything else.
    public init?(_ text: String) {
        guard text.hasPrefix("sha256:") else { return nil }
        self.init(hex: String(text.dropFirst(7)))
    }

    public init?(hex: String) {
        guard hex.utf8.count == 64, hex.utf8.allSatisfy(Digest.isLowerHex) else { return nil }
        self.hex = hex
    }

    /// Of the 32 bytes of a SHA-256.
    package init(bytes: [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        hex = String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    public static func sha256(of bytes: [UInt8]) -> Digest {
        let hasher = Hasher256()
        bytes.withUnsafeBytes { hasher.update($0) }
        return hasher.finish()
    }

    public var description: String { "sha256:\(hex)" }
    /// The first 12 digits, as shown in lists.
    public var short: String { String(hex.prefix(12)) }

    public static func < (left: Digest, right: Digest) -> Bool { left.hex < right.hex }

    static func isLowerHex(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}

extension Digest: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let digest = Digest(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(text.prefix(100).debugDescription) is not a sha256 digest")
        }
        self = digest
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// SHA-256 of bytes that arrive in pieces (libcrypto, SHA-NI where the processor has it).
public final class Hasher256 {
    private let context = UnsafeMutablePointer<SHA256_CTX>.allocate(capacity: 1)

    public init() {
        context.initialize(to: SHA256_CTX())
        SHA256_Init(context)
    }

    deinit { context.deallocate() }

    public func update(_ bytes: UnsafeRawBufferPointer) {
        SHA256_Update(context, bytes.baseAddress, bytes.count)
    }

    /// The digest of everything so far; call once.
    public func finish() -> Digest { Digest(bytes: finishBytes()) }

    /// The 32 bytes of the digest of everything so far; call once.
    package func finishBytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        SHA256_Final(&bytes, context)
        return bytes
    }
}
