import CLinux
import Glibc
import Images
import LinuxSystem
import Registry
import Synchronization

/// Where the content of one address is kept: `CACHE/KEY/SHA256/NAME`, and what is known of it in `CACHE/KEY/about`. A
/// content has a folder of its own, so that one that is being copied from is not replaced.
struct DownloadPlace {
    /// What is known of the content of an address.
    struct Known: Equatable {
        var digest: Digest
        var validator: FileDownload.Validator
    }

    private static let magic = "gantry download 1"
    private static let aboutByteCountMax = 64 << 10
    private let folder: String
    private let fileName: String

    init(_ address: String, in cache: String, fileName: String) {
        folder = "\(cache)/\(Digest.sha256(of: Array(address.utf8)).hex)"
        self.fileName = fileName
    }

    func folder(of digest: Digest) -> String { "\(folder)/\(digest.hex)" }

    /// nil where there is nothing, or something that is not as it was left.
    func known() -> Known? {
        let lines: [Substring]
        do throws(SystemError) {
            let bytes = try FileSystem.readFile("\(folder)/about", byteCountMax: Self.aboutByteCountMax)
            lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        } catch {
            // It is fetched anew.
            return nil
        }
        guard lines.count == 5, lines[0] == Self.magic, let digest = Digest(String(lines[1])),
            FileSystem.exists("\(folder(of: digest))/\(fileName)")
        else { return nil }
        // It is in use: `prune` goes by this.
        utimensat(AT_FDCWD, folder, nil, 0)
        let validator = FileDownload.Validator(tag: String(lines[2]), date: String(lines[3]))
        return Known(digest: digest, validator: validator)
    }

    func receive() throws(BuildError) -> DownloadReceipt {
        try building { () throws(SystemError) in
            try FileSystem.makeDirectories(folder, mode: 0o700)
            return try DownloadReceipt(in: folder)
        }
    }

    /// Gives what was received its name.
    func keep(_ receipt: DownloadReceipt, _ known: Known, modified: Int64) throws(BuildError) {
        try building { () throws(SystemError) in
            try receipt.finish(modified: modified)
            let target = folder(of: known.digest)
            try FileSystem.makeDirectories(target, mode: 0o700)
            try check("rename", path: target) { rename(receipt.path, "\(target)/\(fileName)") }
            // A tag with a line end in it would be another record.
            func line(_ text: String) -> String { text.unicodeScalars.contains("\n") ? "" : text }
            let tag = line(known.validator.tag)
            let date = line(known.validator.date)
            let about = "\(Self.magic)\n\(known.digest)\n\(tag)\n\(date)\n"
            try FileSystem.replaceFile("\(folder)/about", with: about.utf8, mode: 0o600)
        }
    }
}

/// A file that is being received; gone unless it is kept.
final class DownloadReceipt {
    private static let counter = Atomic<UInt64>(0)
    let path: String
    private let file: SharedDescriptor
    private var hasher = Hasher256()

    init(in folder: String) throws(SystemError) {
        let number = Self.counter.add(1, ordering: .relaxed).newValue
        path = "\(folder)/new-\(getpid())-\(number)"
        file = SharedDescriptor(
            try FileDescriptor.open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600))
    }

    deinit { unlink(path) }

    func restart() throws(RegistryError) {
        hasher = Hasher256()
        guard ftruncate(file.raw, 0) == 0, lseek(file.raw, 0, SEEK_SET) == 0 else {
            throw .system(SystemError("ftruncate", path: path, code: errno))
        }
    }

    func add(_ piece: UnsafeRawBufferPointer) throws(RegistryError) {
        hasher.update(piece)
        var done = 0
        while done < piece.count {
            let count = write(file.raw, piece.baseAddress.map { $0 + done }, piece.count - done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system(SystemError("write", path: path, code: errno)) }
            done += count
        }
    }

    /// Of all that came. Call once.
    func digest() -> Digest { hasher.finish() }

    func finish(modified: Int64) throws(SystemError) {
        let times = [timespec](repeating: timespec(tv_sec: Int(modified), tv_nsec: 0), count: 2)
        let raw = file.raw
        try check("futimens", path: path) { futimens(raw, times) }
    }
}
