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

    @Test func tellsWhatChanged() {
        var board = board()
        #expect(
            board.update(kind: .container, name: "shop-app-1", state: .working, status: "Starting", at: 9) == nil)
        let line = board.update(kind: .container, name: "shop-app-1", state: .done, status: "Started", at: 9)
        #expect(line.map(plainProgress) == "Container shop-app-1  Started")
        let json = line.map { progressJSON($0, kind: .container, name: "shop-app-1").text } ?? ""
        #expect(json.hasPrefix(#"{"id":"Container shop-app-1","text":"Started","status":"Done","kind":"container""#))
    }
}
