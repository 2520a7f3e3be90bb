import CLinux
import EngineClient
import Glibc
import LinuxSystem

/// The engine that is started when none answers, as arguments of `gantry-supervisor`, which keeps it running.
struct EngineLaunch: Equatable {
    var supervisor: String
    var arguments: [String]
    var environment: [String]
    var logPath: String

    /// `programFolder`: where this program lies; both programs are installed side by side.
    init(host: EngineHost, programFolder: String, environment all: [String: String], workingDirectory: String) {
        supervisor = "\(programFolder)/gantry-supervisor"
        arguments = [supervisor, "watch", "--", "\(programFolder)/gantry", "engine", "--host", host.description]
        // Each must be absolute: the engine runs in /.
        let root = { (name: String) -> String? in
            guard let path = all[name], !path.isEmpty else { return nil }
            return path.hasPrefix("/") ? path : "\(workingDirectory)/\(path)"
        }
        let dataRoot = root("GANTRY_DATA_ROOT")
        if let dataRoot { arguments += ["--data-root", dataRoot] }
        if let execRoot = root("GANTRY_EXEC_ROOT") { arguments += ["--exec-root", execRoot] }
        environment = all.filter { Self.inherits($0.key) }.map { "\($0.key)=\($0.value)" }.sorted()
        logPath = "\(dataRoot ?? StandardPaths.current(all).dataRoot)/engine.log"
    }

    /// A daemon outlives the shell that happened to start it, so it takes only what it needs.
    private static func inherits(_ name: String) -> Bool {
        let names = [
            "PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "SWIFT_BACKTRACE", "XDG_RUNTIME_DIR", "XDG_DATA_HOME",
        ]
        return names.contains(name) || name.hasPrefix("GANTRY_") && name != RootlessFacts.variable
    }
}

/// Starts the engine and waits until it answers.
func startEngine(_ client: EngineClient, environment: [String: String]) throws {
    if let value = environment["GANTRY_NO_AUTOSTART"], !value.isEmpty, value != "0" {
        throw CommandFailure(
            code: "engine.not-running", "the engine is not running: nothing answers on \(client.host.name)",
            hint: "start it with `gantry engine`, or unset GANTRY_NO_AUTOSTART")
    }
    let program = try readLink("/proc/self/exe")
    let launch = EngineLaunch(
        host: client.host, programFolder: FileSystem.parent(of: program), environment: environment,
        workingDirectory: try readLink("/proc/self/cwd"))
    guard access(launch.supervisor, X_OK) == 0 else {
        throw CommandFailure(
            code: "engine.not-installed",
            "the engine is not running, and \(launch.supervisor) is not there to start it",
            hint: "install gantry-supervisor beside gantry, or start the engine with `gantry engine`")
    }
    let process = try spawnDetached(launch)
    try waitForEngine(client, process: process, launch: launch)
}

/// Connects until the engine answers: after 2 ms at first, up to every 20 ms, for 10 s.
private func waitForEngine(_ client: EngineClient, process: pid_t, launch: EngineLaunch) throws {
    let deadline = monotonicNow() + 10_000_000_000
    // When our own engine ends at once, another one may just have been started by somebody else.
    var ownEngineEnded: Int64?
    var pauseMilliseconds = 2
    while monotonicNow() < deadline {
        if try client.isAnswering() { return }
        if ownEngineEnded == nil, hasEnded(process) { ownEngineEnded = monotonicNow() }
        if let ownEngineEnded, monotonicNow() - ownEngineEnded > 1_000_000_000 { break }
        pause(milliseconds: pauseMilliseconds)
        pauseMilliseconds = min(20, pauseMilliseconds + 2)
    }
    let lines = lastLines(of: launch.logPath)
    let log = lines.isEmpty ? "" : "; the end of \(launch.logPath):\n" + lines.map { "  \($0)" }.joined(separator: "\n")
    throw CommandFailure(
        code: "engine.no-start", "the engine was started but does not answer on \(client.host.name)\(log)",
        hint: "`gantry engine --host \(client.host)` in a terminal shows what stops it")
}

private func hasEnded(_ process: pid_t) -> Bool {
    var status: Int32 = 0
    return waitpid(process, &status, WNOHANG) != 0
}

/// The last lines of a log, at most ten and not more than 8 KiB; nothing when it cannot be read.
private func lastLines(of path: String) -> [String] {
    let lineCountMax = 10
    let byteCountMax = 8 << 10
    // Only an addition to the message that the engine did not start: without it the message stands.
    guard let file = try? FileDescriptor.open(path, O_RDONLY) else { return [] }
    let end = lseek(file.raw, 0, SEEK_END)
    if end > byteCountMax { lseek(file.raw, end - byteCountMax, SEEK_SET) } else { lseek(file.raw, 0, SEEK_SET) }
    guard let bytes = try? file.read(upTo: byteCountMax) else { return [] }  // As above.
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").suffix(lineCountMax).map(String.init)
}

func readLink(_ path: String) throws(SystemError) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = try check("readlink", path: path) { readlink(path, &buffer, buffer.count) }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
