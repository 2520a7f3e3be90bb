import StackModel

/// JUnit XML with one suite, as the CI systems read it.
struct JUnitDocument {
    struct Case {
        enum Outcome: Equatable {
            case passed
            case skipped(String)
            case failed(type: String, message: String, text: String)
            case error(type: String, message: String, text: String)
        }

        var name: String
        var milliseconds: Int64 = 0
        var source: SourceMark?
        var outcome: Outcome
    }

    /// The command.
    var name: String
    /// The stack.
    var suite: String
    var startedAt: Moment
    var milliseconds: Int64
    var cases: [Case]
    var places: FilePlaces

    var text: String {
        let failures = cases.count { if case .failed = $0.outcome { true } else { false } }
        let errors = cases.count { if case .error = $0.outcome { true } else { false } }
        let skipped = cases.count { if case .skipped = $0.outcome { true } else { false } }
        let counts =
            "tests=\"\(cases.count)\" failures=\"\(failures)\" errors=\"\(errors)\" skipped=\"\(skipped)\" "
            + "time=\"\(seconds(milliseconds))\""
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="\(xml(name))" \(counts)>
              <testsuite name="\(xml(suite))" \(counts) timestamp="\(startedAt.secondsText)">
            \(cases.map(text).joined())  </testsuite>
            </testsuites>

            """
    }

    private func text(_ testcase: Case) -> String {
        var head = "    <testcase classname=\"\(xml(suite))\" name=\"\(xml(testcase.name))\""
        if let source = testcase.source {
            head += " file=\"\(xml(places.name(source.file)))\" line=\"\(source.line)\""
        }
        head += " time=\"\(seconds(testcase.milliseconds))\""
        switch testcase.outcome {
        case .passed: return head + "/>\n"
        case .skipped(let message): return head + "><skipped message=\"\(xml(message))\"/></testcase>\n"
        case .failed(let type, let message, let text): return head + body("failure", type, message, text)
        case .error(let type, let message, let text): return head + body("error", type, message, text)
        }
    }

    private func body(_ element: String, _ type: String, _ message: String, _ text: String) -> String {
        ">\n      <\(element) type=\"\(xml(type))\" message=\"\(xml(message))\">\(xml(text))</\(element)>\n"
            + "    </testcase>\n"
    }

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

/// An error that no part of the stack is to blame for.
func junitCase(_ errors: [Diagnostic], exitCode: Int32, milliseconds: Int64, _ places: FilePlaces) -> JUnitDocument.Case
{
    let text = errors.map { error in
        let place = error.source.map { "\(places.name($0.file)):\($0.line):\($0.column): " } ?? ""
        return place + error.message + (error.hint.map { "\n\($0)" } ?? "")
    }
    return JUnitDocument.Case(
        name: "(stack)", milliseconds: milliseconds,
        outcome: .error(
            type: errors.last?.code ?? "failed", message: errors.first?.message ?? "exit code \(exitCode)",
            text: text.joined(separator: "\n")))
}
