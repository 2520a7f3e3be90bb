import CLinux
import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import Images

@Suite struct ImageStoreLoadTests {
    private let layers = [Archives.layer("lower", "1"), Archives.layer("upper", "2")]

    private func packed(_ bytes: [UInt8], _ program: String, _ folder: TestFolder) throws -> [UInt8] {
        let path = try folder.write("plain", bytes)
        return try #require(try output(of: "\(program) < \(path)", in: folder))
    }

    private func check(_ fixture: StoreFixture, _ loaded: [LoadedImage], named name: String) throws {
        let image = try fixture.store.image(name)
        #expect(loaded == [LoadedImage(reference: try ImageReference(parsing: name), id: image.id)])
        #expect(image.references == [try ImageReference(parsing: name)])
        #expect(image.byteCount == 2)
        #expect(image.config.config.cmd == ["/bin/sh"])
        #expect(image.createdSeconds == 1_709_208_000)
        #expect(try FileSystem.readFile(image.layers[0].path + "/lower") == Array("1".utf8))
        #expect(fixture.store.lowerDirectories(for: image) == image.layers.reversed().map(\.path))
        #expect(try fixture.store.emptiedTemporaries() == [])
    }

    @Test(arguments: [false, true]) func dockerArchives(manifestFirst: Bool) throws {
        let fixture = try StoreFixture()
        let loaded = try fixture.load(Archives.docker(layers: layers, manifestFirst: manifestFirst))
        try check(fixture, loaded, named: "test:1")
        let image = try fixture.store.image("test:1")
        #expect(image.layers.map(\.diffID) == layers.map(Digest.sha256(of:)))
        let blobs = Set([image.id, image.manifestDigest] + image.layers.map(\.diffID)).map(\.hex).sorted()
        #expect(try FileSystem.list("\(fixture.store.root)/blobs/sha256") == blobs)
        #expect(image.layers[0].path == "\(fixture.store.root)/layers/\(image.layers[0].diffID.hex)/fs")
    }

    @Test(arguments: ["gzip -c", "zstd -qc", "sh -c 'head -c 700 | gzip -c; gzip -c'"])
    func compressedArchives(program: String) throws {
        let fixture = try StoreFixture()
        let archive = Archives.docker(layers: layers)
        // Several gzip members are one stream (RFC 1952 section 2.2); the last program makes two.
        let bytes =
            program.hasPrefix("sh")
            ? try packed(Array(archive[..<700]), "gzip -c", fixture.folder)
                + packed(Array(archive[700...]), "gzip -c", fixture.folder)
            : try packed(archive, program, fixture.folder)
        try check(fixture, try fixture.load(bytes), named: "test:1")
    }

    @Test(arguments: ["cat", "gzip -c", "zstd -qc"], [false, true])
    func ociArchives(program: String, nested: Bool) throws {
        let fixture = try StoreFixture()
        let stored = try layers.map { (try packed($0, program, fixture.folder), Digest.sha256(of: $0)) }
        let name =
            ",\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/test:1\","
            + "\"org.opencontainers.image.ref.name\":\"1\"}"
        let loaded = try fixture.load(Archives.oci(layers: stored, annotations: name, nested: nested))
        try check(fixture, loaded, named: "test:1")
        let image = try fixture.store.image("test:1")
        #expect(try fixture.store.image("test@\(image.manifestDigest)").id == image.id)
    }

    @Test(
        arguments: [("1.0", nil), ("latest", nil), ("v2", nil), ("web", "web:latest"), ("a/b:c", "a/b:c")]
            as [(String, String?)])
    func namesOfOCIArchives(annotation: String, name: String?) throws {
        let fixture = try StoreFixture()
        let loaded = try fixture.load(
            Archives.oci(
                layers: [(layers[0], Digest.sha256(of: layers[0]))],
                annotations: ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"\(annotation)\"}"))
        #expect(loaded.first?.reference?.familiar == name)
        #expect(try fixture.store.images().count == 1)
    }

    @Test func archivesOfOldDocker() throws {
        let fixture = try StoreFixture()
        var tar = TarBuilder()
        tar.file(
            "top/json",
            "{\"id\":\"top\",\"parent\":\"base\",\"os\":\"linux\",\"architecture\":\"amd64\","
                + "\"created\":\"2024-02-29T12:00:00Z\",\"config\":{\"Cmd\":[\"/bin/sh\"]}}")
        tar.file("top/layer.tar", layers[1])
        tar.file("base/json", "{\"id\":\"base\"}")
        tar.file("base/layer.tar", layers[0])
        tar.file("repositories", "{\"test\":{\"1\":\"top\"}}")
        try check(fixture, try fixture.load(tar.finished), named: "test:1")
        var loop = TarBuilder()
        loop.file("a/json", "{\"parent\":\"a\"}")
        loop.file("a/layer.tar", layers[0])
        loop.file("repositories", "{\"test\":{\"1\":\"a\"}}")
        #expect(throws: ImageError.archive(why: "more than 500 layers")) { try fixture.load(loop.finished) }
    }

    @Test func layersAsLinksToOthers() throws {
        let fixture = try StoreFixture()
        let layer = layers[0]
        let config = Archives.config([Digest.sha256(of: layer), Digest.sha256(of: layer)])
        var tar = TarBuilder()
        tar.symlink("b/layer.tar", to: "../a/layer.tar")
        tar.file("a/layer.tar", layer)
        tar.file("c.json", config)
        tar.file(
            "manifest.json", "[{\"Config\":\"c.json\",\"RepoTags\":null,\"Layers\":[\"a/layer.tar\",\"b/layer.tar\"]}]")
        let loaded = try fixture.load(tar.finished)
        #expect(loaded.map(\.reference) == [nil])
        let image = try fixture.store.image(String(loaded[0].id.hex.prefix(6)))
        #expect(image.layers.count == 2)
        // overlayfs refuses the same folder twice.
        #expect(image.lowerDirectories.count == 1)
        for target in ["b/layer.tar", "missing", "../a"] {
            var loop = TarBuilder()
            loop.symlink("b/layer.tar", to: target)
            loop.file("c.json", config)
            loop.file("manifest.json", "[{\"Config\":\"c.json\",\"Layers\":[\"b/layer.tar\",\"b/layer.tar\"]}]")
            #expect(throws: ImageError.self) { try fixture.load(loop.finished) }
        }
    }

    @Test func severalImagesShareLayers() throws {
        let fixture = try StoreFixture()
        let shared = layers[0]
        let configs = [
            Archives.config([Digest.sha256(of: shared)]),
            Archives.config([Digest.sha256(of: shared)], extra: ",\"author\":\"x\""),
        ]
        var tar = TarBuilder()
        tar.file("l.tar", shared)
        tar.file("1.json", configs[0])
        tar.file("2.json", configs[1])
        tar.file(
            "manifest.json",
            "[{\"Config\":\"1.json\",\"RepoTags\":[\"a:1\",\"a:2\"],\"Layers\":[\"l.tar\"]},"
                + "{\"Config\":\"2.json\",\"RepoTags\":[\"b:1\"],\"Layers\":[\"l.tar\"]}]")
        #expect(try fixture.load(tar.finished).map { $0.reference?.familiar } == ["a:1", "a:2", "b:1"])
        #expect(try fixture.store.images().count == 2)
        #expect(try FileSystem.list("\(fixture.store.root)/layers").count == 1)
    }

    @Test func progressTellsWhatHappens() throws {
        let fixture = try StoreFixture()
        let archive = try fixture.folder.write("archive", Archives.docker(layers: layers))
        let events = Mutex<[LoadProgress]>([])
        for _ in 0..<2 {
            let file = try FileDescriptor.open(archive, O_RDONLY)
            _ = try fixture.store.load(from: file.raw) { event in events.withLock { $0.append(event) } }
        }
        let told = events.withLock { $0 }
        let diffIDs = layers.map(Digest.sha256(of:))
        for diffID in diffIDs {
            #expect(told.filter { $0 == .unpacked(layer: diffID) }.count == 1)
            #expect(told.filter { $0 == .present(layer: diffID) }.count == 1)
        }
        #expect(told.filter { if case .loaded = $0 { true } else { false } }.count == 2)
        #expect(told.contains { if case .read(let count) = $0 { count > 4096 } else { false } })
    }

    @Test func manyThreadsLoadAtOnce() throws {
        let fixture = try StoreFixture()
        let archives = (0..<4).map {
            Archives.docker(layers: [layers[0], Archives.layer("own\($0)")], tags: ["t:\($0)"])
        }
        let paths = try archives.enumerated().map { try fixture.folder.write("a\($0.offset)", $0.element) }
        let store = fixture.store
        try onThreads(count: 16) { index throws(ImageError) in
            let file = try converting { () throws(SystemError) in try FileDescriptor.open(paths[index % 4], O_RDONLY) }
            _ = try store.load(from: file.raw)
            try store.collectGarbage()
        }
        #expect(try fixture.store.images().count == 4)
        for image in try fixture.store.images() {
            for layer in image.layers { #expect(try !FileSystem.list(layer.path).isEmpty) }
        }
        #expect(try store.emptiedTemporaries() == [])
    }

    /// A sender must not be left with a closed pipe: everything is read, also what follows the archive's end.
    @Test func readsToTheEnd() throws {
        let fixture = try StoreFixture()
        var ends: [Int32] = [0, 0]
        #expect(pipe2(&ends, O_CLOEXEC) == 0)
        let reader = FileDescriptor(owning: ends[0])
        let bytes = Archives.docker(layers: layers) + [UInt8](repeating: 0, count: 1 << 20)
        let sending = Sending(bytes, to: ends[1])
        _ = try fixture.store.load(from: reader.raw)
        #expect(sending.wait() == nil)
        #expect(read(reader.raw, &ends, 1) == 0)
    }

    /// What tools of others write.
    @Test func archivesOfSkopeo() throws {
        let fixture = try StoreFixture()
        let source = try fixture.folder.write(
            "source.tar", Archives.docker(layers: layers, tags: ["docker.io/library/test:1"]))
        guard system("command -v skopeo > /dev/null") == 0 else { return }
        for target in ["oci-archive:", "docker-archive:"] {
            let path = "\(fixture.folder.path)/copy.tar"
            let script =
                "rm -f \(path); skopeo --insecure-policy copy -q docker-archive:\(source) \(target)\(path):copied:2"
            _ = try #require(try output(of: script, in: fixture.folder), "\(target)")
            let other = try StoreFixture()
            let copied = try other.load(FileSystem.readFile(path))
            #expect(copied.first?.reference?.familiar == "copied:2")
            #expect(try other.store.image("copied:2").layers.map(\.diffID) == layers.map(Digest.sha256(of:)))
        }
    }
}
