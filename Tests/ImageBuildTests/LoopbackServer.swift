import CLinux
import Glibc
import LinuxSystem

/// A program that listens on a port of 127.0.0.1 while the value lives.
final class LoopbackServer {
    static let python = "/usr/bin/python3"
    static let git = "/usr/bin/git"
    let port: UInt16
    private let pid: pid_t

    static var isPossible: Bool { FileSystem.exists(python) && FileSystem.exists(git) }

    /// `Servers/files.py` on `folder`.
    convenience init(files folder: String) throws {
        let here = #filePath
        let script = "\(FileSystem.parent(of: here))/Servers/files.py"
        try self.init { [Self.python, script, "\($0)", folder] }
    }

    /// Starts what `arguments` answers for a free port, and waits until it takes connections.
    init(_ arguments: (UInt16) -> [String]) throws {
        port = try Self.freePort()
        let arguments = arguments(port)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for number in [Int32(0), 1, 2] { posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0) }
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        let vector = arguments.map { strdup($0) } + [nil]
        let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent"]
        let variables = environment.map { strdup($0) } + [nil]
        defer { for string in vector + variables { free(string) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, arguments[0], &actions, &attributes, vector, variables)
        guard code == 0 else { throw SystemError("posix_spawn", path: arguments[0], code: code) }
        self.pid = pid
        for _ in 0..<400 {
            if try Self.connects(port) { return }
            usleep(50_000)
        }
        throw SystemError("connect", path: "port \(port)", code: ETIMEDOUT)
    }

    deinit {
        kill(-pid, SIGKILL)
        waitpid(pid, nil, 0)
    }

    /// What `Servers/files.py` was asked for.
    func log() throws -> String {
        let address = "http://127.0.0.1:\(port)/log"
        return try shell("/", "python3 -c 'import urllib.request as u; print(u.urlopen(\"\(address)\").read())'")
    }

    private static func openSocket() throws -> FileDescriptor {
        FileDescriptor(owning: try check("socket") { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) })
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        address.sin_port = port.bigEndian
        return address
    }

    private static func freePort() throws -> UInt16 {
        let socket = try openSocket()
        let raw = socket.raw
        var address = address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                try check("bind") { bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: pointer), length) }
                try check("getsockname") { getsockname(raw, __SOCKADDR_ARG(__sockaddr__: pointer), &length) }
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func connects(_ port: UInt16) throws -> Bool {
        let socket = try openSocket()
        let raw = socket.raw
        var address = address(port)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}

/// Runs a script of sh in `folder` with an identity for git; its output.
@discardableResult
func shell(_ folder: String, _ script: String) throws -> String {
    let environment = [
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "GIT_CONFIG_GLOBAL=/dev/null",
        "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
        "GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always",
        "GIT_CONFIG_KEY_1=init.defaultBranch", "GIT_CONFIG_VALUE_1=main",
    ]
    let outcome = try HelperProgram.run(
        path: "/bin/sh", arguments: ["sh", "-ec", "cd '\(folder)'; \(script)"], environment: environment, input: [],
        timeoutMilliseconds: 60_000, outputByteCountMax: 64 << 10)
    let output = String(decoding: outcome.output, as: UTF8.self)
    guard outcome.failureReason == nil else { throw ShellError(text: output) }
    return String(output.drop { $0 == "\n" }.prefix { $0 != "\n" })
}

struct ShellError: Error { var text: String }
