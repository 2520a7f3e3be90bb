import CLinux
import Glibc
import Images
import LinuxSystem
import Testing

/// A store in a folder of its own, beside which a sentinel shows whether anything got out.
private final class StoreFixture {
    let folder: String
    let store: ImageStore

    init() throws {
        var template = Array("/tmp/gantry-images-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer -> String? in
            guard let base = buffer.baseAddress, mkdtemp(base) != nil else { return nil }
            return String(cString: base)
        }
        folder = try #require(made)
        try FileSystem.replaceFile("\(folder)/sentinel", with: Array("untouched".utf8))
        store = try ImageStore(root: "\(folder)/store")
    }

    deinit { try? FileSystem.removeTree(folder) }  // Cleaning up after a test.

    @discardableResult
    func load(_ archive: [UInt8]) throws -> [LoadedImage] {
        try FileSystem.replaceFile("\(folder)/archive", with: archive)
        let file = try FileDescriptor.open("\(folder)/archive", O_RDONLY)
        return try store.load(from: file.raw)
    }

    /// Where the only layer of `test:1` is.
    func layer() throws -> String { try #require(try store.image("test:1").layers.first).path }

    func isUntouched() throws -> Bool {
        try FileSystem.readFile("\(folder)/sentinel") == Array("untouched".utf8)
            && FileSystem.list(folder).sorted() == ["archive", "sentinel", "store"]
    }

    func leftovers() throws -> [String] { try FileSystem.list("\(folder)/store/tmp") }
}

private func layer(_ build: (inout TarBuilder) -> Void) -> [UInt8] {
    var builder = TarBuilder()
    build(&builder)
    return builder.finished
}

private func status(_ path: String) throws -> stat {
    var result = stat()
    try #require(lstat(path, &result) == 0, "\(path) is missing")
    return result
}

@Suite(.enabled(if: geteuid() == 0, "owners and devices need root")) struct ImageStoreTests {
    @Test func aLoadedImageIsFoundByNameAndId() throws {
        let fixture = try StoreFixture()
        let loaded = try fixture.load(dockerArchive(layers: [layer { $0.add("file", content: [1]) }]))
        let id = try #require(loaded.first).id
        #expect(loaded.map(\.reference?.familiar) == ["test:1"])
        for name in ["test:1", "docker.io/library/test:1", id.description, String(id.hex.prefix(12))] {
            #expect(try fixture.store.image(name).id == id)
        }
        #expect(throws: ImageError.notFound(name: "test:2", similar: ["test:1"])) {
            try fixture.store.image("test:2")
        }
        #expect(try fixture.store.image("test:1").config.config.cmd == ["serve"])
        #expect(try fixture.leftovers() == [])
    }

    @Test func imagesSurviveReopening() throws {
        let fixture = try StoreFixture()
        try fixture.load(dockerArchive(layers: [layer { $0.add("file") }]))
        #expect(throws: ImageError.self) { _ = try ImageStore(root: "\(fixture.folder)/store") }
        #expect(try fixture.store.images().count == 1)
    }

    @Test func entriesKeepWhatTheyAre() throws {
        let fixture = try StoreFixture()
        try fixture.load(
            dockerArchive(layers: [
                layer {
                    $0.add("dir/", type: "5", mode: 0o1750, uid: 7)
                    $0.add("dir/tool", mode: 0o4755, uid: 8, content: Array("text".utf8))
                    $0.add("dir/again", type: "1", link: "dir/tool")
                    $0.add("link", type: "2", link: "/etc/passwd")
                    $0.add("null", type: "3", mode: 0o666, device: (1, 3))
                    $0.add("pipe", type: "6", mode: 0o600)
                }
            ]))
        let root = try fixture.layer()
        let folder = try status("\(root)/dir")
        #expect(folder.st_mode & 0o7777 == 0o1750)
        #expect((folder.st_uid, folder.st_mtim.tv_sec) == (7, 1_700_000_000))
        let tool = try status("\(root)/dir/tool")
        #expect(tool.st_mode & 0o7777 == 0o4755)
        #expect(try status("\(root)/dir/again").st_ino == tool.st_ino)
        #expect(gantry_is_symlink(try status("\(root)/link").st_mode) == 1)
        #expect(try status("\(root)/null").st_rdev == gantry_makedev(1, 3))
        #expect(try status("\(root)/pipe").st_mode & S_IFMT == S_IFIFO)
    }

    @Test func whiteoutsBecomeOverlays() throws {
        let fixture = try StoreFixture()
        try fixture.load(
            dockerArchive(layers: [
                layer {
                    $0.add("a/.wh.gone")
                    $0.add("b/.wh..wh..opq")
                    $0.add("b/new", content: [1])
                }
            ]))
        let root = try fixture.layer()
        let gone = try status("\(root)/a/gone")
        #expect(gone.st_mode & S_IFMT == S_IFCHR)
        #expect(gone.st_rdev == 0)
        var value = [UInt8](repeating: 0, count: 8)
        #expect(getxattr("\(root)/b", "trusted.overlay.opaque", &value, 8) == 1)
        #expect(value[0] == UInt8(ascii: "y"))
        #expect(try FileSystem.list("\(root)/b") == ["new"])
    }

    @Test func theLastOfSeveralEntriesWins() throws {
        let fixture = try StoreFixture()
        try fixture.load(
            dockerArchive(layers: [
                layer {
                    $0.add("x", type: "2", link: "/outside")
                    $0.add("x", content: Array("file".utf8))
                    $0.add("y/inner", content: [1])
                    $0.add("y", content: Array("now a file".utf8))
                }
            ]))
        #expect(try FileSystem.readFile("\(try fixture.layer())/x") == Array("file".utf8))
        #expect(try FileSystem.readFile("\(try fixture.layer())/y") == Array("now a file".utf8))
    }

    @Test func overlayMarksFromAnImageAreStripped() throws {
        let fixture = try StoreFixture()
        try fixture.load(
            dockerArchive(layers: [
                layer {
                    $0.addPax([
                        ("SCHILY.xattr.trusted.overlay.redirect", "/etc"), ("SCHILY.xattr.user.note", "kept"),
                    ])
                    $0.add("file", content: [1])
                }
            ]))
        let path = "\(try fixture.layer())/file"
        var value = [UInt8](repeating: 0, count: 64)
        #expect(getxattr(path, "trusted.overlay.redirect", &value, 64) == -1)
        #expect(getxattr(path, "user.note", &value, 64) == 4)
    }

    @Test func equalLayersAreUnpackedOnce() throws {
        let fixture = try StoreFixture()
        let base = layer { $0.add("base", content: [1]) }
        try fixture.load(dockerArchive(layers: [base, layer { $0.add("top") }], tag: "one:1"))
        try fixture.load(dockerArchive(layers: [base], tag: "two:1"))
        #expect(try FileSystem.list("\(fixture.folder)/store/layers").count == 2)
        let two = try fixture.store.image("two:1")
        try fixture.store.remove(two.id, inUse: { _ in false })
        #expect(try FileSystem.list("\(fixture.folder)/store/layers").count == 2)
        let one = try fixture.store.image("one:1")
        #expect(throws: ImageError.self) { try fixture.store.remove(one.id, inUse: { _ in true }) }
        try fixture.store.remove(one.id, inUse: { _ in false })
        #expect(try FileSystem.list("\(fixture.folder)/store/layers") == [])
    }
}

@Suite(.enabled(if: geteuid() == 0, "owners and devices need root")) struct HostileImageTests {
    /// Layers that try to reach out of their root: refused, or harmless because everything stays inside.
    private static let escapes: [(name: String, layer: [UInt8])] = [
        ("climbing name", layer { $0.add("../../../sentinel", content: [6]) }),
        ("absolute name", layer { $0.add("/tmp/gantry-escape", content: [6]) }),
        (
            "file through an absolute link",
            layer {
                $0.add("out", type: "2", link: "/tmp")
                $0.add("out/gantry-escape", content: [6])
            }
        ),
        (
            "file through a climbing link",
            layer {
                $0.add("out", type: "2", link: "../../../../..")
                $0.add("out/sentinel", content: [6])
            }
        ),
        ("hard link to the host", layer { $0.add("stolen", type: "1", link: "../../../../../sentinel") }),
        (
            "hard link through a link",
            layer {
                $0.add("out", type: "2", link: "/etc")
                $0.add("stolen", type: "1", link: "out/passwd")
            }
        ),
        (
            "whiteout through a link",
            layer {
                $0.add("out", type: "2", link: "../../../../..")
                $0.add("out/.wh.sentinel")
            }
        ),
        (
            "opaque on a link",
            layer {
                $0.add("out", type: "2", link: "/tmp")
                $0.add("out/.wh..wh..opq")
            }
        ),
        ("whiteout of dot dot", layer { $0.add("dir/.wh...") }),
        ("overlay whiteout", layer { $0.add("hide", type: "3") }),
        ("hard link to itself", layer { $0.add("self", type: "1", link: "self") }),
        (
            "long name",
            layer {
                $0.addPax([("path", String(repeating: "a/", count: 3000))]); $0.add("x")
            }
        ),
        (
            "name not UTF-8",
            layer {
                $0.addPax([("path", "caf\u{e9}\u{0}x")]); $0.add("x")
            }
        ),
    ]

    @Test(arguments: escapes.indices) func nothingLeavesTheRoot(_ index: Int) throws {
        let fixture = try StoreFixture()
        do {
            try fixture.load(dockerArchive(layers: [Self.escapes[index].layer]))
        } catch is ImageError {
            #expect(try fixture.store.images().isEmpty)
            #expect(try FileSystem.list("\(fixture.folder)/store/layers") == [])
        }
        #expect(try fixture.isUntouched(), "\(Self.escapes[index].name)")
        #expect(!FileSystem.exists("/tmp/gantry-escape"))
        #expect(try fixture.leftovers() == [])
    }

    @Test func aLayerThatIsNotWhatItsDigestSaysIsRefused() throws {
        let fixture = try StoreFixture()
        let lie = Digest.sha256(of: [1, 2, 3])
        #expect(throws: ImageError.self) {
            try fixture.load(dockerArchive(layers: [layer { $0.add("file") }], diffIDs: [lie]))
        }
        #expect(try fixture.store.images().isEmpty)
        #expect(try FileSystem.list("\(fixture.folder)/store/layers") == [])
    }

    @Test func everyCutLeavesTheStoreAsItWas() throws {
        let fixture = try StoreFixture()
        let archive = dockerArchive(layers: [layer { $0.add("file", content: [UInt8](repeating: 7, count: 600)) }])
        for length in stride(from: 0, to: archive.count - 1024, by: 97) {
            #expect(throws: ImageError.self, "cut at \(length)") {
                try fixture.load(Array(archive.prefix(length)))
            }
        }
        #expect(try fixture.store.images().isEmpty)
        #expect(try fixture.leftovers() == [])
    }

    @Test func randomBytesAreRefused() throws {
        let fixture = try StoreFixture()
        var state: UInt64 = 0x5eed
        for _ in 0..<50 {
            var bytes: [UInt8] = []
            for _ in 0..<1500 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.append(UInt8(truncatingIfNeeded: state >> 56))
            }
            #expect(throws: ImageError.self) { try fixture.load(bytes) }
        }
    }

    @Test func whatAnInterruptedLoadLeftIsSwept() throws {
        let fixture = try StoreFixture()
        try FileSystem.makeDirectories("\(fixture.folder)/other/tmp/7/fs/deep")
        let store = try ImageStore(root: "\(fixture.folder)/other")
        #expect(try FileSystem.list("\(fixture.folder)/other/tmp") == [])
        #expect(try store.images().isEmpty)
    }
}
