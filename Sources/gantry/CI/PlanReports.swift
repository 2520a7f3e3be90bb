import EngineWire
import StackModel

/// `gantry plan --report`: each object that would be changed is a test, which fails when data would be lost.
struct PlanReports {
    let plan: PlanReply
    /// Where it was saved.
    let path: String?
    let stackFile: String?
    let places: FilePlaces
    let startedAt: Moment
    let milliseconds: Int64

    func text(_ kind: ReportTarget.Kind) throws -> String {
        switch kind {
        case .junit: junit
        case .json: String(decoding: try planDocument(shown), as: UTF8.self)
        case .markdown: renderPlanMarkdown(plan, folder: places.root)
        case .codequality: codeQuality(asRun, places, stackFile: stackFile)
        case .terraform: terraformCounts(asRun)
        case .dotenv:
            """
            GANTRY_CHANGED=\(plan.changed)
            GANTRY_REVISION=\(plan.target.revision.map(String.init) ?? "")
            GANTRY_DISRUPTION=\(plan.disruption.rawValue)
            GANTRY_PLAN_PATH=\(path ?? "")

            """
        }
    }

    /// Without what only `apply` needs.
    private var shown: PlanReply {
        var plan = plan
        plan.saved = nil
        return plan
    }

    private var junit: String {
        var cases = planRows(plan.effective).map(testcase)
        if !plan.errors.isEmpty { cases.append(junitCase(plan.errors, exitCode: 1, milliseconds: 0, places)) }
        if cases.isEmpty { cases = [JUnitDocument.Case(name: "(stack)", outcome: .skipped("no changes"))] }
        return JUnitDocument(
            name: "gantry plan", suite: plan.stack, startedAt: startedAt, milliseconds: milliseconds, cases: cases,
            places: places
        ).text
    }

    private func testcase(_ row: PlanRow) -> JUnitDocument.Case {
        let change = row.change
        let name = "\(row.address): \(change.action.rawValue)"
        guard change.disruption == .dataLoss else {
            return JUnitDocument.Case(name: name, source: change.source, outcome: .passed)
        }
        let fields = change.fields.map { "\($0.path): \($0.before ?? "(not said)") → \($0.after ?? "(not said)")" }
        return JUnitDocument.Case(
            name: name, source: change.source,
            outcome: .failed(
                type: "plan.data-loss", message: "the data of \(row.address) is lost",
                text: ([change.reason] + fields).joined(separator: "\n")))
    }

    private var asRun: RunReport {
        var run = RunReport(command: "gantry plan", stack: plan.stack, startedAt: startedAt)
        (run.plan, run.diagnostics) = (plan, ProgramFacts.said + plan.diagnostics)
        return run
    }
}
