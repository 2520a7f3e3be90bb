import CLinux
import Glibc
import LinuxSystem

/// Runs `body` with a terminal in raw mode (termios(3), `cfmakeraw`); afterwards, however it ends, the terminal is as
/// it was before.
func withRawTerminal<Result>(_ descriptor: Int32, _ body: () throws -> Result) throws -> Result {
    var before = termios()
    try check("tcgetattr") { tcgetattr(descriptor, &before) }
    var raw = before
    cfmakeraw(&raw)
    try check("tcsetattr") { tcsetattr(descriptor, TCSADRAIN, &raw) }
    // A terminal that has gone away needs no settings.
    defer { tcsetattr(descriptor, TCSADRAIN, &before) }
    return try body()
}
