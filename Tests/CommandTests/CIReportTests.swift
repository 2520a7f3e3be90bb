import EngineWire
import StackModel
import Testing

@testable import gantry

@Suite struct CIEnvironmentTests {
    @Test func isFoundByItsVariables() {
        #expect(CIEnvironment([:]).system == nil)
        #expect(CIEnvironment(["CI": "false"]).system == nil)
        #expect(CIEnvironment(["CI": "true"]).system == .other)
        #expect(
            CIEnvironment(["CI": "true", "GITLAB_CI": "true", "CI_JOB_URL": "https://x/1"]).runURL == "https://x/1")
        let github = CIEnvironment([
            "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://g", "GITHUB_REPOSITORY": "o/r",
            "GITHUB_RUN_ID": "7",
        ])
        #expect(github.system == .github)
        #expect(github.runURL == "https://g/o/r/actions/runs/7")
        #expect(github.lockTimeout == 600_000_000_000)
        #expect(CIEnvironment([:]).lockTimeout == nil)
    }

    @Test func filesAreNamedFromTheRepository() {
        let ci = CIEnvironment(["GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": "/work/repo/"])
        let places = FilePlaces(ci, workingDirectory: "/work/repo/deploy")
        #expect(places.name("compose.yaml") == "deploy/compose.yaml")
        #expect(places.name("../base.yaml") == "base.yaml")
        #expect(places.name("/work/repo/deploy/./compose.yaml") == "deploy/compose.yaml")
        #expect(places.name("/elsewhere/compose.yaml") == "/elsewhere/compose.yaml")
        #expect(FilePlaces(CIEnvironment([:]), workingDirectory: "/a").name("b.yaml") == "b.yaml")
    }
}

@Suite struct ReportTests {
    private let places = FilePlaces(CIEnvironment([:]), workingDirectory: "/repo")

    private var failed: RunReport {
        var report = RunReport(command: "gantry up", stack: "shop", startedAt: Moment(nanoseconds: 0))
        var failure = FailureReport(stack: "shop", service: "web", container: "shop-web-1", state: .exited)
        failure.exitCode = 137
        failure.signal = "SIGKILL"
        failure.outOfMemory = true
        failure.source = SourceMark(file: "compose.yaml", line: 3, column: 5)
        failure.log = [
            FailureReport.LogLine(
                at: "2026-01-01T00:00:00.5Z", stream: .stdout, text: "a <b> & ]]> \u{1}``` ##[error]x ::error::y")
        ]
        report.failures = [failure]
        report.services = [
            RunReport.Service(name: "web", outcome: .failed, milliseconds: 1234, source: failure.source),
            RunReport.Service(name: "db", outcome: .unchanged, milliseconds: 0),
            RunReport.Service(name: "api", outcome: .converged, milliseconds: 60_001),
        ]
        (report.exitCode, report.changes) = (1, 2)
        report.diagnostics = [Diagnostic(code: "container.exited", "container shop-web-1 exited (137)")]
        return report
    }

    @Test func junitIsXMLWhateverALogSays() {
        let text = JUnitReport(report: failed, places: places).text
        #expect(text.contains(#"<testsuite name="shop" tests="3" failures="1" errors="0" skipped="1""#))
        #expect(text.contains(#"<testcase classname="shop" name="api" time="60.001"/>"#))
        #expect(text.contains(#"name="db" time="0.000"><skipped message="unchanged"/></testcase>"#))
        #expect(text.contains(#"name="web" file="compose.yaml" line="3" time="1.234">"#))
        #expect(text.contains("a &lt;b&gt; &amp; ]]&gt; ^A"))
        #expect(!text.contains("\u{1}"))
    }

    @Test func whatNoServiceIsToBlameForIsAnError() {
        var report = failed
        (report.services, report.failures) = ([], [])
        let text = JUnitReport(report: report, places: places).text
        #expect(text.contains(#"<error type="container.exited" message="container shop-web-1 exited (137)">"#))
        #expect(text.contains(#"tests="1" failures="0" errors="1""#))
    }

    @Test func aLogCannotLeaveItsFence() {
        let text = MarkdownSummary(report: failed, places: places).text
        #expect(text.contains("\n````text\n") && text.hasSuffix("````\n\n</details>\n\n"))
        #expect(text.contains("| web | ❌ failed | 1.2 s |"))
    }

    @Test func aSummaryHasALimit() {
        var report = failed
        let line = FailureReport.LogLine(at: "", stream: .stdout, text: String(repeating: "x", count: 4000))
        report.failures[0].log = Array(repeating: line, count: 50)
        report.failures = Array(repeating: report.failures[0], count: 10)
        let text = MarkdownSummary(report: report, places: places).text
        #expect(text.utf8.count <= MarkdownSummary.byteCountMax)
        #expect(text.hasSuffix("Further failures are left out.\n"))
    }

    @Test func onGitHubALogIsFoldedAndCommandsNothing() {
        let github = CIEnvironment(["GITHUB_ACTIONS": "true"])
        let text = failureText(failed.failures[0], places, color: false, github)
        let lines = text.split(separator: "\n")
        #expect(lines.first == "::group::container shop-web-1 exited with 137 (SIGKILL, out of memory)")
        #expect(lines.last == "::endgroup::")
        #expect(lines.dropFirst().dropLast().allSatisfy { $0.hasPrefix("  | ") })
        #expect(!text.contains("##["))
    }

    @Test func eachIsAnnotatedOnce() {
        func annotated(_ message: String, line: Int?) -> Bool {
            let source = line.map { SourceMark(file: "/work/a.yaml", line: $0, column: 1) }
            return !annotations([Diagnostic(code: "x", message, source: source)], places).isEmpty
        }
        #expect(annotated("said of two lines", line: 3))
        #expect(annotated("said of two lines", line: 4))
        #expect(!annotated("said of two lines", line: 4))
        #expect(!annotated("said of two lines", line: nil))
        #expect(annotated("said of none", line: nil))
        #expect(!annotated("said of none", line: nil))
    }

    @Test func outputsMayHaveSeveralLines() {
        var report = failed
        report.planPath = "a\nGANTRY_EOF\nb"
        #expect(
            githubOutputs(report)
                == "changed=true\nresult=failed\nrevision=\nplan_path<<GANTRY_EOF_\na\nGANTRY_EOF\nb\nGANTRY_EOF_\n")
        #expect(dotenv(report).hasSuffix("GANTRY_PLAN_PATH=a GANTRY_EOF b\n"))
    }

    @Test(arguments: [
        (0, 0, "noop", false), (0, 3, "converged", true), (4, 1, "paused", true), (5, 0, "rolled_back", true),
        (6, 1, "failed", true), (7, 0, "failed", false),
    ]) func results(_ code: Int32, _ changes: Int, _ result: String, _ isChanged: Bool) {
        var report = RunReport(command: "gantry up", startedAt: Moment(nanoseconds: 0))
        (report.exitCode, report.changes) = (code, changes)
        #expect(report.result.rawValue == result)
        #expect(report.isChanged == isChanged)
    }

    @Test func anExitCodeThatWasAskedForIsNoFailure() {
        var report = RunReport(command: "gantry apply", startedAt: Moment(nanoseconds: 0))
        (report.exitCode, report.changes, report.isDone) = (100, 1, true)
        #expect(report.result == .converged)
    }

    @Test func servicesAreMeasuredByTheirContainers() {
        var recorder = RunRecorder()
        func object(_ name: String, _ state: ProgressEvent.State, _ status: String, at time: Int64) {
            recorder.take(.object(kind: .container, name: name, state: state, status: status), at: time)
        }
        object("s-a-1", .working, "Creating", at: 10)
        object("s-a-1", .done, "Created", at: 20)
        object("s-a-1", .waiting, "Waiting", at: 30)
        object("s-b-1", .done, "Running", at: 35)
        object("s-a-1", .done, "Healthy", at: 40)
        let members = ["s-a-1": "a", "s-b-1": "b"]
        let services = recorder.services(["b", "a"], members: members, milliseconds: 50, succeeded: true) { _ in nil }
        #expect(services.map(\.outcome) == [.converged, .unchanged])
        #expect(services.map(\.milliseconds) == [40, 0])
        #expect(recorder.counts == RunReport.Counts(create: 1, update: 0, delete: 0))
    }

    @Test func whatWasNotReachedIsNotSaidToBeThere() {
        var recorder = RunRecorder()
        func object(_ name: String, _ state: ProgressEvent.State, _ status: String) {
            recorder.take(.object(kind: .container, name: name, state: state, status: status), at: 10)
        }
        recorder.take(.object(kind: .network, name: "s_default", state: .working, status: "Creating"), at: 5)
        recorder.take(.object(kind: .network, name: "s_default", state: .done, status: "Created"), at: 6)
        for name in ["s-made-1", "s-started-1"] {
            object(name, .working, "Creating")
            object(name, .done, "Created")
        }
        object("s-started-1", .working, "Starting")
        object("s-started-1", .done, "Started")
        object("s-same-1", .done, "Running")
        let members = ["s-made-1": "made", "s-started-1": "started", "s-same-1": "same"]
        let names = ["later", "made", "same", "started"]
        let services = recorder.services(
            names, members: members, planned: ["later", "made", "started"], milliseconds: 50, succeeded: false
        ) { _ in nil }
        #expect(services.map(\.name) == names)
        #expect(services.map(\.outcome) == [.notReached, .notReached, .unchanged, .converged])
        // Two containers and a network: steps are not counted, nor what only was looked at.
        #expect(recorder.changedCount == 3)
    }

    @Test(arguments: ["junit", "junit=", "other=a", "=a"]) func reportsThatAreNone(_ text: String) {
        #expect(ReportTarget(argument: text) == nil)
    }
}
