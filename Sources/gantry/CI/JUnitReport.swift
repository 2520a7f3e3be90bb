import EngineWire
import StackModel

/// JUnit XML: the stack is a suite, each service a test that passes when it converges; unchanged ones are skipped.
struct JUnitReport {
    let report: RunReport
    let places: FilePlaces

    var text: String {
        let stack = report.stack ?? "(no stack)"
        let cases = report.services.map(testcase)
        let isBlamed = report.services.contains { $0.outcome == .failed }
        // What no service is to blame for.
        let whole = report.exitCode != 0 && !isBlamed ? [errorCase(stack)] : []
        let skipped = report.services.count { $0.outcome == .unchanged || $0.outcome == .notReached }
        let counts =
            "tests=\"\(cases.count + whole.count)\" failures=\"\(report.services.count { $0.outcome == .failed })\" "
            + "errors=\"\(whole.count)\" skipped=\"\(skipped)\" time=\"\(seconds(report.milliseconds))\""
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="\(xml(report.command))" \(counts)>
              <testsuite name="\(xml(stack))" \(counts) timestamp="\(report.startedAt.secondsText)">
            \((cases + whole).joined())  </testsuite>
            </testsuites>

            """
    }

    private func testcase(_ service: RunReport.Service) -> String {
        var head = "    <testcase classname=\"\(xml(report.stack ?? ""))\" name=\"\(xml(service.name))\""
        if let source = service.source {
            head += " file=\"\(xml(places.name(source.file)))\" line=\"\(source.line)\""
        }
        head += " time=\"\(seconds(service.milliseconds))\""
        switch service.outcome {
        case .converged: return head + "/>\n"
        case .unchanged: return head + "><skipped message=\"unchanged\"/></testcase>\n"
        case .notReached: return head + "><skipped message=\"not reached\"/></testcase>\n"
        case .failed:
            let own = report.failures.filter { $0.service == service.name }
            let message = own.first.map { "container \($0.container) \(failureSummary($0))" } ?? firstError
            let text = own.flatMap { failure in
                ["container \(failure.container) \(failureSummary(failure))"] + failureLines(failure, places)
            }
            return head + ">\n      <failure type=\"\(xml(failureType))\" message=\"\(xml(message))\">"
                + xml(text.isEmpty ? firstError : text.joined(separator: "\n")) + "</failure>\n    </testcase>\n"
        }
    }

    private func errorCase(_ stack: String) -> String {
        let text = report.errors.map { error in
            let place = error.source.map { "\(places.name($0.file)):\($0.line):\($0.column): " } ?? ""
            return place + error.message + (error.hint.map { "\n\($0)" } ?? "")
        }
        return "    <testcase classname=\"\(xml(stack))\" name=\"(stack)\" time=\"\(seconds(report.milliseconds))\">\n"
            + "      <error type=\"\(xml(failureType))\" message=\"\(xml(firstError))\">"
            + xml(text.joined(separator: "\n")) + "</error>\n    </testcase>\n"
    }

    private var failureType: String { report.errors.last?.code ?? report.result.rawValue }

    private var firstError: String { report.errors.first?.message ?? "exit code \(report.exitCode)" }

    private func seconds(_ milliseconds: Int64) -> String {
        let thousandths = String(milliseconds % 1000)
        return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - thousandths.count) + thousandths
    }

    /// Escaped, and without what XML 1.0 (section 2.2) does not know at all.
    private func xml(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x26: result.append(contentsOf: "&amp;".unicodeScalars)
            case 0x3c: result.append(contentsOf: "&lt;".unicodeScalars)
            case 0x3e: result.append(contentsOf: "&gt;".unicodeScalars)
            case 0x22: result.append(contentsOf: "&quot;".unicodeScalars)
            case 0x09, 0x0a, 0x0d, 0x20...0xd7ff, 0xe000...0xfffd, 0x10000...0x10ffff: result.append(scalar)
            default: result.append("\u{fffd}")
            }
        }
        return String(result)
    }
}
