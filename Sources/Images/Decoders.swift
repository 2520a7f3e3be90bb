import CInflate
import CLibZstd
import Glibc

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
