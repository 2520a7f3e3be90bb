import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Synchronization

@testable import ContainerNetwork

/// A host of its own for one test: a thread in fresh network and mount namespaces, where all calls are made. Nothing of
/// it is seen outside, and it is gone with the thread.
final class HostLab: Sendable {
    private struct Queue {
        var jobs: [@Sendable () -> Void] = []
        var isClosed = false
    }

    private let queue = Mutex(Queue())
    private let wakeUp: SharedDescriptor
    /// Pinned namespaces of the containers, on a tmpfs that covers /tmp in the lab's mount namespace only.
    static let directory = "/tmp/gantry-network-lab"

    init() throws {
        wakeUp = SharedDescriptor(FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC)) }))
        try startDetachedThread(named: "lab") { [self] in loop() }
        try run {
            try system { () throws(SystemError) in
                try check("unshare") { unshare(CLONE_NEWNET | CLONE_NEWNS) }
                try check("mount /") { mount(nil, "/", nil, UInt(MS_REC | MS_PRIVATE), nil) }
                try check("mount tmpfs") { mount("lab", "/tmp", "tmpfs", 0, nil) }
            }
        }
        try shell("ip link set lo up")
    }

    func close() {
        queue.withLock { $0.isClosed = true }
        eventfd_write(wakeUp.raw, 1)
    }

    private func loop() {
        while true {
            var count: eventfd_t = 0
            eventfd_read(wakeUp.raw, &count)
            let (jobs, isClosed) = queue.withLock { queue in
                defer { queue.jobs = [] }
                return (queue.jobs, queue.isClosed)
            }
            for job in jobs { job() }
            if isClosed { return }
        }
    }

    /// Runs `body` on the lab's thread.
    @discardableResult
    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        let box = OutcomeBox<Value>()
        let done = SharedDescriptor(FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC)) }))
        queue.withLock {
            $0.jobs.append {
                box.store(Result { try body() })
                eventfd_write(done.raw, 1)
            }
        }
        eventfd_write(wakeUp.raw, 1)
        var count: eventfd_t = 0
        eventfd_read(done.raw, &count)
        return try box.load().get()
    }

    /// Runs a shell command on the lab's host; answers what it printed.
    @discardableResult
    func shell(_ command: String) throws -> String {
        try run {
            guard let stream = popen("{ set -e; PATH=/usr/sbin:/sbin:$PATH; \(command)\n} 2>&1", "r") else {
                throw LabError.noResult
            }
            var bytes: [UInt8] = []
            while case let byte = getc(stream), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
            let text = String(decoding: bytes, as: UTF8.self)
            guard pclose(stream) == 0 else { throw LabError.command(command, text) }
            return text
        }
    }

    func manager(_ table: String = "gantry") throws -> NetworkManager {
        try run { try NetworkManager(tableName: table, namespaceDirectory: "\(Self.directory)/netns") }
    }
}

private final class OutcomeBox<Value: Sendable>: Sendable {
    private let outcome = Mutex<Result<Value, any Error>?>(nil)

    func store(_ result: Result<Value, any Error>) {
        outcome.withLock { $0 = result }
    }

    func load() -> Result<Value, any Error> {
        outcome.withLock { outcome in
            defer { outcome = nil }
            return outcome ?? .failure(LabError.noResult)
        }
    }
}

enum LabError: Error {
    case noResult
    case command(String, String)
}

// MARK: connections

/// Where a probe connects from.
enum Place: Sendable {
    case host
    case namespace(String)
}

/// A TCP server's socket; who connects is looked up by `HostLab.connect`.
struct Server: Sendable {
    let name: String
    let socket: SharedDescriptor
}

extension HostLab {
    func server(_ name: String, inNamespace path: String, port: UInt16) throws -> Server {
        let raw: Int32 = try run {
            try withNetworkNamespace(path) { () throws(NetworkError) in
                try system { () throws(SystemError) in
                    try boundSocket(
                        domain: AF_INET, type: Int32(SOCK_STREAM.rawValue), address: .any, port: port, mayReuse: true
                    ).take()
                }
            }
        }
        return Server(name: name, socket: SharedDescriptor(FileDescriptor(owning: raw)))
    }

    /// Connects and tells which of the servers got the connection and from which address; `nil` when none did in time.
    func connect(from place: Place, to address: String, _ port: UInt16, _ servers: [Server]) throws -> Answer? {
        guard let address = IPv4Address(address) else { throw LabError.noResult }
        return try run {
            switch place {
            case .host: try connectHere(address, port, servers)
            case .namespace(let path):
                try withNetworkNamespace(path) { () throws(NetworkError) in
                    try system { () throws(SystemError) in try connectHere(address, port, servers) }
                }
            }
        }
    }
}

struct Answer: Equatable, Sendable {
    var server: String
    var peer: String
}

/// Time a packet that is dropped is waited for; one that is not takes microseconds.
private let connectTimeoutMilliseconds: Int32 = 300

private func connectHere(_ address: IPv4Address, _ port: UInt16, _ servers: [Server]) throws(SystemError) -> Answer? {
    let client = FileDescriptor(
        owning: try check("socket") { socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC | O_NONBLOCK, 0) })
    let raw = client.raw
    // EINPROGRESS: the outcome is polled for.
    _ = gantry_connect_ipv4(raw, address.value.bigEndian, port)
    var entries = servers.map { pollfd(fd: $0.socket.raw, events: Int16(POLLIN), revents: 0) }
    entries.append(pollfd(fd: raw, events: Int16(POLLOUT), revents: 0))
    // A refusal shows at the client only, an accepted connection at the server too.
    guard poll(&entries, nfds_t(entries.count), connectTimeoutMilliseconds) > 0 else { return nil }
    _ = poll(&entries, nfds_t(servers.count), 20)
    guard let index = entries.dropLast().firstIndex(where: { $0.revents != 0 }) else { return nil }
    var peer: UInt32 = 0
    close(gantry_accept_ipv4(servers[index].socket.raw, &peer))
    return Answer(server: servers[index].name, peer: IPv4Address(value: UInt32(bigEndian: peer)).description)
}

func waitTenMilliseconds() { usleep(10_000) }
