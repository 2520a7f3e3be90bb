import EngineWire
import StackModel

/// `gantry drift --report`: each resource of the stack is a test that passes when it is as it was applied.
struct DriftReports {
    let drift: DriftReport
    /// As its file says it; `nil`: only its name is known.
    let stack: Stack?
    /// What the stack file changes, where that is drift; `nil`: nobody has asked.
    let differences: DiffReply?
    /// The ones that were asked for; empty: all.
    let services: [String]
    let places: FilePlaces
    let startedAt: Moment
    let milliseconds: Int64

    func text(_ kind: ReportTarget.Kind) throws -> String {
        switch kind {
        case .junit: junit
        case .json: driftJSON(drift).indented + "\n"
        case .markdown: driftMarkdown(drift, folder: places.root)
        case .codequality: codeQuality(asRun, places, stackFile: stack?.configFiles.first)
        case .dotenv:
            "GANTRY_DRIFT=\(drift.entries.isEmpty ? "false" : "true")\nGANTRY_DRIFT_COUNT=\(drift.entries.count)\n"
        case .terraform: throw CommandFailure.usage("drift is nothing that the report terraform could say")
        }
    }

    private var junit: String {
        let groups = Dictionary(grouping: drift.entries) { resource(of: $0.address) }
        let names = Set(resources).union(groups.keys).sorted()
        var cases = names.map { testcase($0, groups[$0] ?? []) }
        if cases.isEmpty { cases = [JUnitDocument.Case(name: "(stack)", outcome: .passed)] }
        return JUnitDocument(
            name: "gantry drift", suite: drift.stack, startedAt: startedAt, milliseconds: milliseconds, cases: cases,
            places: places
        ).text
    }

    private func testcase(_ name: String, _ entries: [DriftEntry]) -> JUnitDocument.Case {
        let source = entries.lazy.compactMap(\.source).first ?? stack?.sources[name]
        guard let first = entries.first else {
            return JUnitDocument.Case(name: name, source: source, outcome: .passed)
        }
        let more = entries.count > 1 ? ", and \(entries.count - 1) more" : ""
        let kinds = Set(entries.map(\.class.rawValue)).sorted().joined(separator: ",")
        return JUnitDocument.Case(
            name: name, source: source,
            outcome: .failed(
                type: "drift.\(kinds)", message: "\(first.address): \(first.detail)\(more)",
                text: entries.map(lines).joined(separator: "\n")))
    }

    private func lines(_ entry: DriftEntry) -> String {
        var lines = ["\(entry.address): \(entry.class.rawValue): \(entry.detail)", "  since \(entry.since)"]
        let policy = "  policy \(entry.policy.rawValue)"
        lines.append(policy + (entry.repair.map { entry.policy == .repair ? ": is \($0)" : ": \($0)" } ?? ""))
        if let source = entry.source { lines.append("  \(places.name(source.file)):\(source.line):\(source.column)") }
        return (lines + values(entry)).joined(separator: "\n")
    }

    /// As it was applied, and as the stack file says it now.
    private func values(_ entry: DriftEntry) -> [String] {
        guard entry.class == .stack else { return [] }
        let section = differences?.sections.first { $0.address == singular(entry.address) }
        return (section?.fields ?? []).flatMap { field in
            [("-", field.before), ("+", field.after)].compactMap { sign, value in
                value.map { "  \(sign) \(field.path): \($0)" }
            }
        }
    }

    /// Differences are told of `service.web`.
    private func singular(_ address: String) -> String {
        let kind = address.prefix { $0 != "." }
        return String(kind.hasSuffix("s") ? kind.dropLast() : kind) + address.dropFirst(kind.count)
    }

    /// `services.web[1]` belongs to `services.web`.
    private func resource(of address: String) -> String { String(address.prefix { $0 != "[" }) }

    /// What was looked at.
    private var resources: [String] {
        guard let stack else { return [] }
        guard services.isEmpty else { return services.map { "services.\($0)" } }
        return stack.services.keys.map { "services.\($0)" } + stack.networks.keys.map { "networks.\($0)" }
            + stack.volumes.keys.map { "volumes.\($0)" } + stack.configs.keys.map { "configs.\($0)" }
            + stack.secrets.keys.map { "secrets.\($0)" } + ["firewall"]
    }

    private var asRun: RunReport {
        var run = RunReport(command: "gantry drift", stack: drift.stack, startedAt: startedAt)
        run.diagnostics = drift.entries.map { entry in
            Diagnostic(
                .warning, code: "drift.\(entry.class.rawValue)", "\(entry.address): \(entry.detail)",
                source: entry.source, hint: entry.repair)
        }
        return run
    }
}
