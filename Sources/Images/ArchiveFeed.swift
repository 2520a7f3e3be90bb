import CLibArchive
import CLinux
import Glibc

/// Hands a `ByteSource` to libarchive and keeps what it threw until the call that met it returns.
final class ArchiveFeed {
    private let source: any ByteSource
    private(set) var failure: ImageError?
    private(set) var isAtEnd = false
    /// What libarchive may still read before it must have something to show; nil is any amount.
    var budget: Int?

    init(_ source: any ByteSource) { self.source = source }

    /// Opens `archive` (`archive_read_open(3)`), which must be freed before this object is; libarchive's code.
    func open(_ archive: OpaquePointer) -> Int32 {
        archive_read_open(
            archive, Unmanaged.passUnretained(self).toOpaque(), nil,
            { _, client, buffer in
                guard let client, let buffer else { return -1 }
                return Unmanaged<ArchiveFeed>.fromOpaque(client).takeUnretainedValue().hand(to: buffer)
            }, nil)
    }

    private func hand(to buffer: UnsafeMutablePointer<UnsafeRawPointer?>) -> Int {
        do throws(ImageError) {
            let piece = try source.next()
            isAtEnd = piece.isEmpty
            if let left = budget {
                budget = left - piece.count
                if left < 0 { throw .archive(why: "it has more than \(TarReader.headerByteCountMax) bytes of headers") }
            }
            buffer.pointee = piece.baseAddress
            return piece.count
        } catch {
            failure = error
            return -1
        }
    }

    /// Why a call on `archive` failed, at `place`.
    func failure(of archive: OpaquePointer, _ place: String) -> ImageError {
        if let failure { return failure }
        let text = archive_error_string(archive).map { String(cString: $0) } ?? "unreadable"
        return .archive(why: "\(place): \(text)")
    }
}
