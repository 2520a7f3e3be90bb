import StackModel
import Testing

@testable import StackFile

/// `config` prints what Docker Compose prints, for the stacks of Stacks/ and for Docker Compose's own cases. What is
/// expected was written by refresh_expected.py.
struct StacksTests {
    private static let shownDifferencesMax = 10

    @Test(arguments: CorpusRun.stacks)
    func equalsDockerCompose(_ run: CorpusRun) throws { try check(run) }

    @Test(arguments: CorpusRun.stacksWithFlags)
    func equalsDockerComposeOnStacksWithFlags(_ run: CorpusRun) throws { try check(run) }

    /// To the byte.
    @Test(arguments: CorpusRun.stacks)
    func equalsDockerComposeInYAML(_ run: CorpusRun) throws {
        let isKnown = CorpusRun.knownDifferences.contains { $0.name == run.name && $0.path == "yaml" }
        #expect(run.expectedYAML != nil)
        let difference: String?
        do {
            difference = try run.differenceInYAML(lines: Self.shownDifferencesMax)
        } catch let error as StackFileError {
            record(error, of: run)
            return
        }
        if let difference, !isKnown { Issue.record("\(run.name): \(difference)") }
        if difference == nil, isKnown { Issue.record("\(run.name): no longer different, take it off the list") }
    }

    @Test func noStackIsMissing() {
        #expect(CorpusRun.stacks.count >= 120)
        #expect(CorpusRun.stacksWithFlags.count >= 240)
    }

    @Test(
        .enabled(if: CorpusRun.casesFolder != nil, "there is no folder ../shared/reference/compose-cases"),
        arguments: CorpusRun.cases("plain"))
    func equalsDockerComposeOnItsCases(_ run: CorpusRun) throws { try check(run) }

    /// The same cases with `--no-normalize` and its kin.
    @Test(
        .enabled(if: CorpusRun.casesFolder != nil, "there is no folder ../shared/reference/compose-cases"),
        arguments: CorpusRun.cases("flags"))
    func equalsDockerComposeWithFlags(_ run: CorpusRun) throws { try check(run) }

    @Test(.enabled(if: CorpusRun.casesFolder != nil, "there is no folder ../shared/reference/compose-cases"))
    func noCaseIsMissing() {
        #expect(CorpusRun.cases("plain").count >= 200)
        #expect(CorpusRun.cases("flags").count >= 200)
    }

    /// What the comparisons above rest on.
    @Test func differencesAreFound() throws {
        let found = try JSONValue(parsing: #"{"a": [1, "x\u00e9", null], "b": {"c": true}, "d": 1.0}"#)
        let expected = try JSONValue(parsing: #"{"a": [1, "x", null, {}], "b": {}, "d": 1, "e": "\ud83d\ude00"}"#)
        let differences = JSONDifference.all(found: found, expected: expected)
        #expect(
            differences.map(\.description) == [
                ".a[1]: found \"xé\", expected \"x\"", ".a[3]: found nothing, expected {}",
                ".b.c: found true, expected nothing", ".e: found nothing, expected \"😀\"",
            ])
        #expect(throws: JSONError.self) { try JSONValue(parsing: "[1,]") }
        #expect(throws: JSONError.self) { try JSONValue(parsing: "{\"a\": 1, \"a\": 2}") }
    }

    private func record(_ error: StackFileError, of run: CorpusRun) {
        let messages = error.diagnostics.prefix(Self.shownDifferencesMax).map { diagnostic in
            "\(diagnostic.source?.description ?? "-"): \(diagnostic.message)"
        }
        Issue.record("\(run.name) is refused: \(messages.joined(separator: "\n"))")
    }

    /// A difference that is written down must still be one.
    private func check(_ run: CorpusRun) throws {
        let known = Set(CorpusRun.knownDifferences.filter { $0.name == run.name && $0.path != "yaml" }.map(\.path))
        let differences: [JSONDifference]
        do {
            differences = try run.differences()
        } catch let error as StackFileError {
            record(error, of: run)
            return
        }
        let unknown = differences.filter { !known.contains($0.path) }
        if !unknown.isEmpty {
            let lines = unknown.prefix(Self.shownDifferencesMax).map(\.description).joined(separator: "\n")
            Issue.record("\(run.name): \(unknown.count) differences\n\(lines)")
        }
        let stale = known.subtracting(differences.map(\.path)).sorted()
        if !stale.isEmpty { Issue.record("\(run.name): no longer different, take them off the list: \(stale)") }
    }
}
