import EngineWire
import Reconciler
import Testing

@testable import Engine

@Suite struct ObjectFilterTests {
    private static let keys: Set<String> = ["label", "label!", "until", "dangling", "all"]
    /// 2026-01-31T10:00:00Z.
    private static let now: Nanoseconds = 1_769_853_600 * 1_000_000_000

    private func filters(_ values: [String: [String]]) throws(EngineError) -> ObjectFilters {
        try ObjectFilters(values, known: Self.keys, now: Self.now)
    }

    @Test(
        arguments: [
            ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("1h0m0.5s", 3600.5), ("1769853540", 60),
            ("1769853540.5", 59.5),
            ("2026-01-31T09:00:00Z", 3600), ("2026-01-31T11:00:00+02:00", 3600), ("2026-01-31", 36000),
        ] as [(String, Double)])
    func ages(until: String, seconds: Double) throws {
        let filters = try filters(["until": [until]])
        let moment = Self.now - Nanoseconds(seconds * 1e9)
        #expect(filters.matches(created: moment, labels: [:]))
        #expect(!filters.matches(created: moment + 1, labels: [:]))
    }

    @Test(arguments: [
        ["until": ["yesterday"]], ["until": ["24h", ""]], ["until": ["1h30"]], ["until": ["-"]], ["until": ["1e300"]],
        ["until": ["99999999999999999999h"]], ["dangling": ["perhaps"]], ["all": [""]], ["size": ["1"]],
    ])
    func whatIsNoFilterIsRefused(values: [String: [String]]) {
        #expect(throws: EngineError.self) { try filters(values) }
        #expect(throws: EngineError.self) { try NetworkFilters(values) }
    }

    @Test func labels() throws {
        let wanted = try filters(["label": ["a", "b=1"], "label!": ["c", "d=2"]])
        #expect(wanted.matches(created: 0, labels: ["a": "", "b": "1", "d": "3"]))
        for labels in [["a": "", "b": "2"], ["a": "", "b": "1", "c": ""], ["a": "", "b": "1", "d": "2"], [:]] {
            #expect(!wanted.matches(created: 0, labels: labels))
        }
    }

    @Test func networks() throws {
        var network = NetworkInspect(
            Name: "one_default", Id: "abc", Created: "", Driver: "bridge", EnableIPv4: true, EnableIPv6: false,
            IPAM: NetworkIPAM())
        network.Labels = ["a": "1"]
        func matches(_ values: [String: [String]], isUsed: Bool = false, createdAt: Nanoseconds = 0) throws -> Bool {
            try NetworkFilters(values).matches(network, isBuiltIn: false, isUsed: isUsed, createdAt: createdAt)
        }
        #expect(try matches(["name": ["two", "one"], "id": ["a"], "label": ["a=1"], "dangling": ["true"]]))
        #expect(try !matches(["name": ["two"]]))
        #expect(try !matches(["dangling": ["true"]], isUsed: true))
        #expect(try matches(["until": ["1h"]]))
        #expect(try !matches(["until": ["1h"]], createdAt: Clock.now()))
        #expect(try !matches(["type": ["builtin"]]))
    }
}
