import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

/// One runtime, one busybox root and one cgroup for the whole run; all gone when the process ends.
final class TestHost: Sendable {
    static let shared: TestHost = {
        do {
            return try TestHost()
        } catch {
            preconditionFailure("test host: \(error)")
        }
    }()

    let directory: String
    let supervisorPath: String
    let runtime: Runtime
    private static let cgroupParent = "gantry-test-\(getpid())"

    private init() throws {
        directory = "/tmp/gantry-runtime-tests-\(getpid())"
        supervisorPath = try Self.findSupervisor()
        try FileSystem.makeDirectories(directory, mode: 0o755)
        atexit {
            do {
                try FileSystem.removeTree("/tmp/gantry-runtime-tests-\(getpid())")
                for (_, path) in try CgroupLayout.current().directories(name: "gantry-test-\(getpid())") {
                    try CgroupTree.remove(path)
                }
            } catch {
                print("left behind: \(error)")
            }
        }
        try Self.makeRoot(at: "\(directory)/lower")
        runtime = try Runtime(
            supervisorPath: supervisorPath, cgroupParent: Self.cgroupParent, cacheDirectory: "\(directory)/cache")
    }

    /// The supervisor is built beside the tests.
    private static func findSupervisor() throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "\(FileSystem.parent(of: own))/gantry-supervisor"
    }

    static func makeRoot(at root: String) throws {
        for folder in ["bin", "etc", "tmp", "proc", "sys", "dev", "root", "home/user"] {
            try FileSystem.makeDirectories("\(root)/\(folder)", mode: 0o755)
        }
        try FileSystem.replaceFile("\(root)/bin/busybox", with: try FileSystem.readFile("/bin/busybox"), mode: 0o755)
        chmod("\(root)/bin/busybox", 0o755)
        let tools = [
            "sh", "cat", "ls", "echo", "true", "false", "sleep", "id", "env", "pwd", "mount", "dd", "head", "tail",
            "hostname", "kill", "touch", "mkdir", "stat", "tty", "stty", "grep", "ps", "seq", "yes", "ip", "readlink",
            "mknod", "printf", "chmod", "wc", "test", "cut",
        ]
        for tool in tools { symlink("busybox", "\(root)/bin/\(tool)") }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n7:x:55:55::/:/bin/sh\n"
        try FileSystem.replaceFile("\(root)/etc/passwd", with: Array(passwd.utf8), mode: 0o644)
        let group = "root:x:0:\nuser:x:1000:\nwheel:x:10:user,other\naudio:x:29:user\n"
        try FileSystem.replaceFile("\(root)/etc/group", with: Array(group.utf8), mode: 0o644)
    }

    /// A new container over the busybox root; `arguments` run as they are.
    func container(_ arguments: [String], volatile: Bool = true) throws -> TestContainer {
        try TestContainer(self, arguments, lower: ["\(directory)/lower"], volatile: volatile)
    }

    /// One whose image has its own top layer, made by `fill`.
    func container(_ arguments: [String], layer fill: (String) throws -> Void) throws -> TestContainer {
        let layer = "\(directory)/layer-\(TestContainer.newNumber())"
        try FileSystem.makeDirectories(layer, mode: 0o755)
        try fill(layer)
        return try TestContainer(self, arguments, lower: [layer, "\(directory)/lower"], volatile: true)
    }
}

extension RuntimeSpec.Capabilities {
    /// For containers that make device nodes, to show that they cannot be used.
    static let withDeviceNodes = RuntimeSpec.Capabilities(all: RuntimeSpec.defaultCapabilities + ["CAP_MKNOD"])
}

/// A launch request with its folders; removed, with whatever still runs in it, at the end of the test.
final class TestContainer {
    var request: LaunchRequest
    let home: String
    private let runtime: Runtime

    static func newNumber() -> UInt64 {
        var bytes: UInt64 = 0
        getrandom(&bytes, 8, 0)
        return bytes
    }

    init(_ host: TestHost, _ arguments: [String], lower: [String], volatile: Bool) throws {
        let id = "c\(String(Self.newNumber(), radix: 36))"
        home = "\(host.directory)/\(id)"
        for folder in ["upper", "work", "log"] { try FileSystem.makeDirectories("\(home)/\(folder)", mode: 0o755) }
        var spec = RuntimeSpec.containerDefault()
        spec.process.args = arguments
        spec.hostname = "box"
        request = LaunchRequest(
            id: id, spec: spec,
            root: .overlay(lower: lower, upper: "\(home)/upper", work: "\(home)/work", volatile: volatile),
            directory: "\(home)/run")
        request.log = LogSettings(path: "\(home)/log/container.log")
        runtime = host.runtime
    }

    deinit {
        do {
            try runtime.killAll(directory: request.directory)
            try waitForSupervisor()
            try runtime.delete(directory: request.directory)
            try FileSystem.removeTree(home)
        } catch {
            Issue.record("left behind: \(error)")
        }
    }

    /// Once more while a program is "busy": a process that another test has just forked may still hold the descriptor
    /// by which it was written.
    @discardableResult
    func launch() throws -> LaunchedContainer {
        let deadline = Runtime.monotonicMilliseconds() + 10_000
        while true {
            do {
                return try runtime.launch(request)
            } catch {
                let isBusy = error.description.contains("Text file busy")
                guard isBusy, Runtime.monotonicMilliseconds() < deadline else { throw error }
                usleep(10_000)
            }
        }
    }

    /// Waits for the supervisor's end.
    func waitForSupervisor(milliseconds: Int32 = 60_000) throws {
        let pidfd: FileDescriptor
        do {
            pidfd = try runtime.openSupervisorPIDFD(directory: request.directory)
        } catch RuntimeError.notRunning {
            return
        }
        var polled = pollfd(fd: pidfd.raw, events: Int16(POLLIN), revents: 0)
        let ready = try check("poll") { poll(&polled, 1, milliseconds) }
        try #require(ready == 1, "the container did not end")
    }

    func wait() throws -> ExitRecord {
        try waitForSupervisor()
        let record = try runtime.inspect(directory: request.directory)
        guard case .exited(let exit) = record.state else {
            throw RuntimeError.invalidSpec("not exited: \(record.state)")
        }
        return exit
    }

    /// Launches, waits, and answers exit code and output.
    func run() throws -> (code: Int32, output: String) {
        try launch()
        let exit = try wait()
        return (exit.code, try output())
    }

    /// The log's text, both streams.
    func output(_ stream: LogStream? = nil) throws -> String {
        var reader = try LogReader(path: request.log?.path ?? "")
        var bytes: [UInt8] = []
        for record in try reader.read() where stream == nil || record.stream == stream {
            bytes += record.bytes
            if !record.isPartial { bytes.append(0x0a) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Looks until the condition holds. The deadline only tells late from never: it costs nothing when all is well.
func eventually(
    seconds: Int64 = 30, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool
) throws {
    let deadline = Runtime.monotonicMilliseconds() + seconds * 1000
    while try !condition() {
        guard Runtime.monotonicMilliseconds() < deadline else {
            Issue.record("it did not happen in \(seconds) seconds", sourceLocation: sourceLocation)
            return
        }
        usleep(10_000)
    }
}

/// Runs a shell line in a default container.
func shell(_ line: String, _ configure: (inout LaunchRequest) throws -> Void = { _ in }) throws -> (
    code: Int32, output: String
) {
    let container = try TestHost.shared.container(["sh", "-c", line])
    try configure(&container.request)
    return try container.run()
}
