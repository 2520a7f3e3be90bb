import CLinux
import Glibc
import Images
import LinuxSystem
import Registry
import Synchronization

/// Where the content of one address is kept: `CACHE/KEY/SHA256-SECONDS/NAME`, and what is known of it in
/// `CACHE/KEY/about`. Content of one age has a folder of its own, whose file is never replaced, since builds may be
/// copying from it, and is on the disk before it has its name.
struct DownloadPlace {
    /// What is known of the content of an address.
    struct Known: Equatable {
        var digest: Digest
        var validator: FileDownload.Validator

        /// Seconds since 1970: as old as the server says.
        var modified: Int64 { HTTPDate.seconds(validator.date) ?? 0 }
        fileprivate var folderName: String { "\(digest.hex)-\(modified)" }
    }

    private static let magic = "gantry download 1"
    private static let aboutByteCountMax = 64 << 10
    /// For how long a content that is not the address's any more may still be copied from.
    private static let secondsInUseMax: Int64 = 86_400
    private let folder: String
    private let fileName: String

    init(_ address: String, in cache: String, fileName: String) {
        folder = "\(cache)/\(Digest.sha256(of: Array(address.utf8)).hex)"
        self.fileName = fileName
    }

    func folder(of known: Known) -> String { "\(folder)/\(known.folderName)" }

    /// nil where there is nothing, or something that is not as it was left.
    func known() -> Known? {
        guard let known = Self.known(in: folder), FileSystem.exists("\(folder(of: known))/\(fileName)") else {
            return nil
        }
        // They are in use: `prune` goes by this.
        for path in [folder, folder(of: known)] { utimensat(AT_FDCWD, path, nil, 0) }
        return known
    }

    private static func known(in folder: String) -> Known? {
        let lines: [Substring]
        do throws(SystemError) {
            let bytes = try FileSystem.readFile("\(folder)/about", byteCountMax: aboutByteCountMax)
            lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        } catch {
            // It is fetched anew.
            return nil
        }
        guard lines.count == 5, lines[0] == magic, let digest = Digest(String(lines[1])) else { return nil }
        let validator = FileDownload.Validator(tag: String(lines[2]), date: String(lines[3]))
        return Known(digest: digest, validator: validator)
    }

    func receive() throws(BuildError) -> DownloadReceipt {
        try building { () throws(SystemError) in
            try FileSystem.makeDirectories(folder, mode: 0o700)
            return try DownloadReceipt(fileName, in: folder)
        }
    }

    /// Gives what was received its name, unless the same is there.
    func keep(_ receipt: DownloadReceipt, _ known: Known) throws(BuildError) {
        try building { () throws(SystemError) in
            try receipt.finish(modified: known.modified)
            let target = folder(of: known)
            if rename(receipt.folder, target) != 0 {
                guard errno == ENOTEMPTY || errno == EEXIST else {
                    throw SystemError("rename", path: target, code: errno)
                }
                utimensat(AT_FDCWD, target, nil, 0)
            }
            // A tag with a line end in it would be another record.
            func line(_ text: String) -> String { text.unicodeScalars.contains("\n") ? "" : text }
            let tag = line(known.validator.tag)
            let date = line(known.validator.date)
            let about = "\(Self.magic)\n\(known.digest)\n\(tag)\n\(date)\n"
            try FileSystem.replaceFile("\(folder)/about", with: about.utf8, mode: 0o600)
        }
    }

    /// Removes what the address had before, and what was received in part, once nobody can be at it any more.
    static func prune(_ folder: String, now: Int64) throws(SystemError) {
        let wanted = known(in: folder)?.folderName
        for name in try FileSystem.list(folder) where name != wanted && name != "about" {
            var status = stat()
            let path = "\(folder)/\(name)"
            guard lstat(path, &status) == 0, now - Int64(status.st_mtim.tv_sec) > secondsInUseMax else { continue }
            try FileSystem.removeTree(path)
        }
    }
}

/// A file that is being received, in a folder of its own; gone unless it is kept.
final class DownloadReceipt {
    private static let counter = Atomic<UInt64>(0)
    let folder: String
    private let path: String
    private let file: SharedDescriptor
    private var hasher = Hasher256()

    init(_ name: String, in parent: String) throws(SystemError) {
        let number = Self.counter.add(1, ordering: .relaxed).newValue
        folder = "\(parent)/new-\(getpid())-\(number)"
        path = "\(folder)/\(name)"
        try FileSystem.makeDirectories(folder, mode: 0o700)
        file = SharedDescriptor(
            try FileDescriptor.open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600))
    }

    deinit {
        unlink(path)
        rmdir(folder)
    }

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
        // A name that outlives the power must not be that of half a file.
        try check("fsync", path: path) { fsync(raw) }
    }
}
