import EngineWire
import Glibc

/// What the environment says about the CI system that a command runs in. A function of variables, nothing else.
struct CIEnvironment: Equatable, Sendable {
    enum System: Equatable, Sendable {
        case github, gitlab
        /// Some other: `CI` is set.
        case other
    }

    /// `nil`: somebody's own machine.
    var system: System?
    /// Where the repository lies: annotations name files from there.
    var workspace: String?
    /// Of the job, for whoever waits for it.
    var runURL: String?
    /// Who began it.
    var actor: String?
    /// `$GITHUB_STEP_SUMMARY`.
    var summaryPath: String?
    /// `$GITHUB_OUTPUT`.
    var outputPath: String?

    init(_ environment: [String: String]) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if value("GITHUB_ACTIONS") == "true" {
            system = .github
            workspace = value("GITHUB_WORKSPACE")
            actor = value("GITHUB_ACTOR")
            (summaryPath, outputPath) = (value("GITHUB_STEP_SUMMARY"), value("GITHUB_OUTPUT"))
            if let server = value("GITHUB_SERVER_URL"), let repository = value("GITHUB_REPOSITORY"),
                let run = value("GITHUB_RUN_ID")
            {
                runURL = "\(server)/\(repository)/actions/runs/\(run)"
            }
        } else if value("GITLAB_CI") == "true" {
            system = .gitlab
            workspace = value("CI_PROJECT_DIR")
            actor = value("GITLAB_USER_LOGIN")
            runURL = value("CI_JOB_URL")
        } else if let flag = value("CI"), !["false", "0", "no"].contains(flag.lowercased()) {
            system = .other
            // Jenkins, CircleCI, Buildkite.
            runURL = ["BUILD_URL", "CIRCLE_BUILD_URL", "BUILDKITE_BUILD_URL"].lazy.compactMap(value).first
        }
    }

    var isPresent: Bool { system != nil }

    /// How long to wait for another command when nobody says so, nanoseconds. At a terminal one sees whom one waits
    /// for, and has Ctrl-C.
    var lockTimeout: Int64? { isPresent ? 600 * 1_000_000_000 : nil }
}

/// Who this process works for.
func commandOwner(command: String, _ environment: [String: String]) -> CommandOwner {
    let ci = CIEnvironment(environment)
    let user =
        ci.actor ?? environment["USER"] ?? environment["LOGNAME"] ?? accountName(geteuid())
        ?? "uid \(geteuid())"
    var names = utsname()
    let isNamed = uname(&names) == 0
    let host = withUnsafeBytes(of: names.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return CommandOwner(
        user: user, host: isNamed ? host : "unknown host", pid: Int(getpid()), command: command, url: ci.runURL)
}

/// As the machine's database of users has it (getpwuid_r(3)).
private func accountName(_ id: uid_t) -> String? {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 16 << 10)
    let code = getpwuid_r(id, &entry, &buffer, buffer.count, &found)
    // SAFETY: on success `pw_name` points to a string with its zero byte in `buffer`, which lives until the end.
    guard code == 0, found != nil, let name = entry.pw_name else { return nil }
    return withExtendedLifetime(buffer) { String(cString: name) }
}
