import LinuxSystem

/// Lines at the bottom of a terminal that are drawn again and again. The cursor is left below them.
struct ScreenPicture {
    /// Rows and columns, told apart from what `Console` says at another moment.
    struct Size: Equatable {
        var rows: Int
        var columns: Int
    }

    private(set) var lines: [String] = []
    private var size = Size(rows: 24, columns: 80)

    /// What turns the picture into `frame`: of lines that stay as they are nothing is written, so nothing flickers.
    mutating func draw(_ frame: [String], _ newSize: Size) -> String {
        guard newSize == size || lines.isEmpty else { return redraw(frame, newSize) }
        size = newSize
        var text = ""
        // The row that the cursor is in, counted from the picture's first.
        var row = lines.count
        for (index, line) in frame.enumerated() {
            if index < lines.count {
                guard lines[index] != line else { continue }
                text += move(from: row, to: index) + line + "\u{1b}[K"
                row = index
            } else {
                // Only a line feed makes a row where the screen ends.
                text += move(from: row, to: index) + line + "\u{1b}[K\n"
                row = index + 1
            }
        }
        if frame.count < lines.count {
            text += move(from: row, to: frame.count) + "\u{1b}[J"
        } else if row != frame.count {
            text += move(from: row, to: frame.count)
        }
        lines = frame
        return text
    }

    /// Takes the picture away, for text in its place.
    mutating func erase() -> String {
        guard !lines.isEmpty else { return "" }
        let text = move(from: rowCount(columns: size.columns), to: 0) + "\u{1b}[J"
        lines = []
        return text
    }

    /// What is on the screen stays there; the next picture begins below it.
    mutating func forget() { lines = [] }

    /// After the terminal was resized. Most wrap a line that has become too long for the screen.
    private mutating func redraw(_ frame: [String], _ newSize: Size) -> String {
        var text = move(from: rowCount(columns: newSize.columns), to: 0) + "\u{1b}[J"
        (lines, size) = ([], newSize)
        text += draw(frame, newSize)
        return text
    }

    private func rowCount(columns: Int) -> Int {
        lines.reduce(0) { $0 + max(1, (visibleText($1).displayWidth + columns - 1) / max(1, columns)) }
    }

    private func move(from row: Int, to other: Int) -> String {
        if other < row { return "\r\u{1b}[\(row - other)A" }
        return other > row ? "\r\u{1b}[\(other - row)B" : "\r"
    }
}

/// Without colours (SGR sequences, ECMA-48).
func visibleText(_ text: String) -> String {
    guard text.utf8.contains(0x1b) else { return text }
    var result = String.UnicodeScalarView()
    var isInSequence = false
    for scalar in text.unicodeScalars {
        if scalar == "\u{1b}" {
            isInSequence = true
        } else if !isInSequence {
            result.append(scalar)
        } else if scalar == "m" {
            isInSequence = false
        }
    }
    return String(result)
}
