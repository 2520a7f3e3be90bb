import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

/// Small archives that would fill the machine's memory or its disk's inodes, or be read for ever.
@Suite struct HostileMemoryTests {
    private func refusal(_ tar: [UInt8], options: ImageStoreOptions = ImageStoreOptions()) -> String? {
        do {
            _ = try Unpacked(tar, options: options)
            return nil
        } catch {
            guard case .archive(let why) = error as? ImageError else { return "not an archive's error: \(error)" }
            return why
        }
    }

    /// GNU's sparse format 1.0: the map stands before the content.
    private func sparse(_ name: String, map: String, realSize: String, content: [UInt8] = []) -> TarBuilder.Entry {
        var entry = TarBuilder.Entry("GNUSparseFile.0/\(name)")
        let text = Array(map.utf8)
        entry.content = text + [UInt8](repeating: 0, count: (512 - text.count % 512) % 512) + content
        entry.pax = [
            ("GNU.sparse.major", Array("1".utf8)), ("GNU.sparse.minor", Array("0".utf8)),
            ("GNU.sparse.realsize", Array(realSize.utf8)), ("GNU.sparse.name", Array(name.utf8)),
        ]
        return entry
    }

    /// libarchive keeps each pair of a map in memory, as 50 bytes; an archive spends two, and gzip nearly none.
    @Test func mapsOfSparseFiles() throws {
        var bomb = TarBuilder()
        bomb.add(sparse("bomb", map: "5000000\n" + String(repeating: "0\n0\n", count: 5_000_000), realSize: "0"))
        #expect(refusal(bomb.finished) == "it has more than \(TarReader.headerByteCountMax) bytes of headers")
        // What a database's file may look like: 20,000 pieces of a byte each.
        var honest = TarBuilder()
        let pieces = 20_000
        let map = "\(pieces)\n" + (0..<pieces).map { "\($0 * 8192)\n1\n" }.joined()
        honest.add(
            sparse("f", map: map, realSize: "\(pieces * 8192)", content: [UInt8](repeating: 0x61, count: pieces)))
        let layer = try Unpacked(honest.finished)
        let status = try #require(layer.status("f"))
        #expect(status.st_size == pieces * 8192)
        #expect(try FileSystem.readFile("\(layer.root)/f", byteCountMax: 1 << 30).filter { $0 == 0x61 }.count == pieces)
    }

    /// The old format: blocks that each say that another follows.
    @Test func chainsOfSparseHeaders() {
        var tar = TarBuilder()
        var first = TarBuilder()
        first.header(Array("s".utf8), "S", byteCount: 0, TarBuilder.Entry("s"))
        var block = first.bytes
        block[482] = 1
        for index in 148..<156 { block[index] = 32 }
        let sum = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
        block.replaceSubrange(148..<(148 + sum.utf8.count), with: Array(sum.utf8))
        block[148 + sum.utf8.count] = 0
        tar.raw(block)
        var extended = [UInt8](repeating: UInt8(ascii: "0"), count: 512)
        extended[504] = 1
        for _ in 0..<8_000 { tar.raw(extended) }
        #expect(refusal(tar.finished) != nil)
    }

    @Test(arguments: ["x", "g", "L", "K"]) func chainsOfSpecialHeaders(type: Character) {
        var tar = TarBuilder()
        let record = TarBuilder.paxRecord("a", [0x62])
        for _ in 0..<50_000 {
            tar.header(Array("h".utf8), type, byteCount: record.count, TarBuilder.Entry("h"))
            tar.raw(record + [UInt8](repeating: 0, count: 512 - record.count))
        }
        tar.file("f", "x")
        #expect(refusal(tar.finished) != nil)
    }

    /// A deep name implies every folder above it: 4 kB of archive are 2,000 folders, and their names 4 MB.
    @Test func namesThatImplyFolders() throws {
        var tar = TarBuilder()
        for index in 0..<40 { tar.file("\(index)/" + String(repeating: "d/", count: 1_900) + "f") }
        var options = ImageStoreOptions()
        options.limits.folderNameByteCountMax = 8 << 20
        #expect(
            refusal(tar.finished, options: options) == "the names of a layer's folders have more than 8388608 bytes")
        options = ImageStoreOptions()
        options.limits.layerEntryCountMax = 10_000
        #expect(refusal(tar.finished, options: options) == "a layer has more than 10000 entries")
        var folders = TarBuilder()
        for _ in 0..<1_000 { folders.folder("the/same/folder/again") }
        options = ImageStoreOptions()
        options.limits.folderNameByteCountMax = 20_000
        #expect(refusal(folders.finished, options: options) != nil)
    }

    /// Holes cost an archive nothing, and whoever reads the file for ever.
    @Test func sizesOfHoles() throws {
        let most = "9223372036854775807"
        var tar = TarBuilder()
        tar.add(sparse("bomb", map: "0\n", realSize: most))
        #expect(refusal(tar.finished) == "the files of a layer have more than \(128 << 30 as Int) bytes")
        var two = TarBuilder()
        for name in ["a", "b"] { two.add(sparse(name, map: "0\n", realSize: "\(100 << 30 as Int)")) }
        #expect(refusal(two.finished) != nil)
    }

    /// What belongs to no file is passed over, however much it is, without being taken for a header.
    @Test func contentOfWhatHasNone() throws {
        let layer = try Unpacked { tar in
            tar.add(".wh.gone") { $0.content = [UInt8](repeating: 1, count: 3 << 20) }
            tar.file("after", "x")
        }
        #expect(layer.isWhiteout("gone"))
        #expect(try layer.text("after") == "x")
    }

    /// Records of pax headers that lie, alone and in pairs: a refusal or a file inside, never a crash.
    @Test func lyingRecords() throws {
        let keys = [
            "path", "linkpath", "size", "uid", "gid", "mtime", "atime", "GNU.sparse.map", "GNU.sparse.numblocks",
            "GNU.sparse.offset", "GNU.sparse.numbytes", "GNU.sparse.size", "GNU.sparse.realsize", "GNU.sparse.name",
            "GNU.sparse.major", "GNU.sparse.minor", "SCHILY.realsize", "SCHILY.dev", "SCHILY.acl.access",
            "SCHILY.fflags",
            "SCHILY.xattr.user.a", "SCHILY.xattr.", "SCHILY.devmajor", "LIBARCHIVE.xattr.user.b", "hdrcharset",
            "SCHILY.filetype", "RHT.security.selinux", "",
        ]
        let values: [[UInt8]] =
            [
                "-1", "", "9223372036854775807", "99999999999999999999999999", "-9223372036854775808", "1,2,3", "0,-1",
                "../../x", "/etc/passwd", "1.9999999999999999", "BINARY", "-0.5", "user::rwx,user:1:r",
            ].map { Array($0.utf8) } + [[0], [0xff, 0xfe], [UInt8](repeating: 0x39, count: 4000)]
        var acceptedCount = 0
        for key in keys {
            for value in values {
                for more in [nil, "GNU.sparse.major", "size"] {
                    var tar = TarBuilder()
                    tar.add("entry") { entry in
                        entry.content = Array("content".utf8)
                        entry.pax = [(key, value)] + (more.map { [($0, Array("1".utf8))] } ?? [])
                    }
                    let layer = try? Unpacked(tar.finished)  // Any refusal will do.
                    if let layer {
                        acceptedCount += 1
                        #expect(try FileSystem.readFile(layer.sentinel) == Array("untouched".utf8))
                        #expect(try FileSystem.list(layer.folder.path) == ["discards", "fs", "sentinel"])
                    }
                }
            }
        }
        #expect(acceptedCount > 0)
    }

    /// Sizes in base 256 (GNU), negative and huge.
    @Test func numbersInBase256() {
        for bytes: [UInt8] in [
            [0x80] + [UInt8](repeating: 0xff, count: 11), [UInt8](repeating: 0xff, count: 12),
            [0xff, 0x80] + [UInt8](repeating: 0, count: 10),
            [0x80, 0, 0, 0, 0x7f] + [UInt8](repeating: 0xff, count: 7),
        ] {
            for (offset, width) in [(124, 12), (108, 8), (116, 8), (136, 12), (100, 8)] {
                var plain = TarBuilder()
                plain.file("f", "x")
                var block = plain.bytes
                block.replaceSubrange(offset..<(offset + width), with: bytes.prefix(width))
                for index in 148..<156 { block[index] = 32 }
                let sum = String(block[..<512].reduce(0) { $0 + Int($1) }, radix: 8)
                block.replaceSubrange(148..<(148 + sum.utf8.count), with: Array(sum.utf8))
                block[148 + sum.utf8.count] = 0
                let why = refusal(block + [UInt8](repeating: 0, count: 1024))
                #expect(offset != 124 || why != nil, "\(bytes)")
            }
        }
    }

    /// A zstd frame says how much memory its reader needs (RFC 8878 section 3.1.1.1.2): 2 GiB and more here.
    @Test(arguments: [0x90, 0xa8, 0xf8] as [UInt8]) func windowsOfZstd(descriptor: UInt8) throws {
        let fixture = try StoreFixture()
        let frame: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, descriptor, 0x01, 0x00, 0x00]
        let layer = Archives.oci(layers: [(frame + [UInt8](repeating: 0, count: 600), Digest.sha256(of: []))])
        #expect(throws: ImageError.self) { try fixture.load(layer) }
        #expect(throws: ImageError.self) { try fixture.load(frame) }
        #expect(try fixture.content() == [])
    }

    /// Nobody else reaches a layer, least of all while it is unpacked (CVE-2021-41091, CVE-2025-47290).
    @Test func foldersAreClosedToOthers() throws {
        let fixture = try StoreFixture()
        try fixture.load(Archives.docker(layers: [Archives.layer()]))
        var status = stat()
        #expect(stat(fixture.store.root, &status) == 0 && status.st_mode & 0o077 == 0)
        for name in try FileSystem.list(fixture.store.root) {
            #expect(lstat("\(fixture.store.root)/\(name)", &status) == 0 && status.st_mode & 0o077 == 0, "\(name)")
        }
    }
}
