import CLinux
import Glibc
import LinuxSystem
import Registry

/// How git is run for a build.
public struct GitOptions: Sendable {
    /// Of all commands for one repository together.
    public var secondsMax: UInt64 = 1800
    /// Of what a repository may take on disk, `.git` and submodules included.
    public var byteCountMax: UInt64 = 16 << 30
    /// `SSH_AUTH_SOCK`: a socket of an agent, of `--ssh`.
    public var agentSocket: String?
    /// Shown to the repository's own host only.
    public var secrets = RemoteSecrets()
    /// `HTTP_PROXY=…` and the like.
    public var proxies: [String] = []
    /// Protocols that git may speak, also for submodules.
    var protocols = ["http", "https", "git", "ssh"]
    /// Where git may be.
    var paths = ["/usr/bin/git", "/usr/local/bin/git", "/bin/git"]

    public init() {}

    /// As a build was given them: secrets and agents by id, proxies as `NAME=VALUE`.
    public init(secrets: [String: [UInt8]], agents: [String: String], proxies: [String]) {
        self.secrets = RemoteSecrets(secrets)
        agentSocket = agents["default"]
        self.proxies = proxies
    }
}

/// The system's git on one repository, without anything of its configuration, hooks, helpers, prompts and filters: what
/// a repository says is data.
final class GitProgram {
    /// Blocks of `ulimit -f` in sh(1p).
    private static let fileBlockByteCount: UInt64 = 512
    private static let outputByteCountMax = 1 << 20
    private static let userVariable = "GANTRY_GIT_USER"
    private static let passwordVariable = "GANTRY_GIT_PASSWORD"
    /// How often the folder is measured: every so many quarters of a second.
    private static let measureInterval = 8
    /// Of the repository, as git is told it: what it is told it keeps in `.git`, and arguments are for everybody to
    /// read. User and password of http go by the environment.
    let address: String
    private let path: String
    private let folder: String?
    private let options: GitOptions
    private let environment: [String]
    private let stop: Cancellation
    private let deadline: UInt64

    /// - Parameter folder: nil where nothing is written.
    init(folder: String?, remote: String, _ options: GitOptions, _ stop: Cancellation) throws(BuildError) {
        guard let path = options.paths.first(where: { access($0, X_OK) == 0 }) else {
            throw .remote("git is not installed, and \(AddressParts.withoutUser(remote)) needs it: install git")
        }
        self.path = path
        self.folder = folder
        self.options = options
        self.stop = stop
        let (user, rest) = AddressParts.cutUser(remote)
        address = AddressParts.origin(rest) == nil ? remote : rest
        environment = Self.environment(options, address, user: user)
        deadline = monotonicMilliseconds() + options.secondsMax * 1000
    }

    /// Settings by environment, not by arguments: others can read those.
    private static func environment(_ options: GitOptions, _ address: String, user: Substring?) -> [String] {
        var settings = [
            ("core.hooksPath", "/dev/null"), ("core.fsmonitor", "false"), ("core.attributesFile", "/dev/null"),
            ("credential.helper", ""), ("protocol.allow", "never"), ("gc.auto", "0"), ("maintenance.auto", "false"),
            ("init.defaultBranch", "main"), ("advice.detachedHead", "false"), ("submodule.recurse", "false"),
            ("http.lowSpeedLimit", "64"), ("http.lowSpeedTime", "60"), ("uploadpack.packObjectsHook", ""),
        ]
        settings += options.protocols.map { ("protocol.\($0).allow", "always") }
        var password: [String] = []
        // Submodules of the same host get it, too, as those with a relative address always did.
        if let origin = AddressParts.origin(address) {
            if let authorization = options.secrets.gitAuthorization(authority: origin.authority) {
                settings.append(("http.\(origin.prefix).extraHeader", "Authorization: \(authorization)"))
            } else if let pair = user.flatMap(Self.credential) {
                // Asked by git when the host wants to know: gitcredentials(7).
                let lines = "'username=%s\\npassword=%s\\n' \"$\(userVariable)\" \"$\(passwordVariable)\""
                settings.append(
                    ("credential.\(origin.prefix).helper", "!f() { test \"$1\" = get && printf \(lines); }; f"))
                password = ["\(userVariable)=\(pair.user)", "\(passwordVariable)=\(pair.password)"]
            }
        }
        // Hosts that the machine's /etc/ssh/ssh_known_hosts names are checked; others are taken as whom they say they
        // are, as BuildKit does, and remembered nowhere.
        let hosts = "-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/dev/null"
        var result = [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/nonexistent",
            "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false",
            "SSH_ASKPASS=/bin/false", "GIT_LFS_SKIP_SMUDGE=1", "GIT_NO_REPLACE_OBJECTS=1",
            "GIT_ALLOW_PROTOCOL=\(options.protocols.joined(separator: ":"))",
            "GIT_SSH_COMMAND=ssh -F /dev/null -o BatchMode=yes \(hosts)", "GIT_CONFIG_COUNT=\(settings.count)",
        ]
        for (index, setting) in settings.enumerated() {
            result += ["GIT_CONFIG_KEY_\(index)=\(setting.0)", "GIT_CONFIG_VALUE_\(index)=\(setting.1)"]
        }
        if let socket = options.agentSocket { result.append("SSH_AUTH_SOCK=\(socket)") }
        return result + password + options.proxies
    }

    /// Of `USER:PASSWORD` in an address.
    private static func credential(_ text: Substring) -> (user: String, password: String)? {
        let (user, password) = AddressParts.cut(text, ":")
        guard let password, let name = AddressParts.decoded(user), let word = AddressParts.decoded(password),
            // One line each is what git reads.
            (name + word).unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f })
        else { return nil }
        return (name, word)
    }

    struct Failure: Error {
        var text: String
        /// The server cannot send a part of the history, or a commit that is no branch's.
        var wantsWhole: Bool
    }

    /// Output of `git ARGUMENTS` in the folder.
    func run(_ arguments: [String]) throws(BuildError) -> String {
        do {
            return try attempt(arguments)
        } catch {
            switch error {
            case .failed(let failure): throw .remote(failure.text)
            case .build(let error): throw error
            }
        }
    }

    enum Trouble: Error {
        case failed(Failure)
        case build(BuildError)
    }

    func attempt(_ arguments: [String]) throws(Trouble) -> String {
        let now = monotonicMilliseconds()
        guard now < deadline else { throw .build(late) }
        // New files are 0644 and 0755, as BuildKit has them, and none is larger than all may be.
        let blocks = options.byteCountMax / Self.fileBlockByteCount
        let script = "umask 022; ulimit -f \(blocks); exec \"$0\" \"$@\""
        var isTooLarge = false
        var round = 0
        let outcome: HelperProgram.Outcome
        do throws(SystemError) {
            outcome = try HelperProgram.run(
                path: "/bin/sh", arguments: ["sh", "-c", script, path, "-C", folder ?? "/"] + arguments,
                environment: environment, input: [], timeoutMilliseconds: deadline - now,
                outputByteCountMax: Self.outputByteCountMax
            ) {
                round += 1
                if round % Self.measureInterval == 0 { isTooLarge = self.isTooLarge() }
                return !isTooLarge && !self.stop.isCancelled
            }
        } catch {
            throw .build(BuildError(error))
        }
        if stop.isCancelled { throw .build(.cancelled) }
        let output = String(decoding: outcome.output, as: UTF8.self)
        // `ulimit -f` ends git itself or what it started.
        let wasCutOff = outcome.end == .signalled(SIGXFSZ) || output.contains("died of signal \(SIGXFSZ)")
        if isTooLarge || wasCutOff || outcome.end == .exited(0) && self.isTooLarge() {
            throw .build(.limit("the repository takes more than \(options.byteCountMax) bytes"))
        }
        if outcome.end == .timedOut { throw .build(late) }
        guard outcome.failureReason == nil else { throw .failed(failure(arguments, outcome, output)) }
        return output
    }

    private var late: BuildError { .remote("git did not end within \(options.secondsMax) seconds") }

    private func failure(_ arguments: [String], _ outcome: HelperProgram.Outcome, _ output: String) -> Failure {
        let lines = output.split(whereSeparator: { $0 == "\n" || $0 == "\r" })
        let told = lines.filter { $0.hasPrefix("fatal:") || $0.hasPrefix("error:") || $0.hasPrefix("remote:") }
        let text = (told.isEmpty ? lines.suffix(3) : told.prefix(3)).joined(separator: "; ")
        let shown = text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? "?" : String($0) }.joined()
        let hints = ["shallow", "--depth", "not our ref", "unadvertised object", "does not allow request"]
        let reason = shown.isEmpty ? outcome.failureReason ?? "it failed" : shown
        return Failure(
            text: "git \(arguments.first ?? ""): \(reason.prefix(500))",
            wantsWhole: hints.contains { output.contains($0) })
    }

    private func isTooLarge() -> Bool {
        guard let folder else { return false }
        do throws(SystemError) {
            return try FileSystem.treeByteCount(folder) > options.byteCountMax
        } catch {
            // It comes and goes while git works in it; the next look tells.
            return false
        }
    }
}
