import CLinux
import Glibc
import LinuxSystem

/// Messages of bytes with descriptors over a Unix socket that keeps message boundaries (`SOCK_SEQPACKET`, unix(7)).
/// What is long travels in a file in memory, of which the message has the descriptor.
enum ServiceSocket {
    private static let inlineByteCountMax = 16 << 10
    private static let byteCountMax = 16 << 20
    private static let descriptorCountMax = 3
    private static let inline: UInt8 = 0
    private static let file: UInt8 = 1

    struct Message {
        var bytes: [UInt8]
        var descriptors: [SharedDescriptor]
    }

    /// - Throws: EPIPE when the peer is gone, EAGAIN when it has not listened for as long as the socket is patient.
    static func send(_ bytes: [UInt8], _ descriptors: [Int32] = [], to raw: Int32) throws(SystemError) {
        guard bytes.count > inlineByteCountMax else { return try transmit([inline] + bytes, descriptors, raw) }
        let memory = FileDescriptor(owning: try check("memfd_create") { memfd_create("message", UInt32(MFD_CLOEXEC)) })
        try memory.writeAll(bytes)
        try transmit([file], [memory.raw] + descriptors, raw)
    }

    private static func transmit(
        _ bytes: [UInt8], _ descriptors: [Int32], _ raw: Int32
    ) throws(SystemError) {
        try check("sendmsg") {
            gantry_send_descriptors(raw, descriptors, Int32(descriptors.count), bytes, bytes.count)
        }
    }

    /// The next message; `nil` when the peer has closed.
    static func receive(from raw: Int32) throws(SystemError) -> Message? {
        var buffer = [UInt8](repeating: 0, count: inlineByteCountMax + 1)
        var received = [Int32](repeating: -1, count: descriptorCountMax + 1)
        var descriptorCount: Int32 = 0
        let count = try check("recvmsg") {
            gantry_receive_descriptors(raw, &buffer, buffer.count, &received, &descriptorCount)
        }
        var descriptors = received.prefix(Int(descriptorCount)).map { SharedDescriptor(FileDescriptor(owning: $0)) }
        guard count > 0 else { return nil }
        guard buffer[0] == file else {
            return Message(bytes: Array(buffer[1..<count]), descriptors: descriptors)
        }
        guard !descriptors.isEmpty else { throw SystemError("recvmsg", code: EBADMSG) }
        let memory = try descriptors.removeFirst().duplicate()
        let position = memory.raw
        try check("lseek") { lseek(position, 0, SEEK_SET) }
        return Message(bytes: try memory.readAll(byteCountMax: byteCountMax), descriptors: descriptors)
    }
}

/// Numbers and texts in a row.
struct ServiceWriter {
    private(set) var bytes: [UInt8] = []

    init(_ kind: UInt8) { bytes = [kind] }

    mutating func number(_ value: Int) {
        let value = UInt32(clamping: value)
        for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func data(_ data: some Collection<UInt8>) {
        number(data.count)
        bytes += data
    }

    mutating func text(_ text: String) { data(text.utf8) }

    mutating func texts(_ texts: [String]) {
        number(texts.count)
        for each in texts { text(each) }
    }
}

/// Reads what `ServiceWriter` wrote; every read checks the bounds.
struct ServiceReader {
    struct Malformed: Error {}

    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func byte() throws(Malformed) -> UInt8 {
        guard offset < bytes.count else { throw Malformed() }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func number() throws(Malformed) -> Int {
        var value = 0
        for _ in 0..<4 { value = value << 8 | Int(try byte()) }
        return value
    }

    mutating func data() throws(Malformed) -> [UInt8] {
        let count = try number()
        guard count <= bytes.count - offset else { throw Malformed() }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    mutating func text() throws(Malformed) -> String { String(decoding: try data(), as: UTF8.self) }

    mutating func texts() throws(Malformed) -> [String] {
        var texts: [String] = []
        for _ in 0..<(try number()) { texts.append(try text()) }
        return texts
    }
}
