import Glibc
import LinuxSystem
import SupervisorPlan

/// The log that an engine reads when a command failed, in the two formats that runc writes.
struct Log {
    enum Format: String { case text, json }
    enum Level: String { case error, warning, debug }

    private let path: String?
    private let format: Format

    init(_ path: String?, _ format: Format) {
        self.path = path
        self.format = format
    }

    func write(_ level: Level, _ message: String) {
        guard let path, !path.isEmpty else { return }
        let line = Array(Self.line(level, message, format, nanoseconds: Self.now()).utf8)
        do {
            try FileDescriptor.open(path, O_WRONLY | O_APPEND | O_CREAT, mode: 0o644).writeAll(line)
        } catch {
            writeError("gantry-oci: cannot write the log: \(error)\n")
        }
    }

    static func line(_ level: Level, _ message: String, _ format: Format, nanoseconds: UInt64) -> String {
        let time = seconds(nanoseconds)
        switch format {
        case .json:
            return "{\"level\":\"\(level.rawValue)\",\"msg\":\(JSON.quoted(message)),\"time\":\"\(time)\"}\n"
        case .text: return "time=\"\(time)\" level=\(level.rawValue) msg=\(JSON.quoted(message))\n"
        }
    }

    /// RFC 3339 without a fraction.
    static func seconds(_ nanoseconds: UInt64) -> String {
        String(decoding: Timestamp.text(nanoseconds: nanoseconds).prefix(19), as: UTF8.self) + "Z"
    }

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
