import CLinux
import Dispatch
import Glibc
import LinuxSystem
import Synchronization

/// A request as the fake engine got it.
struct FakeRequest: Sendable {
    var method = ""
    var target = ""
    var headers: [String: String] = [:]
    var body: [UInt8] = []
}

/// Something that listens on a Unix socket and says what a test tells it to. Every connection has a thread of its own.
final class FakeEngine: Sendable {
    let socketPath: String
    private let folder: TemporaryFolder
    private let listener: SharedDescriptor
    private let seen = RequestList()

    /// `answer` gets the request and the connection, and may read on and write whatever it likes.
    init(_ answer: @escaping @Sendable (FakeRequest, Connection) -> Void) throws {
        folder = try TemporaryFolder()
        socketPath = "\(folder.path)/engine.sock"
        listener = SharedDescriptor(try listen(on: socketPath))
        let listener = listener
        let seen = seen
        DispatchQueue(label: "fake engine").async {
            while true {
                let raw = accept4(listener.raw, __SOCKADDR_ARG(__sockaddr__: nil), nil, Int32(SOCK_CLOEXEC.rawValue))
                guard raw >= 0 else { return }
                let connection = Connection(SharedDescriptor(FileDescriptor(owning: raw)))
                DispatchQueue(label: "fake connection").async {
                    guard let request = connection.readRequest() else { return }
                    seen.append(request)
                    answer(request, connection)
                }
            }
        }
    }

    deinit { shutdown(listener.raw, Int32(SHUT_RDWR)) }

    var requests: [FakeRequest] { seen.all }

    struct Connection: Sendable {
        private let socket: SharedDescriptor

        init(_ socket: SharedDescriptor) { self.socket = socket }

        func write(_ text: String) { write(Array(text.utf8)) }

        func write(_ bytes: [UInt8]) {
            var offset = 0
            while offset < bytes.count {
                let count = bytes.withUnsafeBytes {
                    send(socket.raw, $0.baseAddress.map { $0 + offset }, $0.count - offset, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                offset += count
            }
        }

        func reply(_ json: String, status: String = "200 OK") {
            write("HTTP/1.1 \(status)\r\nContent-Length: \(json.utf8.count)\r\n\r\n\(json)")
        }

        /// A chunked answer whose lines are sent one by one.
        func stream(_ lines: [String]) {
            write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for line in lines { write("\(String(line.utf8.count + 1, radix: 16))\r\n\(line)\n\r\n") }
            write("0\r\n\r\n")
        }

        func read(upTo count: Int) -> [UInt8] {
            var buffer = [UInt8](repeating: 0, count: count)
            let got = recv(socket.raw, &buffer, count, 0)
            return Array(buffer.prefix(max(0, got)))
        }

        /// Blocks until the client has closed its side.
        func readToEnd() -> [UInt8] {
            var bytes: [UInt8] = []
            while true {
                let piece = read(upTo: 64 << 10)
                if piece.isEmpty { return bytes }
                bytes += piece
            }
        }

        fileprivate func readRequest() -> FakeRequest? {
            var head: [UInt8] = []
            while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
                let byte = read(upTo: 1)
                if byte.isEmpty { return nil }
                head += byte
            }
            let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
            let words = lines.first?.split(separator: " ") ?? []
            guard words.count == 3 else { return nil }
            var request = FakeRequest(method: String(words[0]), target: String(words[1]))
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
                request.headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
            }
            let length = Int(request.headers["content-length"] ?? "0") ?? 0
            while request.body.count < length {
                let piece = read(upTo: length - request.body.count)
                if piece.isEmpty { break }
                request.body += piece
            }
            return request
        }
    }
}

private final class RequestList: Sendable {
    private let list = Mutex<[FakeRequest]>([])

    func append(_ request: FakeRequest) { list.withLock { $0.append(request) } }
    var all: [FakeRequest] { list.withLock { $0 } }
}

/// A word that a fake engine changes while it runs.
final class StateBox: Sendable {
    private let state: Mutex<String>

    init(_ value: String) { state = Mutex(value) }

    var value: String {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

/// A folder that is gone with the value.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/gantry-command-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", code: errno) }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    deinit {
        do { try FileSystem.removeTree(path) } catch { print("\(path) stays behind: \(error)") }
    }
}

private func listen(on path: String) throws -> FileDescriptor {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let socket = FileDescriptor(owning: try check("socket") { Glibc.socket(AF_UNIX, kind, 0) })
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let raw = socket.raw
    try check("bind", path: path) {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
    try check("listen") { Glibc.listen(raw, 16) }
    return socket
}

/// Docker's frame around a piece of output.
func frame(_ channel: UInt8, _ text: String) -> [UInt8] {
    let length = UInt32(text.utf8.count)
    return [channel, 0, 0, 0] + withUnsafeBytes(of: length.bigEndian) { Array($0) } + Array(text.utf8)
}
