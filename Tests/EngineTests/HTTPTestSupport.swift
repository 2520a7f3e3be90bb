import Dispatch
import EngineAPI
import Glibc
import LinuxSystem
import Logging
import Synchronization
import Testing

/// A server on a socket in a folder of its own, gone at the end.
func withHTTPServer(
    _ setUp: (inout Router) -> Void, commonHeaders: HTTPHeaders = [:],
    limits: HTTPConnectionLimits = HTTPConnectionLimits(),
    _ body: (HTTPServer, _ path: String) async throws -> Void
) async throws {
    let folder = try httpTemporaryFolder()
    var router = Router()
    setUp(&router)
    let path = "\(folder)/run/engine.sock"
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let server = HTTPServer(
        router: router, endpoints: [.unix(path: path, group: nil), .tcp(host: "127.0.0.1", port: 0, tls: nil)],
        logger: logger, commonHeaders: commonHeaders, limits: limits)
    try await server.start()
    do {
        try await body(server, path)
        await server.stop(grace: .seconds(5))
        try FileSystem.removeTree(folder)
    } catch {
        await server.stop(grace: .milliseconds(10))
        try FileSystem.removeTree(folder)
        throw error
    }
}

func httpTemporaryFolder() throws -> String {
    var template = Array("/tmp/gantry-http.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", code: errno) }
    return template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
}

/// Runs blocking code beside Swift's pool, whose two threads the server's handlers need.
func httpBlocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result(catching: body)) }
    }
}

/// Waits, for a minute at most, until something holds.
func httpEventually(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<12_000 {
        if condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return condition()
}

/// A client that sends the bytes it is told to, well-formed or not. Blocking, with a time limit of a minute.
final class HTTPRawClient: Sendable {
    private let descriptor: Mutex<Int32>

    private init(family: Int32) throws {
        let raw = try check("socket") { socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
        descriptor = Mutex(raw)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(raw, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// To a port of 127.0.0.1.
    convenience init(port: Int) throws {
        try self.init(family: AF_INET)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        try check("connect") {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }

    convenience init(_ path: String) throws {
        try self.init(family: AF_UNIX)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        try check("connect", path: path) {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
    }

    deinit { close() }

    private var raw: Int32 { descriptor.withLock { $0 } }

    func close() {
        descriptor.withLock { raw in
            if raw >= 0 { Glibc.close(raw) }
            raw = -1
        }
    }

    func endOutput() { shutdown(raw, Int32(SHUT_WR)) }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws(SystemError) {
        var offset = 0
        while offset < bytes.count {
            offset += try check("send") {
                bytes.withUnsafeBytes {
                    Glibc.send(raw, $0.baseAddress.map { $0 + offset }, $0.count - offset, Int32(MSG_NOSIGNAL))
                }
            }
        }
    }

    /// What comes next; empty at the end.
    func receive(upTo count: Int = 64 << 10) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let received = try check("recv") { recv(raw, &bytes, count, 0) }
        return Array(bytes.prefix(received))
    }

    /// Bytes up to and with `mark`, or to the end.
    func receive(until mark: String) throws -> String {
        var text: [UInt8] = []
        while !String(decoding: text, as: UTF8.self).hasSuffix(mark) {
            let next = try receive(upTo: 1)
            if next.isEmpty { break }
            text += next
        }
        return String(decoding: text, as: UTF8.self)
    }

    func receiveToEnd() throws -> String {
        var bytes: [UInt8] = []
        while true {
            let next = try receive()
            if next.isEmpty { return String(decoding: bytes, as: UTF8.self) }
            bytes += next
        }
    }

    /// The head and, when it has a Content-Length, the body of one answer.
    func receiveReply() throws -> (head: String, body: String) {
        let head = try receive(until: "\r\n\r\n")
        let field = head.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
        let count = field.flatMap { Int($0.dropFirst("Content-Length: ".count)) } ?? 0
        var body: [UInt8] = []
        while body.count < count {
            let next = try receive(upTo: count - body.count)
            if next.isEmpty { break }
            body += next
        }
        return (head, String(decoding: body, as: UTF8.self))
    }
}

/// One request on a connection of its own; what comes until the server closes.
func httpExchange(_ path: String, _ request: String) async throws -> String {
    try await httpBlocking {
        let client = try HTTPRawClient(path)
        try client.send(request)
        client.endOutput()
        return try client.receiveToEnd()
    }
}
