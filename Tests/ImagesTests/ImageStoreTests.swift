import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

@Suite struct ImageStoreTests {
    private func load(_ fixture: StoreFixture, _ tags: [String], file: String = "f") throws -> Digest {
        try fixture.load(Archives.docker(layers: [Archives.layer("base"), Archives.layer(file)], tags: tags))[0].id
    }

    @Test func lookups() throws {
        let fixture = try StoreFixture()
        let id = try load(fixture, ["web:1", "ghcr.io/me/web:1"])
        let other = try load(fixture, ["db:2"], file: "g")
        let manifest = try fixture.store.image("web:1").manifestDigest
        for name in [
            "web:1", "docker.io/library/web:1", "ghcr.io/me/web:1", id.description, id.hex, id.short,
            "sha256:" + id.short,
            "web@\(manifest)", "web:9@\(manifest)", "web@\(id)",
        ] {
            #expect(try fixture.store.image(name).id == id, "\(name)")
        }
        #expect(throws: ImageError.notFound(name: "web", similar: ["web:1", "ghcr.io/me/web:1"])) {
            try fixture.store.image("web")
        }
        #expect(throws: ImageError.self) { try fixture.store.image("db@\(manifest)") }
        #expect(throws: ImageError.self) { try fixture.store.image(String(repeating: "0", count: 64)) }
        for name in ["", "../..", "UPPER", "sha256:", "sha256:../x"] {
            #expect(throws: ImageError.self) { try fixture.store.image(name) }
        }
        #expect(try Set(fixture.store.images().map(\.id)) == [id, other])
    }

    @Test func prefixesOfSeveralIds() throws {
        let fixture = try StoreFixture()
        var byPrefix: [Substring: [Digest]] = [:]
        // Among 40 ids, two begin with the same two digits almost surely; these do.
        for index in 0..<40 {
            let id = try load(fixture, ["t:\(index)"], file: "f\(index)")
            byPrefix[id.hex.prefix(2), default: []].append(id)
        }
        let shared = try #require(byPrefix.first { $0.value.count > 1 })
        #expect(throws: ImageError.ambiguous(prefix: String(shared.key), ids: shared.value.sorted())) {
            try fixture.store.image(String(shared.key))
        }
    }

    @Test func namesMove() throws {
        let fixture = try StoreFixture()
        let old = try load(fixture, ["web:1"])
        let new = try load(fixture, ["web:1"], file: "new")
        #expect(try fixture.store.image("web:1").id == new)
        #expect(try fixture.store.image(old.hex).references == [])
        let reference = try ImageReference(parsing: "web:2")
        try fixture.store.tag(old, as: reference)
        #expect(try fixture.store.image("web:2").id == old)
        try fixture.store.tag(new, as: reference)
        #expect(try fixture.store.image("web:2").references.map(\.familiar) == ["web:1", "web:2"])
        try fixture.store.untag(reference)
        #expect(throws: ImageError.self) { try fixture.store.image("web:2") }
        #expect(throws: ImageError.self) { try fixture.store.untag(reference) }
        #expect(throws: ImageError.self) { try fixture.store.tag(Digest.sha256(of: []), as: reference) }
        #expect(try fixture.store.remove([old]).ids == [old])
        #expect(try fixture.store.images().map(\.id) == [new])
    }

    @Test func severalGoAtOnce() throws {
        let fixture = try StoreFixture()
        let ids = [try load(fixture, ["a"]), try load(fixture, ["b"], file: "g"), try load(fixture, ["c"], file: "h")]
        let before = fixture.store.usage().byteCount
        let removable = fixture.store.reclaimableByteCount(used: [ids[2]])
        let removed = try fixture.store.remove([ids[0], ids[1], Digest.sha256(of: [])])
        #expect(Set(removed.ids) == [ids[0], ids[1]])
        #expect(removed.layers.count == 2, "the base is the third's, too")
        #expect(removed.byteCount == removable)
        #expect(before - fixture.store.usage().byteCount == removable)
        #expect(try fixture.store.images().map(\.id) == [ids[2]])
        #expect(try fixture.store.remove([ids[0]]) == RemovedImages())
        for layer in try fixture.store.image("c").layers { #expect(FileSystem.exists(layer.path)) }
    }

    @Test func damagedImagesAreListedAndCanGo() throws {
        let folder = try TestFolder()
        let root = "\(folder.path)/images"
        let id: Digest
        do {
            let file = try FileDescriptor.open(
                try folder.write("archive", Archives.docker(layers: [Archives.layer("f")], tags: ["a"])), O_RDONLY)
            id = try ImageStore(root: root).load(from: file.raw)[0].id
        }
        try FileSystem.removeTree("\(root)/layers")
        try FileSystem.replaceFile("\(root)/blobs/sha256/\(id.hex)", with: Array("{}".utf8))
        let store = try reopenedStore(root)
        #expect(throws: ImageError.self) { try store.image("a") }
        #expect(try store.images().map(\.id) == [id])
        #expect(try store.listed("a").references.map(\.familiar) == ["a:latest"])
        #expect(try store.verify(try store.listed("a")).count == 2)
        #expect(try store.remove([id]).ids == [id])
    }

    /// Whatever has the names of what an archive brings: another image has it, too, so that it cannot go first.
    @Test func damagedBlobsAreMendedByTheNextLoad() throws {
        let fixture = try StoreFixture()
        let ids = [try load(fixture, ["a"]), try load(fixture, ["b"], file: "g")]
        let image = try fixture.store.image("b")
        let base = Digest.sha256(of: Archives.layer("base"))
        for blob in [base, image.id, image.manifestDigest] {
            try FileSystem.replaceFile("\(fixture.store.root)/blobs/sha256/\(blob.hex)", with: Array("{}".utf8))
        }
        #expect(try fixture.store.verify(fixture.store.listed("a")).count == 1)
        #expect(try fixture.store.verify(fixture.store.listed("b")).count == 3)
        #expect(try load(fixture, ["b"], file: "g") == ids[1])
        for name in ["a", "b"] { #expect(try fixture.store.verify(fixture.store.image(name)) == []) }
        #expect(try FileSystem.list("\(fixture.store.root)/blobs/sha256").count == 7)
        // Twice the same is one file.
        #expect(try load(fixture, ["a"]) == ids[0])
        #expect(try FileSystem.list("\(fixture.store.root)/blobs/sha256").count == 7)
    }

    @Test func removalLeavesWhatOthersShare() throws {
        let fixture = try StoreFixture()
        let first = try load(fixture, ["a"])
        let second = try load(fixture, ["b"], file: "g")
        #expect(try fixture.store.remove([first]).ids == [first])
        #expect(throws: ImageError.self) { try fixture.store.image("a") }
        #expect(try fixture.store.remove([first]).ids == [])
        for layer in try fixture.store.image("b").layers { #expect(FileSystem.exists(layer.path)) }
        #expect(try FileSystem.list("\(fixture.store.root)/layers").count == 2)
        #expect(try FileSystem.list("\(fixture.store.root)/blobs/sha256").count == 4)
        #expect(try fixture.store.remove([second]).ids == [second])
        #expect(try fixture.content() == [])
    }

    /// Names that are no text must not keep a layer from being removed.
    @Test func removalOfLayersWithByteNames() throws {
        let fixture = try StoreFixture()
        var tar = TarBuilder()
        var entry = TarBuilder.Entry("")
        entry.name = [0x64, 0xff, 0x2f, 0xe9]
        tar.add(entry)
        let id = try fixture.load(Archives.docker(layers: [tar.finished]))[0].id
        _ = try fixture.store.remove([id])
        #expect(try fixture.content() == [])
    }

    @Test func layerBlobsOnlyWhenWanted() throws {
        var options = ImageStoreOptions()
        options.keepsLayerBlobs = false
        let fixture = try StoreFixture(options: options)
        let id = try load(fixture, ["a"])
        #expect(try FileSystem.list("\(fixture.store.root)/blobs/sha256").count == 2)
        _ = try fixture.store.remove([id])
        #expect(try fixture.content() == [])
    }

    // MARK: - Opening

    @Test func survivesReopeningAndSweeps() throws {
        let folder = try TestFolder()
        let root = "\(folder.path)/deep/images"
        let archive = try folder.write("archive", Archives.docker(layers: [Archives.layer()], tags: ["a"]))
        let id: Digest
        do {
            let store = try ImageStore(root: root)
            let file = try FileDescriptor.open(archive, O_RDONLY)
            id = try store.load(from: file.raw)[0].id
            #expect(throws: ImageError.locked(path: root)) { try ImageStore(root: root) }
            var status = stat()
            #expect(lstat("\(root)/layers", &status) == 0 && status.st_mode & 0o777 == 0o700)
        }
        // As a crash leaves things: half a layer, and a whole one that no image has yet.
        try FileSystem.makeDirectories("\(root)/tmp/7/layer-0/layer/fs/half")
        let orphan = "\(root)/layers/\(Digest.sha256(of: [9]).hex)"
        try FileSystem.makeDirectories("\(orphan)/fs")
        let store = try reopenedStore(root)
        #expect(try store.emptiedTemporaries() == [])
        #expect(try store.image("a").id == id)
        #expect(FileSystem.exists(orphan))
        #expect(try store.collectGarbage() == CollectedGarbage(blobCount: 0, layerCount: 1))
        #expect(!FileSystem.exists(orphan))
        #expect(try store.image("a").id == id)
    }

    @Test func damageIsTold() throws {
        let folder = try TestFolder()
        let root = "\(folder.path)/images"
        func damaged(_ harm: (Image) throws -> Void) throws -> Bool {
            try FileSystem.removeTree(root)
            let archive = try folder.write("archive", Archives.docker(layers: [Archives.layer()], tags: ["a"]))
            do {
                let store = try ImageStore(root: root)
                let file = try FileDescriptor.open(archive, O_RDONLY)
                _ = try store.load(from: file.raw)
                try harm(store.image("a"))
            }
            do {
                _ = try reopenedStore(root).image("a")
                return false
            } catch ImageError.damaged {
                return true
            }
        }
        #expect(try !damaged { _ in })
        #expect(try damaged { try FileSystem.removeTree("\(root)/blobs/sha256/\($0.id.hex)") })
        #expect(try damaged { try FileSystem.replaceFile("\(root)/blobs/sha256/\($0.id.hex)", with: Array("{}".utf8)) })
        #expect(try damaged { try FileSystem.removeTree("\(root)/layers/\($0.layers[0].diffID.hex)") })
        #expect(try damaged { _ in try FileSystem.replaceFile("\(root)/index.json", with: Array("{".utf8)) })
    }

    @Test func aFullDiskIsTold() throws {
        let folder = try TestFolder()
        // A small file system would need a mount namespace, and that a process: the mapping is checked instead.
        #expect(ImageError(SystemError("write", path: folder.path, code: ENOSPC)) == .noSpace(path: folder.path))
        #expect(ImageError(SystemError("write", code: EDQUOT)) == .noSpace(path: "the image store"))
    }
}
