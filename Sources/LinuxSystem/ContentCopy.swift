import CLinux
import Glibc

/// Copies what is in a file: by reference where the file system can (btrfs, XFS), within the kernel elsewhere. Holes
/// stay holes.
public enum ContentCopy {
    private static let pieceByteCountMax = 16 << 20
    /// `st_blocks` counts these (stat(3type)).
    private static let blockByteCount = 512

    /// Copies the first `byteCount` bytes of `source` to the same places of the empty file `destination`, and answers
    /// how many there were: less when the file has become shorter meanwhile.
    ///
    /// - Parameter blockCount: `st_blocks` of the source.
    public static func copy(
        from source: Int32, to destination: Int32, byteCount: Int, blockCount: Int
    ) throws(SystemError) -> Int {
        guard blockCount < byteCount / blockByteCount else {
            return try copy(from: source, to: destination, 0..<byteCount)
        }
        var place = 0
        while place < byteCount {
            let start = lseek(source, place, SEEK_DATA)
            // ENXIO: a hole up to the end.
            if start < 0, errno == ENXIO { break }
            guard start >= place else { return try copy(from: source, to: destination, place..<byteCount) }
            let end = try check("lseek") { lseek(source, start, SEEK_HOLE) }
            guard start < byteCount, end > start else { break }
            let piece = start..<min(end, byteCount)
            guard try copy(from: source, to: destination, piece) == piece.upperBound else { break }
            place = end
        }
        var status = stat()
        try check("fstat") { fstat(source, &status) }
        let copied = min(byteCount, max(0, Int(status.st_size)))
        try check("ftruncate") { ftruncate(destination, copied) }
        return copied
    }

    /// Answers where it ended.
    private static func copy(from source: Int32, to destination: Int32, _ range: Range<Int>) throws(SystemError) -> Int
    {
        var place = range.lowerBound
        while place < range.upperBound {
            let count = min(range.upperBound - place, pieceByteCountMax)
            let copied = try check("copy") {
                var (from, to) = (off64_t(place), off64_t(place))
                let copied = copy_file_range(source, &from, destination, &to, count, 0)
                // Between kinds of file systems, or where one cannot: copy_file_range(2).
                guard copied < 0, [EXDEV, EINVAL, EOPNOTSUPP, ENOSYS, EPERM].contains(errno) else { return copied }
                from = off64_t(place)
                guard lseek(destination, place, SEEK_SET) >= 0 else { return -1 }
                return sendfile(destination, source, &from, count)
            }
            if copied == 0 { break }
            place += copied
        }
        return place
    }
}
