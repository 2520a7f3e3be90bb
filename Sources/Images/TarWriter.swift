import CLibArchive
import CLinux
import Glibc
import LinuxSystem

/// What an entry's header says when it is written.
struct TarHeader {
    var path: [UInt8]
    /// `0` file, `1` hard link, `2` symbolic link, `3` and `4` devices, `5` folder, `6` fifo.
    var type: UInt8 = UInt8(ascii: "0")
    var mode: UInt32 = 0o644
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    var byteCount: Int64 = 0
    var modified = timespec(tv_sec: 0, tv_nsec: 0)
    var target: [UInt8] = []
    var device: dev_t = 0
    var attributes: [(name: [UInt8], value: [UInt8])] = []
}

/// A tar stream to a descriptor: ustar, with a pax header where an entry needs one (POSIX.1-2017 pax, "pax Interchange
/// Format"). Equal entries give equal bytes.
///
/// Our own, unlike the reader: libarchive's static writer cannot be linked without three more libraries (nettle, bzip2,
/// lzma) that its other formats need.
final class TarWriter {
    private static let blockByteCount = 512
    private static let bufferByteCount = 256 << 10
    private static let readByteCount = 128 << 10
    private let sink: (UnsafeRawBufferPointer) throws(ImageError) -> Void
    private var buffer: [UInt8] = []
    private var readBuffer: [UInt8] = []

    /// `descriptor` must stay open as long as this object.
    convenience init(descriptor: Int32) {
        self.init { bytes throws(ImageError) in try Self.write(bytes, to: descriptor) }
    }

    /// `sink` gets the archive piece by piece.
    init(sink: @escaping (UnsafeRawBufferPointer) throws(ImageError) -> Void) {
        self.sink = sink
        buffer.reserveCapacity(Self.bufferByteCount)
    }

    /// The two blocks that end an archive.
    func finish() throws(ImageError) {
        buffer += [UInt8](repeating: 0, count: 2 * Self.blockByteCount)
        try flush()
    }

    /// A file of our own: root's, of no time, so that the archive depends on nothing but its content.
    func file(_ name: String, _ bytes: [UInt8]) throws(ImageError) {
        try header(TarHeader(path: Array(name.utf8), byteCount: Int64(bytes.count)))
        buffer += bytes
        try pad(Int64(bytes.count))
    }

    /// A file whose content `source` gives; it must be `byteCount` long.
    func file(_ name: String, byteCount: Int64, _ source: any ByteSource) throws(ImageError) {
        try header(TarHeader(path: Array(name.utf8), byteCount: byteCount))
        try content(of: source, byteCount: byteCount, what: name)
    }

    /// The content of the entry before.
    func content(of source: any ByteSource, byteCount: Int64, what: String) throws(ImageError) {
        var total: Int64 = 0
        while true {
            let piece = try source.next()
            if piece.isEmpty { break }
            total += Int64(piece.count)
            guard total <= byteCount else { break }
            try flush()
            try sink(piece)
        }
        guard total == byteCount else { throw .damaged("\(what) is not \(byteCount) bytes long any more") }
        try pad(byteCount)
    }

    /// The content of the entry before, of a file that others may write to: cut, or filled up with zeros, to
    /// `byteCount`, as GNU tar does.
    func changingContent(
        of file: borrowing FileDescriptor, byteCount: Int64, what: [UInt8]
    ) throws(ImageError) {
        if readBuffer.isEmpty { readBuffer = [UInt8](repeating: 0, count: Self.readByteCount) }
        let raw = file.raw
        var remaining = byteCount
        while remaining > 0 {
            let wanted = Int(min(Int64(Self.readByteCount), remaining))
            let count = try converting { () throws(SystemError) -> Int in
                try check("read", path: quoted(what)) {
                    readBuffer.withUnsafeMutableBytes { read(raw, $0.baseAddress, wanted) }
                }
            }
            if count == 0 { break }
            buffer += readBuffer[..<count]
            remaining -= Int64(count)
            if buffer.count >= Self.bufferByteCount { try flush() }
        }
        while remaining > 0 {
            let count = min(Int64(Self.readByteCount), remaining)
            buffer += repeatElement(0, count: Int(count))
            remaining -= count
            if buffer.count >= Self.bufferByteCount { try flush() }
        }
        try pad(byteCount)
    }

    /// An entry; its content, if any, is to follow.
    func header(_ header: TarHeader) throws(ImageError) {
        let records = Self.records(of: header)
        if !records.isEmpty {
            // Readers that know pax never see this name.
            block(
                TarHeader(
                    path: Array("PaxHeaders/entry".utf8), type: UInt8(ascii: "x"), byteCount: Int64(records.count)))
            buffer += records
            try pad(Int64(records.count))
        }
        block(header)
        if buffer.count >= Self.bufferByteCount { try flush() }
    }

    // MARK: - Blocks

    /// Largest values of the octal fields.
    private static let sizeMax: Int64 = 0o77_777_777_777
    private static let idMax: UInt32 = 0o7_777_777
    private static let nameByteCountMax = 100

    private func block(_ header: TarHeader) {
        var block = [UInt8](repeating: 0, count: Self.blockByteCount)
        func put(_ offset: Int, _ bytes: some Sequence<UInt8>) {
            for (index, byte) in bytes.enumerated() { block[offset + index] = byte }
        }
        func octal(_ offset: Int, _ digitCount: Int, _ value: Int64) {
            let digits = String(max(0, value), radix: 8)
            put(offset, (String(repeating: "0", count: max(0, digitCount - digits.utf8.count)) + digits).utf8)
        }
        put(0, header.path.prefix(Self.nameByteCountMax))
        octal(100, 7, Int64(header.mode & 0o7777))
        octal(108, 7, Int64(min(header.uid, Self.idMax)))
        octal(116, 7, Int64(min(header.gid, Self.idMax)))
        octal(124, 11, min(header.byteCount, Self.sizeMax))
        octal(136, 11, min(Int64(header.modified.tv_sec), Self.sizeMax))
        block[156] = header.type
        put(157, header.target.prefix(Self.nameByteCountMax))
        put(257, Array("ustar".utf8) + [0, 0x30, 0x30])
        octal(329, 7, Int64(gantry_major(header.device)))
        octal(337, 7, Int64(gantry_minor(header.device)))
        // The sum counts its own field as blanks.
        put(148, [UInt8](repeating: 0x20, count: 8))
        octal(148, 6, block.reduce(0) { $0 + Int64($1) })
        put(154, [0, 0x20])
        buffer += block
    }

    /// What does not fit the fields of ustar.
    private static func records(of header: TarHeader) -> [UInt8] {
        var records: [UInt8] = []
        if header.path.count > nameByteCountMax { records += record("path", header.path) }
        if header.target.count > nameByteCountMax { records += record("linkpath", header.target) }
        if header.byteCount > sizeMax { records += record("size", Array("\(header.byteCount)".utf8)) }
        if header.uid > idMax { records += record("uid", Array("\(header.uid)".utf8)) }
        if header.gid > idMax { records += record("gid", Array("\(header.gid)".utf8)) }
        let (seconds, nanoseconds) = (Int64(header.modified.tv_sec), Int64(header.modified.tv_nsec))
        if seconds < 0 || seconds > sizeMax || nanoseconds != 0 {
            records += record("mtime", Array(decimal(seconds, nanoseconds).utf8))
        }
        for attribute in header.attributes {
            records += record("SCHILY.xattr." + String(decoding: attribute.name, as: UTF8.self), attribute.value)
        }
        return records
    }

    private static func decimal(_ seconds: Int64, _ nanoseconds: Int64) -> String {
        // Before 1970 the fraction counts towards it: -1.5 s is -2 s and 500,000,000 ns.
        let isBefore = seconds < 0 && nanoseconds > 0
        let (whole, rest) = isBefore ? (seconds + 1, 1_000_000_000 - nanoseconds) : (seconds, nanoseconds)
        let digits = String(rest)
        let fraction = String(repeating: "0", count: 9 - digits.utf8.count) + digits
        return (isBefore && whole == 0 ? "-" : "") + "\(whole)" + (rest == 0 ? "" : ".\(fraction)")
    }

    /// `LENGTH key=value\n`, the length counting itself.
    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(key)=".utf8) + value + [10]
        var length = rest.count + 1
        while String(length).utf8.count + rest.count != length { length = String(length).utf8.count + rest.count }
        return Array(String(length).utf8) + rest
    }

    func pad(_ byteCount: Int64) throws(ImageError) {
        let rest = Int(byteCount % Int64(Self.blockByteCount))
        if rest > 0 { buffer += [UInt8](repeating: 0, count: Self.blockByteCount - rest) }
        if buffer.count >= Self.bufferByteCount { try flush() }
    }

    // MARK: - Writing

    func flush() throws(ImageError) {
        let bytes = buffer
        buffer.removeAll(keepingCapacity: true)
        var failure: ImageError?
        bytes.withUnsafeBytes { piece in
            do throws(ImageError) {
                try sink(piece)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws(ImageError) {
        var done = 0
        while done < bytes.count {
            done += try converting { () throws(SystemError) -> Int in
                try check("write", path: "the archive") {
                    Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
                }
            }
        }
    }
}
