import StackModel
import Testing

@testable import gantry

@Suite struct StackExitCodeTests {
    @Test(arguments: [
        ("rollout.paused", 4), ("rollout.rolled-back", 5), ("stack.timeout", 6), ("stack.locked", 7), ("plan.stale", 8),
        ("consent.needed", 9), ("rollback.failed", 10), ("image.not-found", 1),
    ]) func comesFromTheDiagnosticsCode(_ code: String, _ expected: Int32) {
        let diagnostics = [Diagnostic(code: "container.exited", "it exited"), Diagnostic(code: code, "and so")]
        #expect(CommandFailure(diagnostics).exitCode == expected)
    }

    @Test func whatOnlyWarnsHasNone() {
        #expect(StackExitCode([Diagnostic(.warning, code: "rollout.paused", "paused")]) == nil)
    }

    @Test func aRolledBackUpdateCountsMoreThanItsCause() {
        let diagnostics = [
            Diagnostic(code: "stack.timeout", "late"), Diagnostic(code: "rollout.rolled-back", "undone"),
        ]
        #expect(CommandFailure(diagnostics).exitCode == 5)
    }

    /// 2 is "there are changes" then.
    @Test func aWrongCommandLineIsNoChange() throws {
        #expect(try runGantry(["plan", "--detailed-exitcode", "--bogus"]).exitCode == 3)
        #expect(try runGantry(["-H", "npipe://1.2.3.4", "-p", "shop", "plan", "--detailed-exitcode"]).exitCode == 3)
        #expect(try runGantry(["plan", "--bogus"]).exitCode == 2)
    }
}
