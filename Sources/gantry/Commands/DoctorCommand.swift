import ArgumentParser
import EngineClient
import EngineWire
import Glibc
import HostCheck
import LinuxSystem
import StackModel

struct DoctorCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument { case table, json }

    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check the host, and say how to mend what is wrong.",
        usage: "gantry doctor [<global options>] [<options>]",
        discussion: """
            Changes nothing. Ends with 0 when nothing prevents containers from running and
            being reached, and with 1 when something does. Works with and without an
            engine, and without root, which sees less.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions

    @Option(help: "Form of the output.")
    var format = Format.table

    @Flag(name: [.short, .long], help: "Only what is wrong.")
    var quiet = false

    @Flag(help: "Ask no resolver.")
    var noNetwork = false

    func run() throws {
        let session = Session(global)
        let paths = StandardPaths(userID: geteuid(), environment: session.environment)
        let root = { (name: String, standard: String) -> String in
            guard let path = session.environment[name], !path.isEmpty else { return standard }
            return path.hasPrefix("/") ? path : "\(session.workingDirectory)/\(path)"
        }
        let facts = readHost(
            HostCheckOptions(
                dataRoot: root("GANTRY_DATA_ROOT", paths.dataRoot), execRoot: root("GANTRY_EXEC_ROOT", paths.execRoot),
                asksResolvers: !noNetwork))
        let all = judge(facts) + [engineFinding(session)]
        let shown = quiet ? all.filter { $0.level >= .warning } : all
        try session.output.write(renderFindings(shown, of: all, format, color: session.output.color))
        if all.contains(where: { $0.level == .problem }) { throw ExitCode(1) }
    }

    /// No engine is no problem: commands start it.
    private func engineFinding(_ session: Session) -> Finding {
        do {
            guard let client = try session.runningEngine() else {
                return Finding(
                    .note, "engine.state", .engine, "no engine runs", meaning: "commands that need it start it")
            }
            let server = try client.version()
            guard server.Version == gantryVersion else {
                return Finding(
                    .warning, "engine.state", .engine,
                    "the engine is of version \(server.Version), this program of \(gantryVersion)",
                    mend: ["gantry engine stop, and any command starts the new one; containers run on"])
            }
            return Finding(.ok, "engine.state", .engine, "the engine \(server.Version) answers")
        } catch {
            let diagnostic = failure(for: error)?.diagnostics.first
            return Finding(
                .problem, "engine.state", .engine, diagnostic?.message ?? "\(error)",
                meaning: "no command can reach it", mend: diagnostic?.hint.map { [$0] } ?? [])
        }
    }
}

/// Output of `gantry doctor`; `all` is counted, `shown` is shown.
func renderFindings(
    _ shown: [Finding], of all: [Finding], _ format: DoctorCommand.Format, color: Bool
) -> String {
    let count = { (level: Finding.Level) in all.filter { $0.level == level }.count }
    guard format == .table else {
        return JSONText.object([
            ("Problems", .number(count(.problem))), ("Warnings", .number(count(.warning))),
            ("Findings", .array(shown.map(json))),
        ]).text + "\n"
    }
    var text = ""
    for group in Finding.Group.allCases {
        let members = shown.filter { $0.group == group }
        if members.isEmpty { continue }
        text += coloured(group.rawValue, .bold, color) + "\n" + members.map { lines($0, color) }.joined()
    }
    if !text.isEmpty { text += "\n" }
    return text + summary(problems: count(.problem), warnings: count(.warning)) + "\n"
}

private func summary(problems: Int, warnings: Int) -> String {
    let counted = { (count: Int, word: String) in "\(count) \(word)\(count == 1 ? "" : "s")" }
    guard problems + warnings > 0 else { return "Nothing is wrong with this host." }
    let parts = [(problems, "problem"), (warnings, "warning")].filter { $0.0 > 0 }.map { counted($0.0, $0.1) }
    return parts.joined(separator: ", ") + "."
}

private func lines(_ finding: Finding, _ color: Bool) -> String {
    let (sign, colour): (String, Colour) =
        switch finding.level {
        case .ok: ("✓", .green)
        case .note: ("·", .faint)
        case .warning: ("!", .yellow)
        case .problem: ("✗", .red)
        }
    var text = "  \(coloured(sign, colour, color)) \(harmless(finding.title))\n"
    if let meaning = finding.meaning { text += "      \(harmless(meaning))\n" }
    for step in finding.mend { text += "      → \(harmless(step))\n" }
    return text
}

private func json(_ finding: Finding) -> JSONText {
    .object([
        ("Code", .string(finding.code)), ("Group", .string(finding.group.rawValue)),
        ("Level", .string(finding.level.rawValue)), ("Title", .string(finding.title)),
        ("Meaning", .optional(finding.meaning)), ("Mend", .array(finding.mend.map { .string($0) })),
    ])
}
