import EngineWire
import StackModel

/// A run as JUnit XML: the stack is a suite, each service a test that passes when it converges; unchanged ones are
/// skipped.
struct JUnitReport {
    let report: RunReport
    let places: FilePlaces

    var text: String {
        var cases = report.services.map(testcase)
        let isBlamed = report.services.contains { $0.outcome == .failed }
        if report.exitCode != 0, !isBlamed {
            var whole = junitCase(
                report.errors, exitCode: report.exitCode, milliseconds: report.milliseconds, places)
            if case .error(_, let message, let text) = whole.outcome {
                whole.outcome = .error(type: failureType, message: message, text: text)
            }
            cases.append(whole)
        }
        return JUnitDocument(
            name: report.command, suite: report.stack ?? "(no stack)", startedAt: report.startedAt,
            milliseconds: report.milliseconds, cases: cases, places: places
        ).text
    }

    private func testcase(_ service: RunReport.Service) -> JUnitDocument.Case {
        JUnitDocument.Case(
            name: service.name, milliseconds: service.milliseconds, source: service.source, outcome: outcome(service))
    }

    private func outcome(_ service: RunReport.Service) -> JUnitDocument.Case.Outcome {
        switch service.outcome {
        case .converged: return .passed
        case .unchanged: return .skipped("unchanged")
        case .notReached: return .skipped("not reached")
        case .failed:
            let own = report.failures.filter { $0.service == service.name }
            let message = own.first.map { "container \($0.container) \(failureSummary($0))" } ?? firstError
            let text = own.flatMap { failure in
                ["container \(failure.container) \(failureSummary(failure))"] + failureLines(failure, places)
            }
            return .failed(
                type: failureType, message: message, text: text.isEmpty ? firstError : text.joined(separator: "\n"))
        }
    }

    private var failureType: String { report.errors.last?.code ?? report.result.rawValue }

    private var firstError: String { report.errors.first?.message ?? "exit code \(report.exitCode)" }
}
