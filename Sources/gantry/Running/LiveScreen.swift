import EngineClient
import Glibc
import LinuxSystem

/// A live tree on a terminal: draws it, minds the cursor, and hears of new sizes and of Ctrl-Z.
final class LiveScreen {
    /// Between two pictures, milliseconds.
    static let interval: Int32 = 100
    private static let hideCursor = "\u{1b}[?25l"
    private static let showCursor = "\u{1b}[?25h"

    var tree: LiveTree
    private let console: Console
    private let look: StackLook?
    private var picture = ScreenPicture()
    private var signals: SignalSource?
    private var isCursorHidden = false
    private var drawnAt: Int64 = 0

    init(_ tree: LiveTree, console: Console, look: StackLook?) {
        self.tree = tree
        self.console = console
        self.look = look
    }

    deinit {
        // The last one to care for the cursor; a terminal that is gone has none.
        if isCursorHidden { try? console.write(Self.showCursor) }
    }

    /// To wait for besides everything else.
    var descriptors: [Int32] { [signals?.descriptor, look?.descriptor].compactMap(\.self) }

    func begin() throws(SystemError) {
        if console.isTerminal { signals = try SignalSource([SIGWINCH, SIGTSTP]) }
    }

    /// Takes what has arrived, and draws when something is to be drawn.
    func advance() throws(SystemError) {
        let now = monotonicNow()
        if let descriptor = look?.descriptor {
            var waited = [Waited(descriptor)]
            try wait(for: &waited, milliseconds: 0)
            if waited[0].readable, let seen = look?.receive(at: now) { tree.update(seen) }
        }
        look?.ask(at: now)
        while let signal = try signals?.take() { if signal == SIGTSTP { try suspend() } }
        try draw()
    }

    func draw() throws(SystemError) {
        let size = console.size
        let frame = tree.frame(now: monotonicNow(), columns: size.columns, rows: size.rows, color: console.color)
        let text = picture.draw(frame, ScreenPicture.Size(rows: size.rows, columns: size.columns))
        guard !text.isEmpty else { return }
        let hiding = isCursorHidden || !console.isTerminal ? "" : Self.hideCursor
        isCursorHidden = isCursorHidden || !hiding.isEmpty
        try console.write(hiding + text)
    }

    /// Text above the picture, which is drawn again below it.
    func say(_ text: String) throws(SystemError) {
        try console.write(picture.erase() + text)
        try draw()
    }

    /// The last picture stays.
    func finish(_ end: LiveTree.End) throws(SystemError) {
        tree.end = end
        defer { signals = nil }
        try draw()
        picture.forget()
        if isCursorHidden { try console.write(Self.showCursor) }
        isCursorHidden = false
    }

    /// Ctrl-Z: the shell gets its cursor, and what it prints meanwhile is not drawn over.
    private func suspend() throws(SystemError) {
        if isCursorHidden { try console.write(Self.showCursor) }
        isCursorHidden = false
        // Ends only with SIGCONT.
        kill(getpid(), SIGSTOP)
        picture.forget()
    }
}
