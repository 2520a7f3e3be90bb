/// Builds tar archives byte by byte, also ones that no tar program would write.
struct TarBuilder {
    private(set) var bytes: [UInt8] = []

    struct Entry {
        var name: [UInt8]
        var type: Character = "0"
        var content: [UInt8] = []
        var mode = 0o644
        var uid = 0
        var gid = 0
        var seconds = 1_000_000_000
        var target: [UInt8] = []
        var major = 0
        var minor = 0
        /// Extended header records before the entry.
        var pax: [(String, [UInt8])] = []
        /// Size in the header, when it shall differ from the content's.
        var claimedByteCount: Int?

        init(_ name: String) { self.name = Array(name.utf8) }
    }

    mutating func add(_ entry: Entry) {
        if !entry.pax.isEmpty {
            let records = entry.pax.flatMap { TarBuilder.paxRecord($0.0, $0.1) }
            header(Array("pax".utf8), "x", byteCount: records.count, Entry("pax"))
            body(records)
        }
        if entry.name.count > 100 { gnuLong("L", entry.name) }
        if entry.target.count > 100 { gnuLong("K", entry.target) }
        header(
            Array(entry.name.prefix(100)), entry.type, byteCount: entry.claimedByteCount ?? entry.content.count, entry)
        body(entry.content)
    }

    mutating func add(_ name: String, _ change: (inout Entry) -> Void = { _ in }) {
        var entry = Entry(name)
        change(&entry)
        add(entry)
    }

    mutating func file(_ name: String, _ text: String = "") { add(name) { $0.content = Array(text.utf8) } }
    mutating func file(_ name: String, _ content: [UInt8]) { add(name) { $0.content = content } }
    mutating func folder(_ name: String) {
        add(name) {
            $0.type = "5"
            $0.mode = 0o755
        }
    }
    mutating func symlink(_ name: String, to target: String) {
        add(name) {
            $0.type = "2"
            $0.mode = 0o777
            $0.target = Array(target.utf8)
        }
    }
    mutating func hardlink(_ name: String, to target: String) {
        add(name) {
            $0.type = "1"
            $0.target = Array(target.utf8)
        }
    }

    /// With the two blocks of zeros that end an archive.
    var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

    mutating func raw(_ more: [UInt8]) { bytes += more }

    /// `LENGTH key=value\n`, the length counting itself (POSIX pax).
    static func paxRecord(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(key)=".utf8) + value + [10]
        var length = rest.count + 1
        while String(length).utf8.count + rest.count != length { length = String(length).utf8.count + rest.count }
        return Array(String(length).utf8) + rest
    }

    private mutating func gnuLong(_ type: Character, _ name: [UInt8]) {
        header(Array("././@LongLink".utf8), type, byteCount: name.count + 1, Entry("x"))
        body(name + [0])
    }

    mutating func header(_ name: [UInt8], _ type: Character, byteCount: Int, _ entry: Entry) {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ offset: Int, _ bytes: some Collection<UInt8>) {
            for (index, byte) in bytes.enumerated() where offset + index < 512 { block[offset + index] = byte }
        }
        func octal(_ offset: Int, _ width: Int, _ value: Int) {
            let digits = String(value, radix: 8)
            let zeros = String(repeating: "0", count: max(0, width - 1 - digits.utf8.count))
            put(offset, Array((zeros + digits).utf8))
        }
        put(0, name.prefix(100))
        octal(100, 8, entry.mode)
        octal(108, 8, entry.uid)
        octal(116, 8, entry.gid)
        octal(124, 12, byteCount)
        octal(136, 12, entry.seconds)
        put(148, Array(repeating: UInt8(32), count: 8))
        put(156, String(type).utf8)
        put(157, entry.target.prefix(100))
        put(257, "ustar".utf8)
        put(263, "00".utf8)
        octal(329, 8, entry.major)
        octal(337, 8, entry.minor)
        let sum = block.reduce(0) { $0 + Int($1) }
        octal(148, 7, sum)
        block[154] = 0
        block[155] = 32
        bytes += block
    }

    private mutating func body(_ content: [UInt8]) {
        bytes += content
        bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }
}
