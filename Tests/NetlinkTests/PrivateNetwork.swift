import CLinux
import FoundationEssentials
import Glibc
import LinuxSystem
import Synchronization
import Testing

/// Runs `body` on a thread in a network namespace of its own, which is gone with the thread. Programs it starts are in
/// there too. Needs root.
func inPrivateNetwork<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    let job = Job {
        try check("unshare") { unshare(CLONE_NEWNET) }
        try shell("ip link set lo up")
        return try body()
    }
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { argument in
            if let argument { Unmanaged<Job>.fromOpaque(argument).takeRetainedValue().run() }
            return nil
        }, Unmanaged.passRetained(job).toOpaque())
    guard code == 0 else { throw SystemError("pthread_create", path: nil, code: code) }
    pthread_join(thread, nil)
    let outcome = try #require(job.outcome.withLock { $0 })
    return try #require(try outcome.get() as? Value)
}

private final class Job: Sendable {
    private let body: @Sendable () throws -> any Sendable
    let outcome = Mutex<Result<any Sendable, any Error>?>(nil)

    init(_ body: @escaping @Sendable () throws -> any Sendable) { self.body = body }

    func run() {
        let result = Result { try body() }
        outcome.withLock { $0 = result }
    }
}

struct CommandFailure: Error {
    var command: String
    var output: String
}

/// What a shell command printed.
@discardableResult
func shell(_ command: String) throws -> String {
    guard let stream = popen("{ set -e; PATH=/usr/sbin:/sbin:$PATH; \(command)\n} 2>&1", "r") else {
        throw CommandFailure(command: command, output: "")
    }
    var bytes: [UInt8] = []
    while case let byte = getc(stream), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    let text = String(decoding: bytes, as: UTF8.self)
    guard pclose(stream) == 0 else { throw CommandFailure(command: command, output: text) }
    return text
}

/// Makes what a kernel may lack; says so when it does.
func makesOptional(_ command: String, _ what: String) -> Bool {
    do {
        try shell(command)
        return true
    } catch {
        print("skipped: this kernel has no \(what): \(error)")
        return false
    }
}

/// JSON to look into.
enum JSON: Decodable, Equatable {
    case null
    case bool(Bool)
    case int(Int)
    case number(Double)
    case string(String)
    case list([JSON])
    case object([String: JSON])

    init(_ text: String) throws { self = try JSONDecoder().decode(JSON.self, from: Data(text.utf8)) }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = Self.attempt({ try container.decode(Bool.self) }) {
            self = .bool(value)
        } else if let value = Self.attempt({ try container.decode(Int.self) }) {
            self = .int(value)
        } else if let value = Self.attempt({ try container.decode(Double.self) }) {
            self = .number(value)
        } else if let value = Self.attempt({ try container.decode(String.self) }) {
            self = .string(value)
        } else if let value = Self.attempt({ try container.decode([JSON].self) }) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    private static func attempt<Value>(_ body: () throws -> Value) -> Value? {
        // Another type is tried next.
        try? body()
    }

    subscript(key: String) -> JSON? { if case .object(let fields) = self { fields[key] } else { nil } }
    var list: [JSON] { if case .list(let list) = self { list } else { [] } }
    var int: Int? { if case .int(let value) = self { value } else { nil } }
    var string: String? { if case .string(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    var isEmpty: Bool { if case .object(let fields) = self { fields.isEmpty } else { false } }
}

/// An address's text.
func text(_ address: [UInt8]?) -> String? {
    guard let address else { return nil }
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(address.count == 16 ? AF_INET6 : AF_INET, address, &buffer, socklen_t(buffer.count)) != nil else {
        return nil
    }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
