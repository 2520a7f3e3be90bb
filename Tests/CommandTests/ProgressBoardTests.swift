import EngineWire
import Testing

@testable import gantry

@Suite struct ProgressBoardTests {
    private let second: Int64 = 1_000_000_000

    private func board() -> ProgressBoard {
        var board = ProgressBoard()
        _ = board.update(kind: .network, name: "shop_front", state: .working, status: "Creating", at: 0)
        _ = board.update(kind: .network, name: "shop_front", state: .done, status: "Created", at: second / 10)
        _ = board.update(kind: .container, name: "shop-app-1", state: .working, status: "Starting", at: second / 10)
        _ = board.update(kind: .container, name: "shop-db-1", state: .failed, status: "Error", at: second / 5)
        return board
    }

    @Test func drawsAFrame() {
        #expect(
            board().frame(now: 2 * second, columns: 60, rows: 24, color: false) == [
                "[+] Running 2/3",
                " ✔ Network shop_front    Created                       0.1s",
                " ⠋ Container shop-app-1  Starting                      1.9s",
                " ✘ Container shop-db-1   Error                         0.0s",
            ])
    }

    @Test func turnsTheSpinnerAndCutsLongNames() {
        var board = ProgressBoard()
        _ = board.update(kind: .container, name: "a-very-long-name-indeed", state: .working, status: "Pulling", at: 0)
        #expect(
            board.frame(now: 300_000_000, columns: 30, rows: 24, color: true) == [
                "[+] Running 0/1",
                " \u{1b}[34m⠸\u{1b}[0m Container a-very-lon… \u{1b}[34m0.3s\u{1b}[0m",
            ])
    }

    @Test func leavesOutFinishedLinesFirst() {
        var board = ProgressBoard()
        for number in 1...5 {
            _ = board.update(kind: .container, name: "c\(number)", state: .done, status: "Started", at: 0)
        }
        _ = board.update(kind: .container, name: "c6", state: .working, status: "Starting", at: 0)
        let frame = board.frame(now: 0, columns: 40, rows: 6, color: false)
        #expect(frame.count == 5)
        #expect(
            frame.map { String($0.prefix(15)) } == [
                "[+] Running 5/6", " ✔ Container c4", " ✔ Container c5", " ⠋ Container c6", "   … and 3 more",
            ])
    }

    @Test func tellsWhatChanged() {
        var board = board()
        #expect(board.isMoving)
        #expect(
            board.update(kind: .container, name: "shop-app-1", state: .working, status: "Starting", at: 9) == nil)
        let line = board.update(kind: .container, name: "shop-app-1", state: .done, status: "Started", at: 9)
        #expect(line.map(plainProgress) == "Container shop-app-1  Started")
        let json = line.map { progressJSON($0, kind: .container, name: "shop-app-1").text } ?? ""
        #expect(json.hasPrefix(#"{"id":"Container shop-app-1","text":"Started","status":"Done","kind":"container""#))
        #expect(!board.isMoving)
    }

    @Test func drawsOverTheLastFrame() {
        #expect(redraw(over: 0, ["a", "b"]) == "\r\u{1b}[2Ka\n\r\u{1b}[2Kb\n")
        #expect(redraw(over: 2, ["a"]) == "\u{1b}[2A\r\u{1b}[2Ka\n\u{1b}[J")
        #expect(ProgressBoard().frame(now: 0, columns: 80, rows: 24, color: false).isEmpty)
    }
}
