import CLinux
import Glibc
import Images
import LinuxSystem
import Registry

/// A file that ADD names by its http or https address. As BuildKit has it: called like the last part of the address's
/// path, `__unnamed__` where that has none; mode 0600, 0:0, as old as `Last-Modified` says, else of 1970.
public struct HTTPSource: Sendable {
    public let address: String
    /// Of the file in `source`.
    public let fileName: String
    private let checksum: Digest?
    private let cache: String
    private let byteCountMax: Int64

    public static let defaultByteCountMax: Int64 = 16 << 30

    /// What was fetched.
    public struct File: Sendable {
        /// Has the one file, as `fileName`; for a `CopyJob` with `isLiteral`.
        public let source: CopySource
        public let digest: Digest
    }

    /// - Parameters:
    ///   - address: what is behind `#` is not sent.
    ///   - checksum: of `--checksum`: `sha256:` and 64 digits.
    ///   - cache: a folder of the engine's own, mode 0700, which is made where it is missing.
    public init(
        _ address: String, checksum: String?, cache: String, byteCountMax: Int64 = defaultByteCountMax
    ) throws(BuildError) {
        let plain = AddressParts.cut(address[...], "#").before
        guard plain.hasPrefix("http://") || plain.hasPrefix("https://"), !plain.utf8.contains(UInt8(ascii: "\n")) else {
            throw .invalid("\(address.debugDescription) is no http address")
        }
        if let checksum {
            guard let digest = Digest(checksum) else {
                throw .invalid(
                    "\(checksum.debugDescription) is no checksum: it is sha256: and 64 digits of 0-9 and a-f")
            }
            self.checksum = digest
        } else {
            self.checksum = nil
        }
        self.address = String(plain)
        self.cache = cache
        self.byteCountMax = byteCountMax
        fileName = try Self.fileName(plain)
    }

    static func fileName(_ address: Substring) throws(BuildError) -> String {
        let parts = AddressParts.cut(address, "?").before.split(separator: "/", omittingEmptySubsequences: false)
        // `https:`, nothing, the host, the path.
        guard let path = AddressParts.decoded(parts.dropFirst(3).joined(separator: "/")) else {
            throw .invalid("\(String(address).debugDescription) has a broken escape")
        }
        guard let name = path.split(separator: "/").last.map(String.init), name != "." else { return "__unnamed__" }
        let byteCountMax = 255
        guard name != "..", !name.utf8.contains(0), name.utf8.count <= byteCountMax else {
            throw .invalid("\(String(address).debugDescription) gives no name for a file")
        }
        return name
    }

    // MARK: - Fetching

    /// Brings the file, or what is known of it when the server says that it did not change, or when it is what
    /// `--checksum` says.
    ///
    /// - Parameter secrets: what the address's own host is shown.
    public func fetch(
        with download: FileDownload, secrets: RemoteSecrets = RemoteSecrets(), stop: Cancellation
    ) throws(BuildError) -> File {
        let place = DownloadPlace(address, in: cache, fileName: fileName)
        let known = place.known()
        if let known, let checksum, known.digest == checksum { return try file(place, known) }
        let receipt = try place.receive()
        let answer: FileDownload.Answer
        do throws(RegistryError) {
            answer = try download.fetch(
                address, unless: known?.validator, authorization: secrets.httpAuthorization(address),
                byteCountMax: byteCountMax, stop: stop,
                restart: { () throws(RegistryError) in try receipt.restart() },
                into: { piece throws(RegistryError) in try receipt.add(piece) })
        } catch {
            throw Self.error(error, AddressParts.withoutUser(address))
        }
        if answer.isUnchanged, let known {
            try check(known.digest)
            return try file(place, known)
        }
        let digest = receipt.digest()
        try check(digest)
        let made = DownloadPlace.Known(digest: digest, validator: answer.validator)
        try place.keep(receipt, made)
        return try file(place, made)
    }

    private func check(_ digest: Digest) throws(BuildError) {
        guard let checksum, checksum != digest else { return }
        throw .remote("\(address) has digest \(digest), and \(checksum) was expected")
    }

    private func file(
        _ place: DownloadPlace, _ known: DownloadPlace.Known
    ) throws(BuildError) -> File {
        let folder = place.folder(of: known)
        let root = try building { () throws(SystemError) in try FileDescriptor.open(folder, O_PATH | O_DIRECTORY) }
        let source = CopySource(root: SharedDescriptor(root), ignore: nil, name: address, keepsOwners: false)
        return File(source: source, digest: known.digest)
    }

    private static func error(_ error: RegistryError, _ address: String) -> BuildError {
        switch error {
        case .cancelled: .cancelled
        case .system(let error): BuildError(error)
        case .certificate(_, let why): .remote("the certificate of \(address) is not trusted: \(why)")
        case .handshake(_, let why): .remote("no TLS with \(address): \(why)")
        case .tooLarge(_, let byteCountMax): .limit("\(address) is larger than \(byteCountMax) bytes")
        default: .remote("cannot fetch \(address): \(error)")
        }
    }

    /// Forgets files that no build asked for in the last `seconds`, and older versions of the others.
    public static func prune(cache: String, unusedForSeconds seconds: Int64) throws(BuildError) {
        try building { () throws(SystemError) in
            guard FileSystem.exists(cache) else { return }
            let now = Int64(time(nil))
            for name in try FileSystem.list(cache) {
                var status = stat()
                let path = "\(cache)/\(name)"
                guard lstat(path, &status) == 0 else { continue }
                guard now - Int64(status.st_mtim.tv_sec) <= seconds else {
                    try FileSystem.removeTree(path)
                    continue
                }
                try DownloadPlace.prune(path, now: now)
            }
        }
    }
}
