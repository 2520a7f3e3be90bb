import Glibc

/// Why a file cannot be read.
enum FileProblem: Error, Equatable {
    case missing
    case tooLarge(bytesMax: Int)
    /// An error number of errno(3).
    case failed(Int32)

    var text: String {
        switch self {
        case .missing: "no such file"
        case .tooLarge(let bytesMax): "larger than \(bytesMax) bytes"
        case .failed(let number): String(cString: strerror(number))
        }
    }
}

/// The file system as a load sees it. All paths are absolute.
struct FileAccess: Sendable {
    /// The bytes of a file, at most `bytesMax`.
    var read: @Sendable (_ path: String, _ bytesMax: Int) throws(FileProblem) -> [UInt8]
    var exists: @Sendable (_ path: String) -> Bool

    static let system = FileAccess(
        read: { (path, bytesMax) throws(FileProblem) in try readWhole(path, bytesMax: bytesMax) },
        exists: { access($0, F_OK) == 0 })

    /// Standard input for `-f -`.
    static func readStandardInput(bytesMax: Int) throws(FileProblem) -> [UInt8] {
        try readAll(STDIN_FILENO, bytesMax: bytesMax)
    }
}

private func readWhole(_ path: String, bytesMax: Int) throws(FileProblem) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
        let number = errno
        throw number == ENOENT || number == ENOTDIR ? .missing : .failed(number)
    }
    defer { close(descriptor) }
    return try readAll(descriptor, bytesMax: bytesMax)
}

private func readAll(_ descriptor: Int32, bytesMax: Int) throws(FileProblem) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw .failed(errno) }
        if count == 0 { return bytes }
        bytes += chunk[..<count]
        guard bytes.count <= bytesMax else { throw .tooLarge(bytesMax: bytesMax) }
    }
}
