import ArgumentParser
import CLinux
import Engine
import Glibc
import LinuxSystem
import Logging
import StackModel

/// How the engine's log is written.
enum LogFormat: String, CaseIterable, ExpressibleByArgument { case text, json }

/// Writes the engine's log: to standard error, and to `engine.log` under the data root.
struct EngineLogHandler: LogHandler {
    private static let fileBytesMax: off_t = 10 << 20

    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level
    private let format: LogFormat
    private let file: SharedDescriptor?

    /// The log of before is kept as `engine.log.1` once it is long. Without a writable data root there is no file.
    init(path: String, level: Logger.Level, format: LogFormat) {
        logLevel = level
        self.format = format
        var status = stat()
        if stat(path, &status) == 0, status.st_size > Self.fileBytesMax { rename(path, path + ".1") }
        do throws(SystemError) {
            try FileSystem.makeDirectories(FileSystem.parent(of: path), mode: 0o711)
            file = SharedDescriptor(try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600))
        } catch {
            file = nil
        }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let line = LogLine(
            time: currentTime(), level: event.level, message: "\(event.message)",
            fields: metadata.merging(event.metadata ?? [:]) { _, new in new }.mapValues { "\($0)" })
        let bytes = Array(line.text(as: format).utf8)
        for descriptor in [STDERR_FILENO] + (file.map { [$0.raw] } ?? []) {
            // A log that cannot be written must not stop the engine, and there is nowhere to say so.
            _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        }
    }

    private func currentTime() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return rfc3339(Nanoseconds(time.tv_sec) * 1_000_000_000 + Nanoseconds(time.tv_nsec))
    }
}

/// One message of the engine's.
struct LogLine {
    /// RFC 3339.
    var time: String
    var level: Logger.Level
    var message: String
    /// `stack`, `container`, `service`, `error` and so on.
    var fields: [String: String]

    /// With its end.
    func text(as format: LogFormat) -> String {
        let sorted = fields.sorted { $0.key < $1.key }
        switch format {
        case .text:
            return "\(time) \(level) \(message)\(sorted.map { " \($0.key)=\($0.value)" }.joined())\n"
        case .json:
            let own: [(String, JSONText)] = [
                ("time", .string(time)), ("level", .string(level.rawValue)), ("message", .string(message)),
            ]
            // A field may be called as one of these is: no object has a name twice.
            let names = Set(own.map(\.0))
            let others = sorted.map { (names.contains($0.key) ? "\($0.key)_" : $0.key, JSONText.string($0.value)) }
            return JSONText.object(own + others).text + "\n"
        }
    }
}
