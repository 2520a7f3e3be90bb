import Images
import LinuxSystem

/// Writes ustar archives byte by byte, also ones that no decent program would write.
struct TarBuilder {
    private(set) var bytes: [UInt8] = []

    mutating func add(
        _ name: String, type: Character = "0", mode: Int = 0o644, uid: Int = 0, link: String = "",
        content: [UInt8] = [], device: (major: Int, minor: Int) = (0, 0)
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int, max: Int) {
            for (index, byte) in text.utf8.prefix(max).enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int, at offset: Int, width: Int) {
            let digits = String(value, radix: 8)
            put(String(repeating: "0", count: width - 1 - digits.count) + digits, at: offset, max: width - 1)
        }
        put(name, at: 0, max: 100)
        octal(mode, at: 100, width: 8)
        octal(uid, at: 108, width: 8)
        octal(uid, at: 116, width: 8)
        octal(content.count, at: 124, width: 12)
        octal(1_700_000_000, at: 136, width: 12)
        put("        ", at: 148, max: 8)
        header[156] = type.asciiValue ?? 0x30
        put(link, at: 157, max: 100)
        put("ustar", at: 257, max: 5)
        put("00", at: 263, max: 2)
        octal(device.major, at: 329, width: 8)
        octal(device.minor, at: 337, width: 8)
        let sum = header.reduce(0) { $0 + Int($1) }
        octal(sum, at: 148, width: 7)
        bytes += header + content
        bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    /// A pax header for the next entry: `KEY=VALUE` records with their own lengths.
    mutating func addPax(_ records: [(key: String, value: String)]) {
        var content = ""
        for (key, value) in records {
            let rest = " \(key)=\(value)\n"
            var length = rest.utf8.count + 1
            while String(length).utf8.count + rest.utf8.count != length { length += 1 }
            content += "\(length)\(rest)"
        }
        add("PaxHeader", type: "x", content: Array(content.utf8))
    }

    var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }
}

/// A docker-archive of one image with these layers, as `docker save` writes it.
func dockerArchive(layers: [[UInt8]], tag: String = "test:1", diffIDs: [Digest]? = nil) -> [UInt8] {
    let digests = diffIDs ?? layers.map { Digest.sha256(of: $0) }
    let ids = digests.map { "\"\($0)\"" }.joined(separator: ",")
    let config = Array(
        """
        {"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z",
         "config":{"Cmd":["serve"],"Env":["A=b"],"Volumes":{"/data":{}}},
         "rootfs":{"type":"layers","diff_ids":[\(ids)]}}
        """.utf8)
    let names = layers.indices.map { "\"\($0)/layer.tar\"" }.joined(separator: ",")
    var archive = TarBuilder()
    for (index, layer) in layers.enumerated() { archive.add("\(index)/layer.tar", content: layer) }
    archive.add("config.json", content: config)
    archive.add(
        "manifest.json",
        content: Array(#"[{"Config":"config.json","RepoTags":["\#(tag)"],"Layers":[\#(names)]}]"#.utf8))
    return archive.finished
}
