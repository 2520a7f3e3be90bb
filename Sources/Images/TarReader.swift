import CLibArchive
import CLinux
import Glibc
import LinuxSystem

/// A tar stream (or, with `format: .raw`, just its decompressed bytes) through libarchive, which knows the dialects:
/// ustar, pax, GNU long names and sparse files.
final class TarReader {
    enum Format { case tar, raw }

    private let archive: OpaquePointer
    private let feed: Feed

    /// Hands a `ByteSource` to libarchive and keeps what it threw until the call that met it returns.
    private final class Feed {
        let source: any ByteSource
        var failure: ImageError?

        init(_ source: any ByteSource) { self.source = source }
    }

    init(_ source: any ByteSource, format: Format) throws(ImageError) {
        guard let archive = archive_read_new() else { throw .system(SystemError("archive_read_new", code: ENOMEM)) }
        self.archive = archive
        feed = Feed(source)
        switch format {
        case .tar:
            archive_read_support_filter_none(archive)
            archive_read_support_format_tar(archive)
            // An archive of nothing but zeros, or of nothing, is a valid empty tar.
            archive_read_support_format_empty(archive)
        case .raw:
            archive_read_support_filter_gzip(archive)
            archive_read_support_filter_zstd(archive)
            archive_read_support_format_raw(archive)
            archive_read_support_format_empty(archive)
        }
        let client = Unmanaged.passUnretained(feed).toOpaque()
        let code = archive_read_open(
            archive, client, nil,
            { _, client, buffer in
                guard let client, let buffer else { return -1 }
                let feed = Unmanaged<Feed>.fromOpaque(client).takeUnretainedValue()
                do throws(ImageError) {
                    let piece = try feed.source.next()
                    buffer.pointee = piece.baseAddress
                    return piece.count
                } catch {
                    feed.failure = error
                    return -1
                }
            }, nil)
        // Every property is set by now, so throwing runs deinit, which frees the archive.
        guard code == ARCHIVE_OK else { throw self.failure("its beginning") }
    }

    deinit { archive_read_free(archive) }

    /// The next entry, valid until the next call; `nil` at the end.
    func next() throws(ImageError) -> OpaquePointer? {
        var entry: OpaquePointer?
        switch archive_read_next_header(archive, &entry) {
        case ARCHIVE_EOF: return nil
        case ARCHIVE_OK, ARCHIVE_WARN:
            // libarchive would undo up to 25 compressions one after the other; image formats know one.
            guard archive_filter_count(archive) <= 2 else { throw .archive(why: "it is compressed more than once") }
            // A warning is a name that is not in the locale's character set: bytes are bytes to us.
            return entry
        default: throw failure("an entry's header")
        }
    }

    /// The next block of the present entry's content and its place in the file; `nil` at its end. What lies between
    /// blocks is a hole.
    func block() throws(ImageError) -> (bytes: UnsafeRawBufferPointer, offset: Int64)? {
        var start: UnsafeRawPointer?
        var count = 0
        var offset: Int64 = 0
        switch archive_read_data_block(archive, &start, &count, &offset) {
        case ARCHIVE_EOF: return nil
        case ARCHIVE_OK, ARCHIVE_WARN: return (UnsafeRawBufferPointer(start: start, count: count), offset)
        default: throw failure("an entry's content")
        }
    }

    private func failure(_ place: String) -> ImageError {
        if let failure = feed.failure { return failure }
        let text = archive_error_string(archive).map { String(cString: $0) } ?? "unreadable"
        return .archive(why: "\(place): \(text)")
    }
}

/// The decompressed bytes of a gzip or zstd stream.
final class DecompressedSource: ByteSource {
    private let reader: TarReader
    private var isOpen: Bool

    init(_ source: any ByteSource) throws(ImageError) {
        reader = try TarReader(source, format: .raw)
        isOpen = try reader.next() != nil
    }

    /// The content of `source`, which may be compressed: decided by its first bytes.
    static func opening(_ source: any ByteSource) throws(ImageError) -> any ByteSource {
        let peeked = try PeekedSource(source)
        let compression = try Compression(magic: Array(peeked.first.prefix(Compression.magicByteCount)))
        return compression == .none ? peeked : try DecompressedSource(peeked)
    }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        while isOpen {
            guard let block = try reader.block() else {
                isOpen = false
                break
            }
            if !block.bytes.isEmpty { return block.bytes }
        }
        return UnsafeRawBufferPointer(start: nil, count: 0)
    }
}

/// Bytes of an entry's name-like fields; libarchive gives them as they are in the archive.
func entryBytes(_ text: UnsafePointer<CChar>?) -> [UInt8] {
    guard let text else { return [] }
    return Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
}
