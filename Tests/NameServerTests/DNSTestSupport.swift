import CLinux
import Glibc
import InternetAddress
import LinuxSystem
import Synchronization
import Testing

@testable import NameServer

/// A question in wire form.
func dnsQuestion(
    _ name: String, type: UInt16 = DNSType.a, class: UInt16 = DNSClass.internet, id: UInt16 = 0x1234,
    edns: UInt16? = nil, ednsVersion: UInt8 = 0
) -> [UInt8] {
    var writer = DNSWriter()
    for word in [id, DNSFlags.recursionDesired, 1, 0, 0, edns == nil ? 0 : 1] { writer.word(word) }
    for label in name.split(separator: ".") {
        writer.bytes.append(UInt8(label.utf8.count))
        writer.bytes += label.utf8
    }
    writer.bytes.append(0)
    writer.word(type)
    writer.word(`class`)
    if let edns {
        writer.bytes.append(0)
        writer.word(DNSType.opt)
        writer.word(edns)
        writer.bytes += [0, ednsVersion, 0, 0, 0, 0]
    }
    return writer.bytes
}

/// An answer, taken apart as a client does it, with compression.
struct DNSTestAnswer: Equatable {
    var id: UInt16
    var code: UInt16
    var isTruncated: Bool
    var question: DNSQuestion
    var addresses: [UInt32] = []
    var addresses6: [IPv6Address] = []
    /// The negative lifetime of an SOA record.
    var authority: UInt32?
    var names: [String] = []
    var secondsToLive: Set<UInt32> = []
    var hasEDNS = false
    var byteCount: Int

    init?(_ bytes: [UInt8]) {
        guard let header = DNSHeader(bytes), header.isResponse, header.questionCount == 1,
            let (question, end) = DNSQuestion.read(bytes)
        else { return nil }
        id = header.id
        code = header.code
        isTruncated = header.flags & DNSFlags.truncated != 0
        self.question = question
        byteCount = bytes.count
        var reader = DNSReader(bytes, offset: end)
        for index in 0..<Int(header.answerCount) + Int(header.authorityCount) + Int(header.additionalCount) {
            let start = reader.offset
            guard reader.skipName(), let type = reader.word(), reader.word() != nil, let high = reader.word(),
                let low = reader.word(), let length = reader.word()
            else { return nil }
            let data = reader.offset
            guard reader.skip(Int(length)) else { return nil }
            if type == DNSType.opt {
                hasEDNS = true
                continue
            }
            if type == DNSType.soa, index >= Int(header.answerCount) {
                authority = UInt32(high) << 16 | UInt32(low)
                continue
            }
            guard index < Int(header.answerCount), bytes[start] == 0xC0, bytes[start + 1] == 12 else { return nil }
            secondsToLive.insert(UInt32(high) << 16 | UInt32(low))
            if type == DNSType.a { addresses.append(bytes[data..<data + 4].reduce(0) { $0 << 8 | UInt32($1) }) }
            if type == DNSType.aaaa, let address = IPv6Address(bytes: bytes[data..<data + Int(length)]) {
                addresses6.append(address)
            }
            if type == DNSType.ptr {
                var name = DNSReader(bytes, offset: data)
                names.append(dnsText(name.plainName() ?? []))
            }
        }
        guard reader.offset == bytes.count else { return nil }
    }
}

/// `web.example` of a name in wire form.
func dnsText(_ name: [UInt8]) -> String {
    var rest = name[...]
    var labels: [String] = []
    while let length = rest.popFirst(), length > 0 {
        labels.append(String(decoding: rest.prefix(Int(length)), as: UTF8.self))
        rest = rest.dropFirst(Int(length))
    }
    return labels.joined(separator: ".")
}

let dnsLoopback: UInt32 = 0x7F00_0001

func dnsPort(of raw: Int32) -> UInt16 {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            _ = getsockname(raw, __SOCKADDR_ARG(__sockaddr__: $0), &length)
        }
    }
    return UInt16(bigEndian: address.sin_port)
}

/// Asks a server on loopback and waits three seconds at most; `nil` when nothing comes.
struct DNSTestClient: ~Copyable {
    let socket: FileDescriptor
    let isDatagram: Bool

    init(port: UInt16, isDatagram: Bool = true) throws {
        try self.init(server: "127.0.0.1#\(port)", isDatagram: isDatagram)
    }

    init(server: String, isDatagram: Bool) throws {
        let server = try #require(ResolverAddress(server))
        socket = try DNSSocket.connected(to: server, isDatagram: isDatagram)
        self.isDatagram = isDatagram
        let flags = gantry_fcntl(socket.raw, F_GETFL, 0)
        _ = gantry_fcntl(socket.raw, F_SETFL, Int(flags & ~O_NONBLOCK))
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(socket.raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        if !isDatagram {
            // The connection was begun without blocking: it stands when it is writable.
            var ready = pollfd(fd: socket.raw, events: Int16(POLLOUT), revents: 0)
            poll(&ready, 1, 3_000)
        }
    }

    func send(_ packet: [UInt8]) throws {
        var buffer = DNSStreamBuffer()
        buffer.append(message: packet)
        try socket.writeAll(isDatagram ? packet : buffer.bytes)
    }

    func receive() throws -> [UInt8] {
        if isDatagram { return try DNSSocket.receive(socket.raw, byteCountMax: 65_535) }
        var buffer = DNSStreamBuffer()
        while true {
            if let message = buffer.nextMessage() { return message }
            let more = try DNSSocket.receive(socket.raw, byteCountMax: 1)
            if more.isEmpty { return [] }
            buffer.append(more)
        }
    }

    func ask(_ packet: [UInt8]) throws -> DNSTestAnswer {
        try send(packet)
        return try #require(DNSTestAnswer(try receive()))
    }
}

/// A DNS server elsewhere, UDP and TCP on one port, whose answers the test makes up; `nil` is silence.
final class DNSTestServer: Sendable {
    typealias Script = @Sendable (_ packet: [UInt8], _ isDatagram: Bool) -> [[UInt8]]

    let port: UInt16
    private let udp: SharedDescriptor
    private let tcp: SharedDescriptor
    private let stopping = Atomic(false)
    private let received = Mutex<[[UInt8]]>([])

    private let silent = Mutex<[SharedDescriptor]>([])

    /// Connections that were asked something and got no answer.
    var silentCount: Int { silent.withLock { $0.count } }
    var packets: [[UInt8]] { received.withLock { $0 } }
    var address: String { "127.0.0.1#\(port)" }

    init(_ script: @escaping Script) throws {
        let tcp = SharedDescriptor(try DNSSocket.tcpListener(address: dnsLoopback, port: 0))
        let port = dnsLocalPort(tcp.raw)
        udp = SharedDescriptor(try DNSSocket.udpListener(address: dnsLoopback, port: port))
        self.tcp = tcp
        self.port = port
        let upstream = self
        try NamedThread.start("dns-upstream") { upstream.run(script) }
    }

    func stop() { stopping.store(true, ordering: .relaxed) }

    private func run(_ script: Script) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_535, alignment: 16)
        defer { buffer.deallocate() }
        while !stopping.load(ordering: .relaxed) {
            var ready = [udp.raw, tcp.raw].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&ready, 2, 20) > 0 else { continue }
            // Whether it fails does not matter here, only that it does not trap.
            if ready[0].revents != 0, let (packet, sender) = try? DNSSocket.receive(udp.raw, into: buffer) {
                received.withLock { $0.append(packet) }
                for reply in script(packet, true) { DNSSocket.send(udp.raw, reply, to: sender) }
            }
            if ready[1].revents != 0 { serveConnection(script) }
        }
    }

    private func serveConnection(_ script: Script) {
        let raw = accept4(tcp.raw, __SOCKADDR_ARG(__sockaddr__: nil), nil, Int32(SOCK_CLOEXEC.rawValue))
        guard raw >= 0 else { return }
        let connection = SharedDescriptor(FileDescriptor(owning: raw))
        var buffer = DNSStreamBuffer()
        // Whether it fails does not matter here, only that it does not trap.
        while let bytes = try? DNSSocket.receive(raw, byteCountMax: 65_535), !bytes.isEmpty {
            buffer.append(bytes)
            guard let packet = buffer.nextMessage() else { continue }
            received.withLock { $0.append(packet) }
            var replies = DNSStreamBuffer()
            for reply in script(packet, false) { replies.append(message: reply) }
            // Silence is an open connection, not a closed one.
            if replies.bytes.isEmpty { silent.withLock { $0.append(connection) } }
            // A client that has left is no concern of the script.
            _ = try? DNSSocket.send(raw, replies.bytes[...])
            return
        }
    }
}

private func dnsLocalPort(_ raw: Int32) -> UInt16 { dnsPort(of: raw) }

extension DNSZone {
    /// With IPv4 addresses as numbers in host order.
    init(
        names: [String: [UInt32]], external: Bool = true, forwarders: [String] = []
    ) {
        self.init(
            names: names.mapValues { $0.map { .v4(IPv4Address(value: $0)) } }, external: external,
            forwarders: forwarders)
    }
}

/// Answers a packet with these addresses, without EDNS. A lifetime of 0 is not remembered.
func dnsAnswered(
    _ packet: [UInt8], _ addresses: [UInt32], code: DNSCode = .noError, lifetime: UInt32 = 0
) -> [UInt8] {
    guard case .query(var query) = DNSQuery.parse(packet) else { return [] }
    query.edns = nil
    var writer = DNSWriter(
        bytes: DNSReply.answer(
            query, code, addresses.map { .address(.v4(IPv4Address(value: $0))) }, byteCountMax: 65_535))
    for index in addresses.indices {
        let offset = DNSHeader.byteCount + query.questionBytes.count + 16 * index + 6
        writer.set(word: UInt16(lifetime >> 16), at: offset)
        writer.set(word: UInt16(lifetime & 0xFFFF), at: offset + 2)
    }
    return writer.bytes
}

/// A server on a thread of its own, which others tell what to do.
// SAFETY: the name server is touched by the thread only; the rest is immutable or in the mutex.
final class DNSServer: @unchecked Sendable {
    private let server: NameServer
    private let wakeUps: SharedDescriptor
    private let work = Mutex<[@Sendable (NameServer) -> Void]>([])
    private let isStopping = Atomic(false)
    private let hasEnded = Atomic(false)

    init(resolvConfPath: String = "/nonexistent") throws {
        server = try NameServer(resolvConfPath: resolvConfPath)
        wakeUps = SharedDescriptor(
            FileDescriptor(owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) }))
    }

    func start() throws {
        try server.watch(wakeUps.raw) { [unowned self] in
            var count: eventfd_t = 0
            eventfd_read(wakeUps.raw, &count)
            for item in work.withLock({ work in
                defer { work = [] }
                return work
            }) { item(server) }
        }
        try NamedThread.start("dns") { [self] in
            while !isStopping.load(ordering: .acquiring) { server.turn(millisecondsMax: 1_000) }
            for scope in server.scopes { server.remove(scope: scope) }
            hasEnded.store(true, ordering: .releasing)
        }
    }

    /// Runs `body` on the thread and waits for it.
    func run<Value: Sendable>(_ body: @escaping @Sendable (NameServer) throws -> Value) throws -> Value {
        let outcome = Outcome<Value>()
        work.withLock { $0.append { server in outcome.set(Result { try body(server) }) } }
        eventfd_write(wakeUps.raw, 1)
        return try outcome.wait().get()
    }

    private final class Outcome<Value: Sendable>: Sendable {
        private let result = Mutex<Result<Value, any Error>?>(nil)

        func set(_ value: Result<Value, any Error>) { result.withLock { $0 = value } }

        func wait() -> Result<Value, any Error> {
            while true {
                if let value = result.withLock({ $0 }) { return value }
                sched_yield()
            }
        }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        eventfd_write(wakeUps.raw, 1)
        while !hasEnded.load(ordering: .acquiring) { sched_yield() }
    }

    func add(scope: String, udp: consuming FileDescriptor, tcp: consuming FileDescriptor) throws {
        let (udp, tcp) = (SharedDescriptor(udp), SharedDescriptor(tcp))
        try run { try $0.serve(scope: scope, zone: scope, udp: try udp.duplicate(), tcp: try tcp.duplicate()) }
    }

    func update(scope: String, zone: DNSZone) throws { try run { $0.setZone(scope, zone) } }

    func remove(scope: String) throws {
        try run {
            $0.remove(scope: scope)
            $0.forgetZone(scope)
        }
    }

    func scopes() throws -> [String] { try run { $0.scopes } }
}
