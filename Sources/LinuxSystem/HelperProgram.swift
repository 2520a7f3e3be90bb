import CLinux
import Glibc

/// Runs a program to its end: input from memory, output to memory, a limit of time. `posix_spawn(3)`; for use in
/// single-threaded programs too, which have no reaper of their own.
public enum HelperProgram {
    public enum End: Equatable, Sendable {
        case exited(Int32)
        case signalled(Int32)
        case timedOut
        /// `mayGoOn` said no.
        case stopped
    }

    public struct Outcome: Equatable, Sendable {
        public var end: End
        /// Standard output and error together, or output alone; the last bytes of them.
        public var output: [UInt8]
    }

    /// What is kept of the output when the caller does not say.
    public static let defaultOutputByteCountMax = 1024

    /// - Parameters:
    ///   - path: of the executable, absolute.
    ///   - arguments: the whole vector.
    ///   - environment: the whole environment.
    ///   - timeoutMilliseconds: 0 waits as long as it takes; the program is killed after that time.
    ///   - outputByteCountMax: of the output's end that is kept.
    ///   - keepsErrorOutput: `false` sends the standard error to `/dev/null`.
    ///   - mayGoOn: asked four times a second. With it the program has a process group of its own, and what it started
    ///     is killed, too, when it ends, in whatever way.
    public static func run(
        path: String, arguments: [String], environment: [String], input: [UInt8], timeoutMilliseconds: UInt64,
        outputByteCountMax: Int = defaultOutputByteCountMax, keepsErrorOutput: Bool = true,
        mayGoOn: (() -> Bool)? = nil
    ) throws(SystemError) -> Outcome {
        // Files, not pipes: a program that does not read its input, or leaves a daemon behind that holds its output,
        // breaks and blocks nothing.
        let standardInput = try memoryFile("input")
        try standardInput.writeAll(input)
        let inputRaw = standardInput.raw
        try check("lseek") { lseek(inputRaw, 0, SEEK_SET) }
        let output = try memoryFile("output")
        let errors: FileDescriptor
        if keepsErrorOutput {
            errors = try output.duplicate()
        } else {
            errors = try FileDescriptor.open("/dev/null", O_WRONLY)
        }
        let pid = try spawn(
            path, arguments, environment, input: inputRaw, output: output.raw, errors: errors.raw,
            hasOwnGroup: mayGoOn != nil)
        let end = try wait(for: pid, timeoutMilliseconds, mayGoOn)
        return Outcome(end: end, output: try tail(of: output, byteCountMax: outputByteCountMax))
    }

    private static func memoryFile(_ name: String) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try check("memfd_create") { memfd_create(name, UInt32(MFD_CLOEXEC)) })
    }

    /// Starts a program that the caller waits for, with three descriptors and nothing else of ours.
    public static func start(
        path: String, arguments: [String], environment: [String], input: Int32, output: Int32, errors: Int32
    ) throws(SystemError) -> pid_t {
        try spawn(
            path, arguments, environment, input: input, output: output, errors: errors, hasOwnGroup: false)
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String], input: Int32, output: Int32, errors: Int32,
        hasOwnGroup: Bool
    ) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (source, number) in [(input, Int32(0)), (output, 1), (errors, 2)] {
            posix_spawn_file_actions_adddup2(&actions, source, number)
        }
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (all, none) = (sigset_t(), sigset_t())
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        let group = hasOwnGroup ? POSIX_SPAWN_SETPGROUP : 0
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | group))
        let vector = arguments.map { strdup($0) } + [nil]
        let variables = environment.map { strdup($0) } + [nil]
        defer { for string in vector + variables { free(string) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, path, &actions, &attributes, vector, variables)
        guard code == 0 else { throw SystemError("execve", path: path, code: code) }
        return pid
    }

    private static func wait(
        for pid: pid_t, _ timeoutMilliseconds: UInt64, _ mayGoOn: (() -> Bool)?
    ) throws(SystemError) -> End {
        let early = try earlyEnd(of: pid, timeoutMilliseconds, mayGoOn)
        if early != nil { kill(pid, SIGKILL) }
        // Not reaped yet, it keeps its number and that of its group from others.
        if mayGoOn != nil { kill(-pid, SIGKILL) }
        var status: Int32 = 0
        try check("waitpid") { waitpid(pid, &status, 0) }
        if let early { return early }
        return gantry_wifexited(status) != 0
            ? .exited(gantry_wexitstatus(status)) : .signalled(gantry_wtermsig(status))
    }

    /// Why it must be killed; nil when it ended itself, or is waited for as long as it takes.
    private static func earlyEnd(
        of pid: pid_t, _ timeoutMilliseconds: UInt64, _ mayGoOn: (() -> Bool)?
    ) throws(SystemError) -> End? {
        guard timeoutMilliseconds > 0 || mayGoOn != nil else { return nil }
        let process = FileDescriptor(owning: try check("pidfd_open") { gantry_pidfd_open(pid, 0) })
        var polled = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
        let sliceMillisecondsMax: UInt64 = 250
        var left = timeoutMilliseconds > 0 ? timeoutMilliseconds : .max
        while left > 0 {
            let slice = mayGoOn == nil ? left : min(left, sliceMillisecondsMax)
            if try check("poll", { poll(&polled, 1, Int32(clamping: slice)) }) > 0 { return nil }
            if let mayGoOn, !mayGoOn() { return .stopped }
            left -= min(left, slice)
        }
        return .timedOut
    }

    private static func tail(of file: borrowing FileDescriptor, byteCountMax: Int) throws(SystemError) -> [UInt8] {
        let raw = file.raw
        let size = try check("lseek") { lseek(raw, 0, SEEK_END) }
        try check("lseek") { lseek(raw, max(0, size - byteCountMax), SEEK_SET) }
        return try file.readAll(byteCountMax: byteCountMax * 2)
    }
}

extension HelperProgram.Outcome {
    /// What went wrong, with the last of what the program said; `nil` for an exit with code 0.
    public var failureReason: String? {
        let said = String(decoding: output, as: UTF8.self).split(separator: "\n").joined(separator: "; ")
        let suffix = said.isEmpty ? "" : ": \(said)"
        switch end {
        case .exited(0): return nil
        case .exited(let code): return "exit code \(code)\(suffix)"
        case .signalled(let signal): return "killed by signal \(signal)\(suffix)"
        case .timedOut: return "it did not end in time\(suffix)"
        case .stopped: return "it was stopped\(suffix)"
        }
    }
}
