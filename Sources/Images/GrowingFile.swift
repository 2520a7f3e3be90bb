import CLinux
import Glibc
import LinuxSystem

/// A blob on its way to the disk: one thread writes and hashes, another reads behind it. The file is the buffer between
/// the two (its pages are still in memory), so a slow reader never stops the writer, and what is written is the blob
/// that the store keeps: nothing is copied twice.
final class GrowingFile: Sendable {
    enum Ending: Sendable, Equatable { case complete, abandoned }
    struct Progress: Sendable {
        var byteCount: Int64 = 0
        var ending: Ending?
        /// What the reader waits for; before that it sleeps on.
        var wantedByteCount: Int64 = 0
    }

    /// A reader that waits gets as much at once: woken for each piece of a network, it would sleep and wake thousands
    /// of times for a layer, and on a busy machine wait each time for its turn.
    static let wakeByteCount: Int64 = 256 << 10

    let path: String
    private let file: SharedDescriptor
    private let progress: Monitor<Progress>

    /// Makes the file, or takes the one that is there with `existing` as its first `byteCount` bytes.
    init(path: String, continuing byteCount: Int64 = 0) throws(ImageError) {
        self.path = path
        file = try converting { () throws(SystemError) in
            SharedDescriptor(
                try FileDescriptor.open(path, O_RDWR | O_CREAT | (byteCount == 0 ? O_TRUNC : 0), mode: 0o600))
        }
        progress = Monitor(Progress(byteCount: byteCount))
    }

    var raw: Int32 { file.raw }
    var byteCount: Int64 { progress.read { $0.byteCount } }

    /// For the one writer: appends and lets readers go on.
    func append(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        let start = byteCount
        var done = 0
        while done < bytes.count {
            do throws(SystemError) {
                done += try check("pwrite", path: path) {
                    pwrite(raw, bytes.baseAddress.map { $0 + done }, bytes.count - done, Int(start) + done)
                }
            } catch {
                throw ImageError(error)
            }
        }
        progress.changeQuietly { progress in
            progress.byteCount += Int64(bytes.count)
            return progress.byteCount >= progress.wantedByteCount
        }
    }

    func end(_ ending: Ending) { progress.change { $0.ending = $0.ending ?? ending } }

    fileprivate enum Readable { case bytes(Int64), end, abandoned }

    /// Waits until there is more than `offset`, or will never be.
    fileprivate func readable(after offset: Int64) -> Readable {
        progress.wait { progress -> Readable? in
            if progress.ending == .abandoned { return .abandoned }
            let byteCount = progress.byteCount - offset
            if byteCount >= Self.wakeByteCount { return .bytes(byteCount) }
            if progress.ending == .complete { return byteCount > 0 ? .bytes(byteCount) : .end }
            progress.wantedByteCount = offset + Self.wakeByteCount
            return nil
        }
    }
}

/// Reads a `GrowingFile` from its beginning to its end, as it grows.
final class FollowingSource: ByteSource {
    private static let bufferByteCount = 256 << 10
    private let file: GrowingFile
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferByteCount, alignment: 64)
    private let onRead: (UInt64) -> Void
    private var offset: Int64 = 0

    /// `onRead` is told the bytes read so far.
    init(_ file: GrowingFile, onRead: @escaping (UInt64) -> Void = { _ in }) {
        self.file = file
        self.onRead = onRead
    }

    deinit { buffer.deallocate() }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        let wanted: Int
        switch file.readable(after: offset) {
        case .bytes(let count): wanted = min(Int(count), buffer.count)
        case .end: return UnsafeRawBufferPointer(start: nil, count: 0)
        case .abandoned: throw .archive(why: "the layer did not arrive as a whole")
        }
        var count = 0
        while count < wanted {
            let got = try converting { () throws(SystemError) -> Int in
                try check("pread", path: file.path) {
                    pread(file.raw, buffer.baseAddress.map { $0 + count }, wanted - count, Int(offset) + count)
                }
            }
            guard got > 0 else { throw .damaged("\(file.path) was cut off while it was read") }
            count += got
        }
        offset += Int64(count)
        if count > 0 { onRead(UInt64(offset)) }
        return UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }
}
