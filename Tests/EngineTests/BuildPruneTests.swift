import Testing

@testable import EngineAPI

@Suite struct BuildPruneTests {
    @Test(arguments: [("", nil), ("?keep-storage=", nil), ("?keep-storage=0", nil), ("?keep-storage=10000", 10_000)])
    func whatMayStay(query: String, bytes: UInt64?) throws {
        let request = try HTTPRequest(method: "POST", target: "/build/prune" + query)
        #expect(try request.byteCount("keep-storage") == bytes)
    }

    @Test(arguments: ["10g", "-1", "1.5", "99999999999999999999", "x"])
    func whatIsNoNumberIsRefused(text: String) throws {
        let request = try HTTPRequest(method: "POST", target: "/build/prune?keep-storage=\(text)")
        #expect(throws: HTTPError.self) { try request.byteCount("keep-storage") }
    }
}
