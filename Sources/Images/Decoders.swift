import CInflate
import CLibArchive
import CLibZstd
import CLinux
import Glibc
import LinuxSystem

/// The content of a gzip stream of any number of members (RFC 1952), by ISA-L where the machine has it, else by zlib.
/// What follows the last member and is no member itself is ignored, as gzip(1) does: the digest speaks for the content.
final class GzipSource: ByteSource {
    private static let outputByteCount = 256 << 10
    private let source: any ByteSource
    private let stream: OpaquePointer
    private let output = UnsafeMutableRawBufferPointer.allocate(byteCount: outputByteCount, alignment: 64)
    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Between two members, or after the last.
    private var isBetween = false
    private var isAtEnd = false

    /// `fast: false` is zlib, for tests.
    init(_ source: any ByteSource, fast: Bool = true) throws(ImageError) {
        guard let stream = gantry_inflate_new(fast ? 1 : 0) else { throw .archive(why: "no memory for a gzip decoder") }
        self.source = source
        self.stream = stream
    }

    deinit {
        gantry_inflate_free(stream)
        output.deallocate()
    }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        while !isAtEnd {
            if input.isEmpty { input = try source.next() }
            if isBetween, !(try startMember()) { break }
            let made = try step()
            if made > 0 { return UnsafeRawBufferPointer(rebasing: output[..<made]) }
        }
        isAtEnd = true
        return UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// False at the end of the stream.
    private func startMember() throws(ImageError) -> Bool {
        guard input.first == 0x1f else { return false }
        guard gantry_inflate_reset(stream) == 0 else { throw .archive(why: "no memory for a gzip decoder") }
        isBetween = false
        return true
    }

    private func step() throws(ImageError) -> Int {
        var used = input.count
        var made = output.count
        let result = gantry_inflate_step(
            stream, input.baseAddress?.assumingMemoryBound(to: UInt8.self), &used,
            output.baseAddress?.assumingMemoryBound(to: UInt8.self), &made)
        let wasEmpty = input.isEmpty
        input = UnsafeRawBufferPointer(rebasing: input[min(used, input.count)...])
        switch result {
        case Int32(GANTRY_INFLATE_END.rawValue): isBetween = true
        case Int32(GANTRY_INFLATE_MORE.rawValue):
            if wasEmpty, made == 0 { throw .archive(why: "a gzip stream ends too early") }
        default: throw .archive(why: "a gzip stream is damaged")
        }
        return made
    }
}

/// The content of a zstd stream of any number of frames (RFC 8878).
final class ZstdSource: ByteSource {
    /// Windows up to 128 MiB, as zstd(1) takes without being asked; usual ones have 8 MiB and less.
    private static let windowLogMax: Int32 = 27
    private static let outputByteCount = 256 << 10
    private let source: any ByteSource
    private let stream: OpaquePointer
    private let output = UnsafeMutableRawBufferPointer.allocate(byteCount: outputByteCount, alignment: 64)
    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    private var isFrameOpen = false

    init(_ source: any ByteSource) throws(ImageError) {
        guard let stream = ZSTD_createDCtx() else { throw .archive(why: "no memory for a zstd decoder") }
        ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, Self.windowLogMax)
        self.source = source
        self.stream = stream
    }

    deinit {
        ZSTD_freeDCtx(stream)
        output.deallocate()
    }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        while true {
            if input.isEmpty { input = try source.next() }
            if input.isEmpty, !isFrameOpen { return input }
            let wasEmpty = input.isEmpty
            var taken = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
            var made = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
            let result = ZSTD_decompressStream(stream, &made, &taken)
            guard ZSTD_isError(result) == 0 else {
                throw .archive(why: "a zstd stream is damaged: \(String(cString: ZSTD_getErrorName(result)))")
            }
            isFrameOpen = result != 0
            input = UnsafeRawBufferPointer(rebasing: input[taken.pos...])
            if made.pos > 0 { return UnsafeRawBufferPointer(rebasing: output[..<made.pos]) }
            if wasEmpty, isFrameOpen { throw .archive(why: "a zstd stream ends too early") }
        }
    }
}

/// The content of an xz or bzip2 stream, by libarchive. Its decoder of xz takes 1 GiB for a window at most.
final class OtherPackingSource: ByteSource {
    private static let outputByteCount = 256 << 10
    private let archive: OpaquePointer
    private let feed: ArchiveFeed
    private let output = UnsafeMutableRawBufferPointer.allocate(byteCount: outputByteCount, alignment: 64)

    init(_ source: any ByteSource) throws(ImageError) {
        guard let archive = archive_read_new() else { throw .system(SystemError("archive_read_new", code: ENOMEM)) }
        self.archive = archive
        feed = ArchiveFeed(source)
        archive_read_support_filter_xz(archive)
        archive_read_support_filter_bzip2(archive)
        archive_read_support_format_raw(archive)
        // An empty stream is a valid one.
        archive_read_support_format_empty(archive)
        var entry: OpaquePointer?
        // Every property is set by now, so throwing runs deinit, which frees the archive.
        guard feed.open(archive) == ARCHIVE_OK,
            [ARCHIVE_OK, ARCHIVE_EOF].contains(archive_read_next_header(archive, &entry))
        else { throw feed.failure(of: archive, "its beginning") }
        // What no decoder takes for its own is handed through; the last of the filters is the source itself.
        guard archive_filter_count(archive) > 1 else {
            throw .archive(why: "an xz or bzip2 stream is damaged at its beginning")
        }
    }

    deinit {
        archive_read_free(archive)
        output.deallocate()
    }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        let count = archive_read_data(archive, output.baseAddress, output.count)
        guard count >= 0 else { throw feed.failure(of: archive, "its content") }
        return UnsafeRawBufferPointer(rebasing: output[..<count])
    }
}

/// The content of a stream that is packed with xz or bzip2, in which tars are handed around though no layer is stored
/// so; anything else as it is. Beyond `byteCountMax`, or `ratioMax` times its size, the content is refused.
func withoutOtherPacking(
    _ source: any ByteSource, byteCountMax: UInt64 = .max, ratioMax: UInt64 = .max
) throws(ImageError) -> PeekedSource {
    let packed = MeasuringSource(source, hashing: false, byteCountMax: .max, what: "the archive")
    let peeked = try PeekedSource(packed)
    guard Compression.isOfNoImage(magic: Array(peeked.first.prefix(Compression.magicByteCount))) else { return peeked }
    let content = try PeekedSource(
        MeasuringSource(
            OtherPackingSource(peeked), hashing: false, byteCountMax: byteCountMax, what: "the archive",
            packed: packed, ratioMax: ratioMax))
    guard try content.compression == .none else { throw .archive(why: "it is compressed more than once") }
    return content
}

/// A source's content, which may be compressed: decided by its first bytes.
func decoded(_ source: any ByteSource) throws(ImageError) -> any ByteSource { try decoded(PeekedSource(source)) }

func decoded(_ source: PeekedSource) throws(ImageError) -> any ByteSource {
    let content: PeekedSource
    switch try source.compression {
    case .none: return source
    case .gzip: content = try PeekedSource(GzipSource(source))
    case .zstd: content = try PeekedSource(ZstdSource(source))
    }
    // Image formats know one compression; bombs are made of several.
    guard try content.compression == .none else { throw .archive(why: "it is compressed more than once") }
    return content
}
