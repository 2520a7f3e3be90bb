import CLinux
import Glibc
import LinuxSystem

/// What a run of the real program gave.
struct ProgramResult: Equatable {
    var output: String
    var errors: String
    var exitCode: Int32
}

/// A running `gantry`, built beside these tests.
final class GantryProgram {
    private let output: FileDescriptor
    private let errors: FileDescriptor
    let process: pid_t

    /// Nothing of this process's environment is passed on, and no engine is started.
    init(
        _ arguments: [String], engine: FakeEngine? = nil, environment: [String: String] = [:],
        input: String = "/dev/null", outputPath: String? = nil, program: String? = nil
    ) throws {
        let program = try program ?? (FileSystem.parent(of: ownProgramPath()) + "/gantry")
        var variables = ["GANTRY_NO_AUTOSTART": "1", "PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no"]
        variables["GANTRY_HOST"] = "unix://\(engine?.socketPath ?? "/nonexistent/gantry.sock")"
        variables.merge(environment) { $1 }
        let (outputRead, outputWrite) = try makePipe()
        let (errorsRead, errorsWrite) = try makePipe()
        output = FileDescriptor(owning: outputRead)
        errors = FileDescriptor(owning: errorsRead)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY | O_NOCTTY, 0)
        if let outputPath {
            posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_NOCTTY, 0)
        } else {
            posix_spawn_file_actions_adddup2(&actions, outputWrite, 1)
        }
        posix_spawn_file_actions_adddup2(&actions, errorsWrite, 2)
        posix_spawn_file_actions_addchdir_np(&actions, "/tmp")
        var argumentPointers = ([program] + arguments).map { strdup($0) } + [nil]
        var environmentPointers = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            (argumentPointers + environmentPointers).forEach { free($0) }
            close(outputWrite)
            close(errorsWrite)
            posix_spawn_file_actions_destroy(&actions)
        }
        var process: pid_t = 0
        var code = posix_spawn(&process, program, &actions, nil, &argumentPointers, &environmentPointers)
        // A process that another test has just forked may still hold the descriptor by which a program was written.
        for _ in 0..<1_000 where code == ETXTBSY {
            usleep(10_000)
            code = posix_spawn(&process, program, &actions, nil, &argumentPointers, &environmentPointers)
        }
        guard code == 0 else { throw SystemError("posix_spawn", path: program, code: code) }
        self.process = process
    }

    /// Its next output, at least one byte unless it has ended.
    func readOutput() throws -> String { String(decoding: try output.read(upTo: 64 << 10), as: UTF8.self) }

    /// Its messages until one contains `text`, or it has ended.
    func readErrors(until text: String) throws -> String {
        var all = ""
        while !all.contains(text) {
            let piece = try errors.read(upTo: 64 << 10)
            if piece.isEmpty { break }
            all += String(decoding: piece, as: UTF8.self)
        }
        return all
    }

    func send(_ signal: Int32) { kill(process, signal) }

    func finish() throws -> ProgramResult {
        // What these tests make it say fits both pipes, so one can be read after the other.
        let text = String(decoding: try output.readAll(), as: UTF8.self)
        let messages = String(decoding: try errors.readAll(), as: UTF8.self)
        var status: Int32 = 0
        let process = process
        try check("waitpid") { waitpid(process, &status, 0) }
        let code = gantry_wifexited(status) != 0 ? gantry_wexitstatus(status) : 128 + gantry_wtermsig(status)
        return ProgramResult(output: text, errors: messages, exitCode: code)
    }
}

func runGantry(
    _ arguments: [String], engine: FakeEngine? = nil, environment: [String: String] = [:],
    input: String = "/dev/null", program: String? = nil
) throws -> ProgramResult {
    try GantryProgram(arguments, engine: engine, environment: environment, input: input, program: program).finish()
}

private func makePipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [0, 0]
    try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
    return (ends[0], ends[1])
}

/// The program that runs these tests; `gantry` lies beside it.
func ownProgramPath() throws -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = try check("readlink") { readlink("/proc/self/exe", &buffer, buffer.count) }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
