import Testing

@testable import gantry

@Suite struct ScreenPictureTests {
    private let size = ScreenPicture.Size(rows: 10, columns: 20)

    @Test func writesOnlyWhatChanged() {
        var picture = ScreenPicture()
        #expect(picture.draw(["a", "b", "c"], size) == "\ra\u{1b}[K\n\rb\u{1b}[K\n\rc\u{1b}[K\n")
        #expect(picture.draw(["a", "b", "c"], size) == "")
        #expect(picture.draw(["a", "B", "c"], size) == "\r\u{1b}[2AB\u{1b}[K\r\u{1b}[2B")
        #expect(picture.draw(["a", "B", "c", "d"], size) == "\rd\u{1b}[K\n")
        #expect(picture.draw(["a"], size) == "\r\u{1b}[3A\u{1b}[J")
    }

    @Test func givesWayToText() {
        var picture = ScreenPicture()
        #expect(picture.erase() == "")
        _ = picture.draw(["a", "b"], size)
        #expect(picture.erase() == "\r\u{1b}[2A\u{1b}[J")
        #expect(picture.draw(["a"], size) == "\ra\u{1b}[K\n")
        picture.forget()
        #expect(picture.draw(["a"], size) == "\ra\u{1b}[K\n")
    }

    @Test func aNarrowerTerminalHasWrappedTheLines() {
        var picture = ScreenPicture()
        _ = picture.draw(["\u{1b}[1m123456789012345\u{1b}[0m", "b"], size)
        let narrow = ScreenPicture.Size(rows: 10, columns: 8)
        // Fifteen columns stand in two rows of eight.
        #expect(picture.draw(["1234567", "b"], narrow).hasPrefix("\r\u{1b}[3A\u{1b}[J\r1234567"))
    }

    /// Any sequence of pictures leaves on a screen what the last one says.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func theScreenShowsTheLastPicture(seed: UInt64) {
        var state = seed
        func random(_ bound: UInt64) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % bound)
        }
        var picture = ScreenPicture()
        var screen = Screen()
        for _ in 0..<200 {
            let frame = (0..<random(9)).map { _ in String(repeating: "xy", count: random(4)) + "\(random(3))" }
            screen.take(picture.draw(frame, size))
            #expect(screen.lines == frame, "seed \(seed)")
            #expect(screen.row == frame.count)
        }
    }
}

/// As much of a terminal as the pictures use, without an end at the bottom.
private struct Screen {
    private(set) var lines: [String] = []
    private(set) var row = 0
    private var column = 0

    mutating func take(_ text: String) {
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\r": column = 0
            case "\n":
                row += 1
                if row > lines.count { lines.append("") }
            case "\u{1b}": control(&rest)
            default:
                while lines.count <= row { lines.append("") }
                lines[row] = String(lines[row].prefix(column)) + String(scalar) + lines[row].dropFirst(column + 1)
                column += 1
            }
        }
    }

    private mutating func control(_ rest: inout Substring.UnicodeScalarView) {
        _ = rest.popFirst()
        var number = ""
        while let digit = rest.first, ("0"..."9").contains(digit) {
            number.unicodeScalars.append(digit)
            _ = rest.popFirst()
        }
        switch rest.popFirst() {
        case "A": row -= Int(number) ?? 1
        case "B": row += Int(number) ?? 1
        case "K": lines[row] = String(lines[row].prefix(column))
        case "J":
            if row < lines.count { lines.removeSubrange(row...) }
        default: Issue.record("an unknown sequence")
        }
    }
}
