import CLibArchive
import CLinux
import Glibc
import LinuxSystem

/// A tar stream through libarchive, which knows the dialects: ustar, pax, GNU long names and sparse files.
///
/// A reader of our own would not pay: of 2.2 s CPU for 48,000 files and 540 MB of zstd, libarchive takes 0.1 s; the
/// rest is the kernel making files, hashing and decoding.
final class TarReader {
    private let archive: OpaquePointer
    private let feed: ArchiveFeed
    private var isInEntry = false
    /// Bytes of the present entry's content that have not been handed out.
    private var leftByteCount: Int64 = 0
    /// The archive ended with an entry's last byte.
    private var isCutAtEnd = false

    /// Bytes of one entry's headers: long names, pax records, maps of sparse files. libarchive keeps a map as a list in
    /// memory, of a dozen bytes for each of the archive's: without a bound 200 kB of gzip take 2.3 GB.
    static let headerByteCountMax = 2 << 20

    init(_ source: any ByteSource) throws(ImageError) {
        guard let archive = archive_read_new() else { throw .system(SystemError("archive_read_new", code: ENOMEM)) }
        self.archive = archive
        feed = ArchiveFeed(source)
        archive_read_support_filter_none(archive)
        archive_read_support_format_tar(archive)
        // An archive of nothing but zeros, or of nothing, is a valid empty tar.
        archive_read_support_format_empty(archive)
        // Every property is set by now, so throwing runs deinit, which frees the archive.
        guard feed.open(archive) == ARCHIVE_OK else { throw self.failure("its beginning") }
    }

    deinit { archive_read_free(archive) }

    /// The next entry, valid until the next call; `nil` at the end.
    func next() throws(ImageError) -> OpaquePointer? {
        if isCutAtEnd { return nil }
        // What is left of the entry before may be long; it is passed over unread.
        feed.budget = nil
        if isInEntry, archive_read_data_skip(archive) < ARCHIVE_WARN { throw failure("an entry's content") }
        isInEntry = true
        feed.budget = Self.headerByteCountMax
        var entry: OpaquePointer?
        switch archive_read_next_header(archive, &entry) {
        case ARCHIVE_EOF: return nil
        case ARCHIVE_OK, ARCHIVE_WARN:
            // A warning is a name that is not in the locale's character set: bytes are bytes to us.
            leftByteCount = archive_entry_size(entry)
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
        feed.budget = Self.headerByteCountMax
        switch archive_read_data_block(archive, &start, &count, &offset) {
        case ARCHIVE_EOF: return nil
        case ARCHIVE_OK, ARCHIVE_WARN:
            leftByteCount -= Int64(count)
            return (UnsafeRawBufferPointer(start: start, count: count), offset)
        default:
            // Docker's client appends a Dockerfile from standard input so; what is missing is padding.
            isCutAtEnd = feed.isAtEnd && leftByteCount == 0
            if isCutAtEnd { return nil }
            throw failure("an entry's content")
        }
    }

    private func failure(_ place: String) -> ImageError { feed.failure(of: archive, place) }
}

/// Bytes of an entry's name-like fields; libarchive gives them as they are in the archive.
func entryBytes(_ text: UnsafePointer<CChar>?) -> [UInt8] {
    guard let text else { return [] }
    return Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
}
