import ArgumentParser
import StackModel

/// `KIND=FILE`.
struct ReportTarget: Equatable, ExpressibleByArgument {
    enum Kind: String, CaseIterable { case junit, codequality, dotenv, terraform, markdown, json }

    var kind: Kind
    var path: String

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])), !parts[1].isEmpty else { return nil }
        (self.kind, path) = (kind, String(parts[1]))
    }
}

/// Of commands that only look.
struct ReportOptions: ParsableArguments {
    @Option(
        name: .customLong("report"),
        help: ArgumentHelp(
            "Also write a report: junit, codequality, dotenv, terraform, markdown or json; may be repeated.",
            valueName: "kind=file"))
    var reports: [ReportTarget] = []
}

/// Of commands that change a stack or wait for one.
struct RunOptions: ParsableArguments {
    @Option(
        name: .customLong("report"),
        help: ArgumentHelp(
            """
            Write a report at the end: junit, codequality, dotenv, terraform, markdown or json; may be repeated.
            """,
            valueName: "kind=file"))
    var reports: [ReportTarget] = []

    @Option(
        help: ArgumentHelp(
            """
            How long to wait for another command on the same stack, 0 or as in 15m. \
            (default: as long as it takes; with CI set, 10m)
            """,
            valueName: "duration"))
    var lockTimeout: TimeSpan?
}

/// Of commands that wait unless they are told not to.
struct WaitOptions: ParsableArguments {
    @Flag(inversion: .prefixedNo, help: "Wait until every service is where it should be.")
    var wait = true

    @Option(
        name: [.customLong("timeout"), .customLong("wait-timeout")],
        help: ArgumentHelp("How long to wait: seconds, or as in 1m30s.", valueName: "duration"))
    var timeout: TimeSpan?
}
