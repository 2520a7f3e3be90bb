import CLinux
import EngineClient
import Glibc
import LinuxSystem
import StackModel

/// Standard output or standard error.
struct Console {
    let descriptor: Int32
    let isTerminal: Bool
    /// Whether colours are wanted here.
    let color: Bool

    init(descriptor: Int32, ansi: AnsiMode, environment: [String: String]) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor) == 1
        color = usesColor(ansi: ansi, environment: environment, isTerminal: isTerminal)
    }

    /// Secrets are masked, which they are not among bytes.
    func write(_ text: String) throws(SystemError) { try write(ProgramFacts.mask.mask(Array(text.utf8))) }

    func write(_ bytes: [UInt8]) throws(SystemError) {
        var offset = 0
        while offset < bytes.count {
            do throws(SystemError) {
                offset += try check("write") {
                    bytes.withUnsafeBytes {
                        Glibc.write(descriptor, $0.baseAddress.map { $0 + offset }, $0.count - offset)
                    }
                }
            } catch {
                // Somebody else's flag on a shared terminal or pipe: wait until it takes more.
                guard error.code == EAGAIN else { throw error }
                try waitWritable(descriptor)
            }
        }
    }

    /// Rows and columns; 24 by 80 when nobody knows.
    var size: TerminalSize { terminalSize(descriptor) ?? TerminalSize(rows: 24, columns: 80) }
}

/// `TIOCGWINSZ` (ioctl_tty(2)); `nil` when it is no terminal or has no size.
func terminalSize(_ descriptor: Int32) -> TerminalSize? {
    var size = winsize()
    guard gantry_ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0, size.ws_col > 0 else { return nil }
    return TerminalSize(rows: Int(size.ws_row), columns: Int(size.ws_col))
}

/// `--ansi`, then NO_COLOR (no-color.org), then what the output is.
func usesColor(ansi: AnsiMode, environment: [String: String], isTerminal: Bool) -> Bool {
    switch ansi {
    case .never: false
    case .always: true
    case .auto: isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }
}
