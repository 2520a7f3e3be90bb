import CLinux
import Glibc
import Synchronization

extension FileDescriptor {
    /// Reads once; an empty result is the end of the file.
    public borrowing func read(upTo byteCountMax: Int) throws(SystemError) -> [UInt8] {
        let raw = raw
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: byteCountMax) { buffer, count in
            do {
                count = try check("read") { readOnce(raw, buffer.baseAddress, byteCountMax) }
            } catch let error as SystemError {
                failure = error
                count = 0
            } catch {
                preconditionFailure("check throws SystemError only")
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Reads to the end of the file, `EFBIG` when it holds more than `byteCountMax` bytes.
    public borrowing func readAll(byteCountMax: Int = 16 << 20) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let chunk = try read(upTo: 64 << 10)
            if chunk.isEmpty { return bytes }
            bytes += chunk
            if bytes.count > byteCountMax { throw SystemError("read", code: EFBIG) }
        }
    }

    /// Writes every byte.
    public borrowing func writeAll(_ bytes: borrowing some Collection<UInt8>) throws(SystemError) {
        let bytes = Array(copy bytes)
        let raw = raw
        var offset = 0
        while offset < bytes.count {
            offset += try check("write") {
                bytes.withUnsafeBytes { write(raw, $0.baseAddress.map { $0 + offset }, $0.count - offset) }
            }
        }
    }
}

private func readOnce(_ descriptor: Int32, _ buffer: UnsafeMutablePointer<UInt8>?, _ count: Int) -> Int {
    Glibc.read(descriptor, buffer, count)
}

/// Whole-file helpers for paths that Gantry owns.
public enum FileSystem {
    private static let replacementCount = Atomic<UInt64>(0)

    public static func readFile(_ path: String, byteCountMax: Int = 16 << 20) throws(SystemError) -> [UInt8] {
        do {
            return try FileDescriptor.open(path, O_RDONLY).readAll(byteCountMax: byteCountMax)
        } catch {
            throw SystemError(error.call, path: path, code: error.code)
        }
    }

    /// Writes to a temporary name beside `path`, then renames over it: a reader sees the old content or the new.
    /// `durable` makes it survive a power cut (fsync of the file and its directory).
    public static func replaceFile(
        _ path: String, with bytes: some Collection<UInt8>, mode: mode_t = 0o600, durable: Bool = false
    ) throws(SystemError) {
        // Two threads may replace the same file at once.
        let number = replacementCount.add(1, ordering: .relaxed).newValue
        let temporary = "\(path).tmp.\(getpid()).\(number)"
        do {
            let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
            try file.writeAll(bytes)
            if durable {
                let raw = file.raw
                try check("fsync", path: temporary) { fsync(raw) }
            }
            try check("rename", path: path) { rename(temporary, path) }
            if durable { try syncDirectory(parent(of: path)) }
        } catch {
            unlink(temporary)  // Best effort: the error that matters is the one on its way out.
            let known = error.path == temporary ? nil : error.path
            throw SystemError(error.call, path: known ?? path, code: error.code)
        }
    }

    /// Writes to where a user points: as `replaceFile`, but through symbolic links, and into devices and pipes, which
    /// must not be replaced by a file (`/dev/stdout`).
    public static func writeOutput(
        _ path: String, with bytes: some Collection<UInt8>, mode: mode_t = 0o644
    ) throws(SystemError) {
        var status = stat()
        guard stat(path, &status) == 0 else { return try replaceFile(path, with: bytes, mode: mode) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            let file = try FileDescriptor.open(path, O_WRONLY | O_TRUNC)
            return try file.writeAll(bytes)
        }
        guard let resolved = realpath(path, nil) else { throw SystemError("realpath", path: path, code: errno) }
        defer { free(resolved) }
        try replaceFile(String(cString: resolved), with: bytes, mode: mode)
    }

    public static func syncDirectory(_ path: String) throws(SystemError) {
        let raw = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
        try check("fsync", path: path) { fsync(raw.raw) }
    }

    /// `mkdir -p`. Existing directories are left as they are.
    public static func makeDirectories(_ path: String, mode: mode_t = 0o700) throws(SystemError) {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, path.count > 1 else { throw SystemError("mkdir", path: path, code: errno) }
        try makeDirectories(parent(of: path), mode: mode)
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw SystemError("mkdir", path: path, code: errno) }
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Names in a directory, sorted, without `.` and `..`.
    public static func list(_ path: String) throws(SystemError) -> [String] {
        guard let directory = opendir(path) else { throw SystemError("opendir", path: path, code: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a tree that Gantry owns, without following links and without leaving the file system it starts on.
    /// A missing path is no error.
    public static func removeTree(_ path: String) throws(SystemError) {
        try TreeRemoval.remove(path)
    }

    public static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    public static func lastComponent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return path }
        return String(path[path.index(after: slash)...])
    }
}
