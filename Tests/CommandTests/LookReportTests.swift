import EngineWire
import StackModel
import Testing

@testable import gantry

/// What `drift` and `plan` report.
@Suite struct LookReportTests {
    private let places = FilePlaces(CIEnvironment([:]), workingDirectory: "/srv/shop")

    private func reports(_ entries: [DriftEntry], services: [String] = []) -> DriftReports {
        var stack = Stack(name: "shop", services: ["web": Service(image: "i"), "db": Service(image: "i")])
        stack.networks["front"] = Network()
        stack.sources["services.db"] = SourceMark(file: "/srv/shop/compose.yaml", line: 9, column: 3)
        let differences = DiffReply(
            stack: "shop", from: "revision 1", to: "stack file",
            sections: [
                DiffReply.Section(address: "service.web", action: .changed, fields: [field("image", "web:1", "web:2")])
            ])
        return DriftReports(
            drift: DriftReport(stack: "shop", entries: entries), stack: stack, differences: differences,
            services: services, places: places, startedAt: noon, milliseconds: 1234)
    }

    private let limits = DriftEntry(
        address: "services.web[1]", class: .limits, detail: "memory.max is 1 instead of 2", policy: .repair,
        repair: "written back", since: "2026-03-01T11:00:00Z",
        source: SourceMark(file: "/srv/shop/compose.yaml", line: 3, column: 5))
    private let file = DriftEntry(
        address: "services.web", class: .stack, detail: "image changed", policy: .warn, repair: "gantry up",
        since: "2026-03-01T11:00:00Z")

    @Test func everyResourceIsATest() throws {
        let text = try reports([limits, file]).text(.junit)
        #expect(text.contains(#"<testsuite name="shop" tests="4" failures="1" errors="0" skipped="0" time="1.234""#))
        #expect(text.contains(#"name="services.db" file="compose.yaml" line="9" time="0.000"/>"#))
        #expect(text.contains(#"name="networks.front" time="0.000"/>"#))
        #expect(text.contains(#"name="firewall" time="0.000"/>"#))
        let failure = """
            name="services.web" file="compose.yaml" line="3" time="0.000">
                  <failure type="drift.limits,stack" message="services.web[1]: memory.max is 1 instead of 2, and 1 more">
            """
        #expect(text.contains(failure))
        #expect(text.contains("  policy repair: is written back\n  compose.yaml:3:5\n"))
        #expect(text.contains("  policy warn: gantry up\n  - image: web:1\n  + image: web:2</failure>"))
    }

    @Test func onlyWhatWasAskedForIsATest() throws {
        let text = try reports([], services: ["db"]).text(.junit)
        #expect(text.contains(#"tests="1" failures="0""#))
        #expect(text.contains(#"name="services.db""#))
    }

    @Test func driftIsToldToGitLabAndToLaterJobs() throws {
        let quality = try reports([limits]).text(.codequality)
        #expect(quality.contains(#""check_name":"drift.limits""#))
        #expect(quality.contains(#""location":{"path":"compose.yaml","lines":{"begin":3}}"#))
        #expect(try reports([limits]).text(.dotenv) == "GANTRY_DRIFT=true\nGANTRY_DRIFT_COUNT=1\n")
        #expect(try reports([]).text(.dotenv) == "GANTRY_DRIFT=false\nGANTRY_DRIFT_COUNT=0\n")
        #expect(throws: CommandFailure.self) { try reports([]).text(.terraform) }
    }

    @Test func whatAPlanDestroysFails() throws {
        var plan = PlanReply(
            stack: "shop",
            changes: [
                change(.create, .container, "service.web[1]", "does not exist", line: 4),
                change(.create, .container, "service.web[2]", "does not exist", line: 4),
                change(
                    .recreate, .volume, "volume.data", "driver changed", fields: [field("driver", "a", "b")],
                    disruption: .dataLoss),
            ])
        plan.target.revision = 7
        let reports = PlanReports(
            plan: plan, path: "p.json", stackFile: nil, places: places, startedAt: noon, milliseconds: 5)
        let text = try reports.text(.junit)
        #expect(text.contains(#"tests="2" failures="1""#))
        #expect(text.contains(#"name="service.web[1..2]: create" file="compose.yaml" line="4" time="0.000"/>"#))
        #expect(text.contains(#"message="the data of volume.data is lost">driver changed"# + "\ndriver: a → b<"))
        #expect(try reports.text(.terraform) == "{\"create\":2,\"update\":1,\"delete\":0}\n")
        #expect(
            try reports.text(.dotenv).hasSuffix("GANTRY_REVISION=7\nGANTRY_DISRUPTION=none\nGANTRY_PLAN_PATH=p.json\n"))
        let none = PlanReports(
            plan: PlanReply(stack: "shop"), path: nil, stackFile: nil, places: places, startedAt: noon, milliseconds: 5)
        #expect(try none.text(.junit).contains(#"<skipped message="no changes"/>"#))
    }

    @Test func theSameIsSaidOnce() {
        func error(_ text: String, _ hint: String?) -> Diagnostic { Diagnostic(code: "x", text, hint: hint) }
        let said = distinct([error("a", "h"), error("b", "h"), error("a", "h"), error("c", "i"), error("d", nil)])
        #expect(said.map(\.message) == ["a (2 times)", "b", "c", "d"])
        #expect(said.map(\.hint) == [nil, "h", "i", nil])
    }

    @Test func aReportThatCannotBeWrittenIsRefusedFirst() throws {
        let engine = try FakeEngine { _, connection in connection.reply("{}", status: "500 Oh") }
        let result = try runGantry(["-p", "shop", "reconcile", "--report", "junit=/none/a.xml"], engine: engine)
        #expect(result.exitCode == 2)
        #expect(result.errors == "error: the report /none/a.xml cannot be written: No such file or directory\n")
        #expect(!engine.requests.contains { $0.target.hasPrefix("/stacks") })
        let form = try runGantry(["apply", "--report", "xml=a"], engine: engine)
        #expect(form.errors.contains("help: a report is written KIND=FILE; the kinds are junit, "))
        let time = try runGantry(["apply", "--timeout", "soon"], engine: engine)
        #expect(time.errors.contains("help: a time is written 90, 90s or 1m30s\n"))
    }
}
