import CLinux
import EngineWire
import FoundationEssentials
import Glibc
import LinuxSystem
import TLSTransport

/// The engine's API over its Unix socket, here or on another machine, or its TCP port, one connection a request,
/// synchronously.
public struct EngineClient: Sendable {
    /// Of an answer that is one JSON document.
    static let replyByteCountMax = 64 << 20

    public let host: EngineHost
    /// Who this client works for; others that wait for it are told.
    public var owner: CommandOwner?
    /// How long to wait for another command on the same stack, nanoseconds; `nil`: as long as it takes.
    public var lockTimeout: Int64?

    private let environment: [String: String]

    private let tls: TLSLink.Options?

    /// - Parameters:
    ///   - environment: of the programs that connections need: ssh(1).
    ///   - tls: for `tcp://` hosts, beside what the environment says.
    public init(host: EngineHost, environment: [String: String] = [:], tls: ClientTLS = ClientTLS()) {
        self.host = host
        self.environment = environment
        self.tls = tls.options(environment)
    }

    /// Sends a request; the answer is read by the caller.
    public func open(_ request: HTTPRequest) throws(EngineClientError) -> EngineStream {
        let decoder = ResponseDecoder(headRequest: request.method == "HEAD", takenOver: request.takesOver)
        var request = request
        if case .tcp(let destination) = host.place { request.host = destination.description }
        let fate = TLSFate()
        let stream = EngineStream(try connect(fate), decoder: decoder, isRemote: !host.isLocal, fate: fate)
        do throws(EngineClientError) {
            try stream.send(request.bytes)
        } catch .system(let error) where error.code == EPIPE || error.code == ECONNRESET {
            // The engine answered and closed before it had read everything: the answer says why.
            return stream
        }
        return stream
    }

    /// Whether something listens; throws when that cannot be found out. On another machine the engine is started there
    /// by what connects to it.
    public func isAnswering() throws(EngineClientError) -> Bool {
        guard host.isLocal else { return true }
        do throws(EngineClientError) {
            _ = try connect()
            return true
        } catch {
            if case .notRunning = error { return false }
            throw error
        }
    }

    /// A connection of one's own.
    public func connect() throws(EngineClientError) -> FileDescriptor { try connect(TLSFate()) }

    private func connect(_ fate: TLSFate) throws(EngineClientError) -> FileDescriptor {
        switch host.place {
        case .ssh(let destination): return try SSHConnection.open(destination, environment)
        case .tcp(let destination):
            guard tls != nil || destination.isLoopback else { throw .notSecured(host: host.name) }
            do throws(TLSError) {
                return try TLSLink.open(host: destination.host, port: Int(destination.port), tls, fate: fate)
            } catch {
                throw .noLink(host: host.name, error)
            }
        case .socket(let path):
            do throws(SystemError) {
                return try connectUnix(path)
            } catch {
                switch error.code {
                case ENOENT, ECONNREFUSED: throw .notRunning(socket: path)
                case EACCES, EPERM: throw .denied(socket: path)
                default: throw .system(error)
                }
            }
        }
    }

    func reply<Value: Decodable>(
        _ type: Value.Type, _ request: HTTPRequest, _ what: String
    ) throws(EngineClientError) -> Value {
        try decodeJSON(type, open(request).readAll(byteCountMax: Self.replyByteCountMax), what)
    }

    func send(_ request: HTTPRequest) throws(EngineClientError) {
        _ = try open(request).readAll(byteCountMax: Self.replyByteCountMax)
    }

    /// A request that changes a stack, or waits for one, and answers with progress.
    func progress(_ request: HTTPRequest) throws(EngineClientError) -> ProgressStream {
        var request = request
        if let owner {
            guard case .json(let bytes) = try json(owner) else { return ProgressStream(try open(request)) }
            request.command = percentEncoded(String(decoding: bytes, as: UTF8.self))
        }
        request.lockTimeout = lockTimeout
        return ProgressStream(try open(request))
    }

    func json(_ value: some Encodable) throws(EngineClientError) -> HTTPRequest.Body {
        do {
            return .json(Array(try JSONEncoder().encode(value)))
        } catch {
            throw .unexpectedAnswer("this request as JSON")
        }
    }
}

/// A connected stream socket, unix(7).
private func connectUnix(_ path: String) throws(SystemError) -> FileDescriptor {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let socket = FileDescriptor(owning: try check("socket") { Glibc.socket(AF_UNIX, kind, 0) })
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count <= EngineHost.pathByteCountMax else {
        throw SystemError("connect", path: path, code: ENAMETOOLONG)
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let raw = socket.raw
    try check("connect", path: path) {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
    return socket
}
