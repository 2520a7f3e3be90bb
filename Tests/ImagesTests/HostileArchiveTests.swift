import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

/// Archives that lie, are broken, or ask for too much: a typed error, and a store as it was.
@Suite struct HostileArchiveTests {
    private let layer = Archives.layer()
    private var diffID: Digest { Digest.sha256(of: layer) }
    private let other = Digest.sha256(of: [1])

    /// The error of loading, after which nothing may be left.
    private func refusal(_ archive: [UInt8], options: ImageStoreOptions = ImageStoreOptions()) throws -> ImageError? {
        let fixture = try StoreFixture(options: options)
        do {
            _ = try fixture.load(archive)
            return nil
        } catch let error as ImageError {
            #expect(try fixture.content() == [])
            #expect(try fixture.store.images().isEmpty)
            return error
        }
    }

    private func isArchiveError(_ error: ImageError?) -> Bool {
        if case .archive = error { true } else { false }
    }

    private func isMismatch(_ error: ImageError?) -> Bool {
        if case .digestMismatch = error { true } else { false }
    }

    @Test func liesAboutLayers() throws {
        let mismatch = ImageError.digestMismatch(expected: other, actual: diffID, what: "a layer's content")
        #expect(try refusal(Archives.docker(layers: [layer], diffIDs: [other])) == mismatch)
        #expect(try refusal(Archives.oci(layers: [(layer, other)])) == mismatch)
        let folder = try TestFolder()
        let path = try folder.write("layer", layer)
        let packed = try #require(try output(of: "gzip -c < \(path)", in: folder))
        #expect(try refusal(Archives.oci(layers: [(packed, other)])) == mismatch)
        // One good layer before the bad one does not stay.
        let good = Archives.layer("good")
        #expect(
            isMismatch(try refusal(Archives.docker(layers: [good, layer], diffIDs: [Digest.sha256(of: good), other]))))
    }

    @Test func liesAboutBlobs() throws {
        let honest = Archives.oci(layers: [(layer, diffID)])
        #expect(try refusal(honest) == nil)
        let hex = Array(diffID.hex.utf8)
        // The layer's name in the archive says one thing, its content another.
        var tar = honest
        let place = try #require(tar.indices.first { tar[$0...].starts(with: Array("world\n".utf8)) })
        tar[place] = UInt8(ascii: "W")
        #expect(isMismatch(try refusal(tar)))
        #expect(hex.count == 64)
        for (field, value) in [("size", "\"size\":1"), ("size", "\"size\":-1"), ("size", "\"size\":\"x\"")] {
            let changed = Archives.oci(layers: [(layer, diffID)]) { manifest in
                manifest.replacing("\"\(field)\":\(layer.count)", with: value)
            }
            #expect(isArchiveError(try refusal(changed)), "\(value)")
        }
        let climbing = Archives.oci(layers: [(layer, diffID)]) {
            $0.replacing("\(diffID)", with: "sha256:../../../../../../etc/passwd")
        }
        #expect(isArchiveError(try refusal(climbing)))
        let missing = Archives.oci(layers: [(layer, diffID)]) { $0.replacing("\(diffID)", with: "\(other)") }
        #expect(isArchiveError(try refusal(missing)))
    }

    @Test func liesAboutTheConfig() throws {
        let config = Archives.config([diffID])
        var tar = TarBuilder()
        tar.file("\(other.hex).json", config)
        tar.file("l.tar", layer)
        tar.file("manifest.json", "[{\"Config\":\"\(other.hex).json\",\"Layers\":[\"l.tar\"]}]")
        #expect(isMismatch(try refusal(tar.finished)))
    }

    @Test func manifestsOfTwoKinds() throws {
        for extra in [
            ",\"manifests\":[]}", ",\"mediaType\":\"\(MediaType.index)\"}",
        ] {
            let archive = Archives.oci(layers: [(layer, diffID)]) { String($0.dropLast()) + extra }
            #expect(isArchiveError(try refusal(archive)), "\(extra)")
        }
        let artifact = Archives.oci(layers: [(layer, diffID)]) {
            $0.replacing(MediaType.config, with: "application/vnd.oci.empty.v1+json")
        }
        guard case .unsupported = try refusal(artifact) else {
            Issue.record("an artifact was taken for an image")
            return
        }
    }

    @Test func otherMachines() throws {
        let foreign = ",\"platform\":{\"architecture\":\"s390x\",\"os\":\"linux\"}"
        let archive = Archives.oci(layers: [(layer, diffID)], annotations: foreign)
        let host = Descriptor.Platform.host.name
        #expect(
            try refusal(archive)
                == .unsupported("the image has no variant for \(host), only for \"linux/s390x\""))
        let windows = Archives.config([diffID]).split(separator: UInt8(ascii: "\u{0}"))
        #expect(windows.count == 1)
    }

    @Test(arguments: [
        "", "x", "not a tar, but a long enough text to be looked at as one",
        String(repeating: "z", count: 4096),
    ])
    func notAnArchive(text: String) throws {
        #expect(isArchiveError(try refusal(Array(text.utf8))))
    }

    @Test func unsupportedCompression() throws {
        guard case .unsupported = try refusal([0x04, 0x22, 0x4d, 0x18, 0, 0, 0, 0]) else {
            Issue.record("lz4 is not told as unsupported")
            return
        }
    }

    @Test(arguments: [
        ("manifest.json", ""), ("manifest.json", "["), ("manifest.json", "{}"), ("manifest.json", "[]"),
        ("manifest.json", "[{}]"), ("manifest.json", "[{\"Config\":\"../../etc/passwd\",\"Layers\":[]}]"),
        ("manifest.json", "[{\"Config\":\"missing.json\",\"Layers\":[]}]"), ("manifest.json", "[null]"),
        ("repositories", "{\"a\":{\"b\":\"missing\"}}"), ("repositories", "{}"), ("index.json", "{}"), ("other", "x"),
        ("repositories", "{\"a\":{\"b\":\"../../x\"}}"),
    ])
    func brokenDocuments(name: String, text: String) throws {
        var tar = TarBuilder()
        tar.file(name, text)
        #expect(isArchiveError(try refusal(tar.finished)))
    }

    @Test(arguments: [
        "{}", "{\"manifests\":null}", "{\"manifests\":[{}]}", "{\"manifests\":[]}",
        "{\"manifests\":[{\"digest\":\"sha256:x\",\"size\":1}]}",
    ])
    func brokenLayouts(index: String) throws {
        var tar = TarBuilder()
        tar.file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}")
        tar.file("index.json", index)
        #expect(isArchiveError(try refusal(tar.finished)))
    }

    @Test func badNames() throws {
        for tag in ["UPPER:1", "../x", "a b", "x@sha256:y"] {
            #expect(isArchiveError(try refusal(Archives.docker(layers: [layer], tags: [tag]))), "\(tag)")
        }
    }

    @Test func countsThatDiffer() throws {
        #expect(isArchiveError(try refusal(Archives.docker(layers: [layer], diffIDs: []))))
        #expect(isArchiveError(try refusal(Archives.docker(layers: [], diffIDs: [diffID]))))
    }

    @Test func limits() throws {
        var options = ImageStoreOptions()
        options.limits.archiveEntryCountMax = 2
        #expect(isArchiveError(try refusal(Archives.docker(layers: [layer]), options: options)))
        options = ImageStoreOptions()
        options.limits.archiveByteCountMax = 2048
        #expect(isArchiveError(try refusal(Archives.docker(layers: [layer]), options: options)))
        options = ImageStoreOptions()
        options.limits.documentByteCountMax = 16
        #expect(isArchiveError(try refusal(Archives.docker(layers: [layer]), options: options)))
        options = ImageStoreOptions()
        options.limits.layerCountMax = 1
        #expect(isArchiveError(try refusal(Archives.docker(layers: [layer, layer]), options: options)))
    }

    @Test func gzipBombs() throws {
        let folder = try TestFolder()
        let bomb = try #require(
            try output(of: "cd \(folder.path); (tar -cT /dev/null; head -c 64M /dev/zero) | gzip -9c", in: folder))
        #expect(bomb.count < 100_000)
        var options = ImageStoreOptions()
        options.limits.layerByteCountMax = 1 << 20
        #expect(
            try refusal(Archives.oci(layers: [(bomb, other)]), options: options)
                == .archive(why: "a layer unpacks to more than 1048576 bytes"))
        // Compression of compression is no layer; libarchive alone would undo it 25 times.
        let path = try folder.write("bomb", bomb)
        let twice = try #require(try output(of: "gzip -c < \(path)", in: folder))
        #expect(
            try refusal(Archives.oci(layers: [(twice, other)]))
                == .archive(why: "it is compressed more than once"))
        #expect(try refusal(twice) == .archive(why: "it is compressed more than once"))
    }

    @Test(arguments: ["xz -1c", "bzip2 -c"])
    func bombsOfOtherPackings(packer: String) throws {
        let folder = try TestFolder()
        let bomb = try #require(
            try output(of: "cd \(folder.path); head -c 16M /dev/zero > x; tar -c x | \(packer)", in: folder))
        #expect(bomb.count < 100_000)
        var options = ImageStoreOptions()
        options.limits.archiveByteCountMax = 1 << 20
        #expect(
            try refusal(bomb, options: options) == .archive(why: "the archive unpacks to more than 1048576 bytes"))
        options.limits.layerByteCountMax = 1 << 20
        let fixture = try StoreFixture(options: options)
        let file = try FileDescriptor.open(try folder.write("bomb", bomb), O_RDONLY)
        #expect(throws: ImageError.archive(why: "the archive unpacks to more than 1048576 bytes")) {
            try fixture.store.importTree(from: file.raw, references: [])
        }
        let left = try fixture.content()
        #expect(left == [])
    }

    /// A header that libarchive refuses on opening must not end the process.
    @Test func brokenCompression() throws {
        for magic: [UInt8] in [
            [0x1f, 0x8b], [0x1f, 0x8b, 8, 0], [0x28, 0xb5, 0x2f, 0xfd], [0x50, 0x2a, 0x4d, 0x18],
            [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], Array("BZh".utf8), Array("BZh91AY&SY".utf8),
        ] {
            for tail in [0, 1, 20, 5000] {
                let bytes = magic + [UInt8](repeating: 0xaa, count: tail)
                #expect(isArchiveError(try refusal(bytes)), "\(magic) \(tail)")
                #expect(try refusal(Archives.oci(layers: [(bytes, other)])) != nil, "\(magic) \(tail)")
            }
        }
    }

    /// Cut anywhere, an archive is refused, or (cut within its padding) loads in whole.
    @Test func cutsAtEveryByte() throws {
        let fixture = try StoreFixture()
        let path = try fixture.folder.write("plain", Archives.docker(layers: [layer]))
        let packed = try #require(try output(of: "gzip -c < \(path)", in: fixture.folder))
        for archive in [Archives.docker(layers: [layer]), packed, Archives.oci(layers: [(layer, diffID)])] {
            for end in 0..<archive.count where archive.count < 1024 || end % 5 == 0 {
                do {
                    _ = try fixture.load(Array(archive[..<end]))
                    let image = try #require(try fixture.store.images().first)
                    #expect(try FileSystem.readFile(image.layers[0].path + "/hello") == Array("world\n".utf8))
                    _ = try fixture.store.remove([image.id])
                } catch is ImageError {
                    #expect(try fixture.store.images().isEmpty)
                }
                #expect(try fixture.content() == [], "cut at \(end)")
            }
        }
    }

    @Test(arguments: 0..<4) func bitFlipsAndNoise(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        let fixture = try StoreFixture()
        let archives = [Archives.docker(layers: [layer]), Archives.oci(layers: [(layer, diffID)])]
        for round in 0..<150 {
            var archive = archives[round % 2]
            if round % 10 == 9 {
                archive = (0..<2048).map { _ in UInt8.random(in: 0...255, using: &generator) }
            } else {
                for _ in 0..<4 {
                    archive[Int.random(in: 0..<archive.count, using: &generator)] ^=
                        UInt8(1) << Int.random(in: 0..<8, using: &generator)
                }
            }
            do {
                for loaded in try fixture.load(archive) {
                    let image = try fixture.store.image(loaded.id.description)
                    #expect(image.layers.map(\.diffID) == [diffID])
                }
            } catch is ImageError {
                #expect(try fixture.store.emptiedTemporaries() == [])
            }
        }
    }
}
