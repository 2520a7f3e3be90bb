import EngineClient
import LinuxSystem
import StackModel

/// Shows a pull or a push: a picture that moves on a terminal, a line for each news elsewhere.
final class TransferPrinter {
    private let mode: ProgressMode
    private let console: Console
    private var board = TransferBoard()
    private var picture = ScreenPicture()
    private(set) var failures: [Diagnostic] = []

    init(mode: ProgressMode, console: Console) {
        self.mode = mode
        self.console = console
    }

    func show(_ line: TransferLine) throws(SystemError) {
        if let error = line.error { return failures.append(Diagnostic(code: "image.transfer", error)) }
        // Lines of the image itself go on their own; a tag's or digest's heading is one of them.
        guard !line.id.isEmpty, !line.status.hasPrefix("Pulling from") else {
            let heading = line.id.isEmpty ? line.status : "\(line.id): \(line.status)"
            return try say(harmless(heading) + "\n")
        }
        let isNews = board.update(line)
        switch mode {
        case .tty, .auto: try redrawBoard()
        case .plain: if isNews { try console.write(harmless("\(line.id): \(line.status)") + "\n") }
        case .quiet, .json: break
        }
    }

    private func redrawBoard() throws(SystemError) {
        let size = console.size
        let frame = board.frame(columns: size.columns, rows: size.rows)
        let text = picture.draw(frame, ScreenPicture.Size(rows: size.rows, columns: size.columns))
        if !text.isEmpty { try console.write(text) }
    }

    /// Text below what was drawn, which stays as it is.
    private func say(_ text: String) throws(SystemError) {
        if mode == .quiet { return }
        picture.forget()
        try console.write(text)
    }
}
