import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Registry

/// A program that listens on ports of 127.0.0.1 while the value lives.
final class TestServer {
    let port: UInt16
    private let pid: pid_t

    /// A port that is free now.
    static func freePort() throws -> UInt16 {
        let descriptor = FileDescriptor(owning: try check("socket") { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) })
        let raw = descriptor.raw
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                try check("bind") { bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: pointer), length) }
                try check("getsockname") { getsockname(raw, __SOCKADDR_ARG(__sockaddr__: pointer), &length) }
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    /// Starts `arguments` and waits until it takes connections at `port`.
    init(_ arguments: [String], port: UInt16, environment: [String] = []) throws {
        self.port = port
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for number in [Int32(0), 1, 2] {
            let isNoisy = number == 2 && getenv("GANTRY_TEST_NOISE") != nil
            if !isNoisy { posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0) }
        }
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        let vector = arguments.map { strdup($0) } + [nil]
        let variables = (environment + ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]).map { strdup($0) } + [nil]
        defer { for string in vector + variables { free(string) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, arguments[0], &actions, nil, vector, variables)
        guard code == 0 else { throw SystemError("posix_spawn", path: arguments[0], code: code) }
        self.pid = pid
        try waitUntilReady()
    }

    deinit {
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }

    private func waitUntilReady() throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        address.sin_port = port.bigEndian
        for _ in 0..<400 {
            let descriptor = FileDescriptor(
                owning: try check("socket") { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) })
            let raw = descriptor.raw
            let connected = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if connected == 0 { return }
            usleep(50_000)
        }
        throw SystemError("connect", path: "port \(port)", code: ETIMEDOUT)
    }
}

/// Programs of Debian packages that the tests need.
enum Tool {
    static let registry = "/usr/bin/docker-registry"
    static let skopeo = "/usr/bin/skopeo"
    static let python = "/usr/bin/python3"
    static let openssl = "/usr/bin/openssl"

    static func have(_ paths: String...) -> Bool { paths.allSatisfy { FileSystem.exists($0) } }

    @discardableResult
    static func run(_ arguments: [String], expectsSuccess: Bool = true) throws -> String {
        let home = "HOME=/nonexistent"
        let outcome = try HelperProgram.run(
            path: arguments[0], arguments: arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", home],
            input: [], timeoutMilliseconds: 60_000, outputByteCountMax: 64 << 10)
        if expectsSuccess { #expect(outcome.failureReason == nil, "\(arguments.joined(separator: " "))") }
        return String(decoding: outcome.output, as: UTF8.self)
    }

    static func server(_ name: String) -> String {
        let here = #filePath
        return "\(FileSystem.parent(of: here))/Servers/\(name)"
    }
}

/// docker-registry with what a test asks of it, and an empty store.
final class DebianRegistry {
    let folder: TemporaryFolder
    let server: TestServer
    var host: String { "localhost:\(server.port)" }

    /// - Parameter sections: of its configuration, such as `auth:`.
    init(_ sections: (TemporaryFolder, UInt16) throws -> (top: String, http: String) = { _, _ in ("", "") }) throws {
        folder = try TemporaryFolder()
        let port = try TestServer.freePort()
        let (top, http) = try sections(folder, port)
        let path = try folder.write(
            "config.yml",
            """
            version: 0.1
            log: {level: error}
            storage:
              filesystem: {rootdirectory: \(folder.path)/store}
              delete: {enabled: true}
            http:
              addr: 127.0.0.1:\(port)
            \(http)
            \(top)
            """)
        server = try TestServer([Tool.registry, "serve", path], port: port)
    }
}

extension RegistryClient {
    static func real(
        credentials: [String: RegistryCredential] = [:], hosts: RegistryHosts = RegistryHosts(folders: []),
        attempts: Int = 5, stallSeconds: Int64 = 60
    ) -> RegistryClient {
        var retry = RetryPolicy()
        retry.firstDelayMilliseconds = 20
        retry.attemptCountMax = attempts
        retry.stallSeconds = stallSeconds
        return RegistryClient(
            RegistryConnections(retry: retry), credentials: FixedCredentials(byHost: credentials), hosts: hosts)
    }
}

struct BytesSupply: BlobSupply {
    let bytes: [UInt8]
    var byteCount: Int64 { Int64(bytes.count) }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        try MemorySupply(bytes: bytes).read(at: offset, into: buffer)
    }
}
