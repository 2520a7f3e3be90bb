import CLinux
import Glibc
import LinuxSystem

/// Bytes in pieces. A piece is valid until the next call; an empty one is the end.
protocol ByteSource: AnyObject {
    func next() throws(ImageError) -> UnsafeRawBufferPointer
}

/// Reads a descriptor from where it stands, without seeking: pipes and sockets will do.
final class DescriptorSource: ByteSource {
    private static let bufferByteCount = 256 << 10
    /// How often `onRead` is called.
    private static let reportByteCount: UInt64 = 1 << 20
    private static let firstByteCountMin = 512
    private let descriptor: Int32
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferByteCount, alignment: 64)
    private let onRead: (UInt64) -> Void
    private var byteCount: UInt64 = 0
    private var reportedByteCount: UInt64 = 0

    /// `descriptor` must stay open as long as this object; `onRead` is told the bytes read so far, each MiB and at the
    /// end.
    init(descriptor: Int32, onRead: @escaping (UInt64) -> Void = { _ in }) {
        self.descriptor = descriptor
        self.onRead = onRead
    }

    deinit { buffer.deallocate() }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        var count = 0
        // A pipe may deliver byte by byte; who looks at the first piece needs a header's worth.
        repeat {
            let got = try converting { () throws(SystemError) -> Int in
                try check("read") { read(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count) }
            }
            if got == 0 { break }
            count += got
        } while byteCount == 0 && count < Self.firstByteCountMin
        byteCount += UInt64(count)
        if byteCount - reportedByteCount >= Self.reportByteCount || (count == 0 && byteCount > reportedByteCount) {
            reportedByteCount = byteCount
            onRead(byteCount)
        }
        return UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }
}

/// A source whose first piece can be looked at before it is read.
final class PeekedSource: ByteSource {
    private let source: any ByteSource
    let first: UnsafeRawBufferPointer
    private var isFirst = true

    /// How the source is packed, by its first bytes.
    var compression: Compression {
        get throws(ImageError) { try Compression(magic: Array(first.prefix(Compression.magicByteCount))) }
    }

    init(_ source: any ByteSource) throws(ImageError) {
        self.source = source
        first = try source.next()
    }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        // The piece is valid until the source is asked again, which it was not.
        if isFirst {
            isFirst = false
            return first
        }
        return try source.next()
    }
}

/// Counts, and hashes when asked to, what passes through; fails beyond a limit.
final class MeasuringSource: ByteSource {
    private let source: any ByteSource
    private let hasher: Hasher256?
    private let byteCountMax: UInt64
    private let what: String
    private let packed: MeasuringSource?
    private let ratioMax: UInt64
    private(set) var byteCount: UInt64 = 0
    /// Below so many bytes no ratio is suspicious: zeros pack well.
    private static let ratioFreeByteCount: UInt64 = 1 << 30

    /// With `packed`, the source below the decoder, the content may be `ratioMax` times as large at most.
    init(
        _ source: any ByteSource, hashing: Bool, byteCountMax: UInt64, what: String, packed: MeasuringSource? = nil,
        ratioMax: UInt64 = .max
    ) {
        self.source = source
        self.byteCountMax = byteCountMax
        self.what = what
        self.packed = packed
        self.ratioMax = ratioMax
        hasher = hashing ? Hasher256() : nil
    }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        let piece = try source.next()
        byteCount += UInt64(piece.count)
        guard byteCount <= byteCountMax else {
            throw .archive(why: "\(what) unpacks to more than \(byteCountMax) bytes")
        }
        if let packed, byteCount > Self.ratioFreeByteCount, byteCount / max(1, packed.byteCount) > ratioMax {
            throw .archive(why: "\(what) unpacks to more than \(ratioMax) times its size")
        }
        if !piece.isEmpty { hasher?.update(piece) }
        return piece
    }

    /// Reads what is left, then gives the digest of everything; nil without hashing.
    func finish() throws(ImageError) -> Digest? {
        while try !next().isEmpty {}
        return hasher?.finish()
    }
}

/// How a stream is packed, by its first bytes.
enum Compression: Equatable {
    case none, gzip, zstd

    /// Enough to tell all the kinds apart.
    static let magicByteCount = 6

    private static let xzMagic: [UInt8] = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]
    private static let bzip2Magic = Array("BZh".utf8)

    /// xz and bzip2: ADD unpacks such archives, formats of images do not have them.
    static func isOfNoImage(magic bytes: [UInt8]) -> Bool {
        bytes.starts(with: xzMagic) || bytes.starts(with: bzip2Magic)
    }

    init(magic bytes: [UInt8]) throws(ImageError) {
        func starts(_ magic: [UInt8]) -> Bool { bytes.starts(with: magic) }
        // A zstd stream may open with a skippable frame, magic 0x184D2A50 to 5F (RFC 8878 section 3.1.2).
        let isSkippable = bytes.count >= 4 && bytes[0] & 0xf0 == 0x50 && bytes[1...3].elementsEqual([0x2a, 0x4d, 0x18])
        if starts([0x1f, 0x8b]) {
            self = .gzip
        } else if starts([0x28, 0xb5, 0x2f, 0xfd]) || isSkippable {
            self = .zstd
        } else if starts(Self.xzMagic) {
            throw .unsupported("xz compression")
        } else if starts(Self.bzip2Magic) {
            throw .unsupported("bzip2 compression")
        } else if starts([0x04, 0x22, 0x4d, 0x18]) {
            throw .unsupported("lz4 compression")
        } else {
            self = .none
        }
    }
}
