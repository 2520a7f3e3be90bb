import CLinux
import Glibc
import Images
import LinuxSystem
import StackModel

/// A build's files that come on standard input: an archive, unpacked in a folder that is gone afterwards, or a
/// Dockerfile alone.
enum TemporaryContext {
    enum Source {
        case dockerfile([UInt8])
        /// Absolute path.
        case folder(String)
    }

    /// Unlike /tmp, no memory: a context may be large.
    private static let defaultParent = "/var/tmp"
    private static let dockerfileByteCountMax = 4 << 20

    static func withStandardInput(_ body: (Source) throws -> Void) throws {
        let signals = try SignalSource(endingSignals)
        // One that nobody takes ends the program afterwards, when the folder is gone.
        defer { withExtendedLifetime(signals) {} }
        let folder = try makeFolder()
        defer {
            // The system empties its folder of temporary files by itself.
            try? FileSystem.removeTree(folder)
        }
        let path = "\(folder)/input"
        try FileSystem.replaceFile(path, with: [], mode: 0o600)
        let file = try FileDescriptor.open(path, O_RDWR)
        let raw = file.raw
        let byteCount = try copy(to: raw, signals)
        try check("lseek") { lseek(raw, 0, SEEK_SET) }
        let head = try file.read(upTo: ArchiveMark.byteCount)
        try check("lseek") { lseek(raw, 0, SEEK_SET) }
        guard ArchiveMark.isArchive(head) else {
            guard byteCount <= dockerfileByteCountMax else {
                throw CommandFailure.usage("what comes on standard input is neither an archive nor a Dockerfile")
            }
            return try body(.dockerfile(try FileSystem.readFile(path)))
        }
        let tree = "\(folder)/context"
        try FileSystem.makeDirectories(tree)
        var options = ExtractionOptions()
        options.owner = .own
        options.makesDevices = false
        options.followsLinks = false
        let root = SharedDescriptor(try FileDescriptor.open(tree, O_PATH | O_DIRECTORY))
        try TreeExtraction(root: root, folder: "/", options: options).extract(from: raw)
        try body(.folder(tree))
    }

    private static func makeFolder() throws(SystemError) -> String {
        // mkdtemp(3) makes it with mode 0700, under a name that nobody knew.
        let parent = processEnvironment()["TMPDIR"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? defaultParent
        var template = Array("\(parent)/gantry-build-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", code: errno) }
        return template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    private static func copy(to descriptor: Int32, _ signals: SignalSource) throws -> Int {
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        var total = 0
        while true {
            var waited = [Waited(STDIN_FILENO), Waited(signals.descriptor)]
            try wait(for: &waited, milliseconds: nil)
            if waited[1].readable, let signal = try signals.take() {
                throw CommandFailure(
                    [Diagnostic(code: "build.cancelled", "the build was cancelled")], exitCode: 128 + signal)
            }
            guard waited[0].readable else { continue }
            let capacity = buffer.count
            let count = try check("read") { read(STDIN_FILENO, &buffer, capacity) }
            if count == 0 { return total }
            var done = 0
            while done < count {
                done += try check("write") {
                    buffer.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, count - done) }
                }
            }
            total += count
        }
    }
}

/// All of a descriptor's bytes.
func readAll(_ descriptor: Int32, byteCountMax: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let capacity = buffer.count
        let count = try check("read") { read(descriptor, &buffer, capacity) }
        if count == 0 { return bytes }
        bytes += buffer.prefix(count)
        guard bytes.count <= byteCountMax else {
            throw CommandFailure.usage("standard input has more than \(byteCountMax) bytes")
        }
    }
}
