import Glibc

/// Why a file cannot be read.
package enum FileProblem: Error, Equatable {
    case missing
    case tooLarge(bytesMax: Int)
    /// A pipe that nobody writes to.
    case silent(milliseconds: Int32)
    /// An error number of errno(3).
    case failed(Int32)

    var text: String {
        switch self {
        case .missing: "no such file"
        case .tooLarge(let bytesMax): "larger than \(bytesMax) bytes"
        case .silent(let milliseconds): "nothing came out of the pipe for \(milliseconds / 1000) seconds"
        case .failed(let number): String(cString: strerror(number))
        }
    }
}

/// The file system as a load sees it. All paths are absolute.
package struct FileAccess: Sendable {
    /// The bytes of a file, at most `bytesMax`.
    package var read: @Sendable (_ path: String, _ bytesMax: Int) throws(FileProblem) -> [UInt8]
    package var exists: @Sendable (_ path: String) -> Bool

    package init(
        read: @escaping @Sendable (_ path: String, _ bytesMax: Int) throws(FileProblem) -> [UInt8],
        exists: @escaping @Sendable (_ path: String) -> Bool
    ) {
        self.read = read
        self.exists = exists
    }

    static let system = FileAccess(
        read: { (path, bytesMax) throws(FileProblem) in try readWhole(path, bytesMax: bytesMax) },
        exists: { access($0, F_OK) == 0 })

    /// Standard input for `-f -`.
    static func readStandardInput(bytesMax: Int) throws(FileProblem) -> [UInt8] {
        try readAll(STDIN_FILENO, bytesMax: bytesMax, silenceMax: -1)
    }
}

/// Pipes and devices are read as well (`-f <(generate)`), but not waited for longer than `silenceMax` milliseconds.
func readWhole(_ path: String, bytesMax: Int, silenceMax: Int32 = 10_000) throws(FileProblem) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else {
        let number = errno
        throw number == ENOENT || number == ENOTDIR ? .missing : .failed(number)
    }
    defer { close(descriptor) }
    return try readAll(descriptor, bytesMax: bytesMax, silenceMax: silenceMax)
}

/// `silenceMax` below zero waits without end (poll(2)).
private func readAll(_ descriptor: Int32, bytesMax: Int, silenceMax: Int32) throws(FileProblem) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count < 0, errno == EINTR { continue }
        if count < 0, errno == EAGAIN {
            try waitForData(descriptor, silenceMax: silenceMax)
            continue
        }
        guard count >= 0 else { throw .failed(errno) }
        if count == 0 { return bytes }
        bytes += chunk[..<count]
        guard bytes.count <= bytesMax else { throw .tooLarge(bytesMax: bytesMax) }
    }
}

private func waitForData(_ descriptor: Int32, silenceMax: Int32) throws(FileProblem) {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let count = poll(&entry, 1, silenceMax)
    if count == 0 { throw .silent(milliseconds: silenceMax) }
    if count < 0, errno != EINTR { throw .failed(errno) }
}
