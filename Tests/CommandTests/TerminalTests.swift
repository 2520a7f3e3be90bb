import CLinux
import EngineClient
import Glibc
import LinuxSystem
import Testing

@testable import gantry

/// A pseudoterminal (pty(7)): what a test types and sees, and what a program has as its terminal.
private struct Pseudoterminal {
    let outside: SharedDescriptor
    let inside: SharedDescriptor
    let path: String

    init() throws {
        let flags = O_RDWR | O_NOCTTY | O_CLOEXEC
        outside = SharedDescriptor(FileDescriptor(owning: try check("posix_openpt") { posix_openpt(flags) }))
        let raw = outside.raw
        try check("grantpt") { grantpt(raw) }
        try check("unlockpt") { unlockpt(raw) }
        var buffer = [CChar](repeating: 0, count: 64)
        try check("ptsname_r") { -ptsname_r(raw, &buffer, buffer.count) }
        path = buffer.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        inside = SharedDescriptor(try FileDescriptor.open(path, O_RDWR | O_NOCTTY))
    }

    var settings: [UInt32] {
        var settings = termios()
        tcgetattr(inside.raw, &settings)
        return [settings.c_iflag, settings.c_oflag, settings.c_lflag, settings.c_cflag]
    }

    func resize(rows: UInt16, columns: UInt16) {
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        gantry_ioctl(outside.raw, UInt(TIOCSWINSZ), &size)
    }
}

@Suite struct TerminalTests {
    @Test func restoresTheTerminalOnEveryWayOut() throws {
        let terminal = try Pseudoterminal()
        let before = terminal.settings
        let raw = terminal.inside.raw
        try withRawTerminal(raw) { #expect(terminalFlags(raw) != before) }
        #expect(terminal.settings == before)
        #expect(throws: CommandFailure.interrupted) {
            try withRawTerminal(raw) { throw CommandFailure.interrupted }
        }
        #expect(terminalFlags(raw) == before)
    }

    @Test func execHasATerminal() throws {
        let terminal = try Pseudoterminal()
        terminal.resize(rows: 33, columns: 111)
        let before = terminal.settings
        let engine = try FakeEngine { request, connection in
            switch request.target {
            case "/stacks/shop/containers":
                connection.reply(
                    """
                    [{"id":"c1","name":"shop-web-1","stack":"shop","service":"web","number":1,"oneOff":false,
                    "image":"i","command":"c","state":"running","createdAt":"2026-03-01T12:00:00Z","restarts":0,
                    "ports":[],"addresses":{},"tty":false,"labels":{}}]
                    """)
            case "/containers/c1/exec": connection.reply(#"{"Id":"e1"}"#)
            case "/exec/e1/start":
                connection.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                // In raw mode Ctrl-C is a byte like any other, and Return is not turned into a line feed.
                while connection.read(upTo: 1) != [3] {}
                connection.write("\u{1b}[31mend")
            case "/exec/e1/json": connection.reply(#"{"ID":"e1","Running":false,"ExitCode":7,"Pid":0}"#)
            default: connection.reply("")
            }
        }
        let program = try GantryProgram(
            ["-p", "shop", "exec", "web", "sh"], engine: engine, input: terminal.path, outputPath: terminal.path)
        while !engine.requests.contains(where: { $0.target.contains("resize") }) { usleep(2000) }
        let typed: [UInt8] = [0x61, 0x0d, 3]
        #expect(write(terminal.outside.raw, typed, typed.count) == typed.count)
        var seen = ""
        var buffer = [UInt8](repeating: 0, count: 100)
        while !seen.contains("end") {
            let count = try check("read") { read(terminal.outside.raw, &buffer, buffer.count) }
            seen += String(decoding: buffer.prefix(count), as: UTF8.self)
        }
        #expect(try program.finish() == ProgramResult(output: "", errors: "", exitCode: 7))
        #expect(seen == "\u{1b}[31mend")
        #expect(terminal.settings == before)
        #expect(engine.requests.contains { $0.target == "/exec/e1/resize?h=33&w=111" })
        let created = engine.requests.first { $0.target == "/containers/c1/exec" }
        let body = String(decoding: created?.body ?? [], as: UTF8.self)
        #expect(body.contains(#""Tty":true"#))
    }

    @Test func readsSignals() throws {
        let signals = try SignalSource([SIGUSR2])
        #expect(try signals.take() == nil)
        pthread_kill(pthread_self(), SIGUSR2)
        var waited = [Waited(signals.descriptor)]
        try wait(for: &waited, milliseconds: 5000)
        #expect(waited[0].readable)
        #expect(try signals.take() == SIGUSR2)
        #expect(try signals.take() == nil)
    }
}

private func terminalFlags(_ descriptor: Int32) -> [UInt32] {
    var settings = termios()
    tcgetattr(descriptor, &settings)
    return [settings.c_iflag, settings.c_oflag, settings.c_lflag, settings.c_cflag]
}
