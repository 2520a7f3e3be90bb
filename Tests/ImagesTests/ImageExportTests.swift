import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

/// Images on their way out, images made here, and what is said about them.
@Suite struct ImageExportTests {
    private let layers = [Archives.layer("lower", "1"), Archives.layer("upper", "22")]

    private func export(_ fixture: StoreFixture, _ form: ArchiveForm, _ name: String = "test:1") throws -> [UInt8] {
        let image = try fixture.store.image(name)
        let path = "\(fixture.folder.path)/exported"
        do {
            let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600)
            try fixture.store.export([(image, image.references)], as: form, to: file.raw)
        }
        return try FileSystem.readFile(path, byteCountMax: 1 << 30)
    }

    @Test(arguments: [ArchiveForm.docker, .oci]) func comesBackTheSame(form: ArchiveForm) throws {
        let fixture = try StoreFixture()
        let path = try fixture.folder.write("plain", layers[1])
        let packed = try #require(try output(of: "gzip -nc < \(path)", in: fixture.folder))
        let name = ",\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/test:1\"}"
        try fixture.load(
            Archives.oci(
                layers: [(layers[0], Digest.sha256(of: layers[0])), (packed, Digest.sha256(of: layers[1]))],
                annotations: name))
        let first = try export(fixture, form)
        #expect(try export(fixture, form) == first)
        let other = try StoreFixture()
        try other.load(first)
        let (from, to) = (try fixture.store.image("test:1"), try other.store.image("test:1"))
        #expect(from.id == to.id && from.layers.map(\.diffID) == to.layers.map(\.diffID))
        // Blobs that came as they were keep their manifest.
        #expect((from.manifestDigest == to.manifestDigest) == (form == .oci))
    }

    @Test func verificationFindsWhatChanged() throws {
        func problems(_ harm: (Image, String) throws -> Void) throws -> [String] {
            let fixture = try StoreFixture()
            try fixture.load(Archives.docker(layers: layers))
            let image = try fixture.store.image("test:1")
            try harm(image, fixture.store.root)
            return try fixture.store.verify(image)
        }
        #expect(try problems { _, _ in } == [])
        let lower = Digest.sha256(of: layers[0])
        let changed = try problems { image, _ in try FileSystem.replaceFile("\(image.layers[0].path)/lower", with: [50])
        }
        #expect(changed.contains { $0.contains("\"lower\"") })
        let touched = try problems { image, _ in #expect(chmod("\(image.layers[0].path)/lower", 0o777) == 0) }
        #expect(touched.count == 1 && touched[0].contains("mode 100777"))
        let added = try problems { image, _ in try FileSystem.replaceFile("\(image.layers[1].path)/new", with: [50]) }
        #expect(added.contains { $0.contains("\"new\" does not belong there") })
        let gone = try problems { image, _ in unlink("\(image.layers[1].path)/upper") }
        #expect(gone.contains { $0.contains("\"upper\" is gone") })
        let blob = try problems { _, root in
            try FileSystem.replaceFile("\(root)/blobs/sha256/\(lower.hex)", with: [1])
        }
        #expect(blob == ["blob \(lower.short) was changed on disk; load the image again"])
    }

    @Test func aTreeIsImported() throws {
        let fixture = try StoreFixture()
        var tar = TarBuilder()
        tar.folder("bin")
        tar.file("bin/tool", "#!")
        for bytes in [
            tar.finished,
            try #require(try output(of: "gzip -nc < \(fixture.folder.write("t", tar.finished))", in: fixture.folder)),
        ] {
            let file = try FileDescriptor.open(try fixture.folder.write("tree", bytes), O_RDONLY)
            let image = try fixture.store.importTree(
                from: file.raw, references: [try ImageReference(parsing: "tree:1")], ImageMaking(comment: "imported"))
            #expect(try FileSystem.readFile("\(image.layers[0].path)/bin/tool") == Array("#!".utf8))
            #expect(image.layers.map(\.diffID) == [Digest.sha256(of: tar.finished)])
            #expect(try fixture.store.history(of: image).map(\.byteCount) == [2])
            #expect(try fixture.store.verify(image) == [])
        }
        try fixture.store.collectGarbage()
        #expect(try fixture.store.verify(fixture.store.image("tree:1")) == [])
    }

    /// As overlayfs leaves an upper directory: the changes, and the layer they become.
    @Test func anUpperDirectoryBecomesALayer() throws {
        let fixture = try StoreFixture()
        var tar = TarBuilder()
        for name in ["etc", "gone", "replaced"] { tar.folder(name) }
        for name in ["etc/kept", "etc/changed", "etc/deleted", "gone/file", "replaced/old"] { tar.file(name, name) }
        try fixture.load(Archives.docker(layers: [tar.finished]))
        let base = try fixture.store.image("test:1")
        let script = """
            mkdir upper work merged
            mount -t overlay overlay -o lowerdir=\(base.layers[0].path),upperdir=upper,workdir=work merged
            cd merged
            echo new > etc/changed; rm etc/deleted; rm -r gone; rm -r replaced; mkdir replaced; echo 1 > replaced/new
            mkdir added; echo 2 > added/file; ln added/file added/link; ln -s file added/symlink; chmod 4755 added/file
            chown 5:6 added/file; touch -d @1000000000.5 added/file; setfattr -n user.note -v text added/file || true
            cd ..; umount merged
            """
        _ = try #require(try output(of: "cd \(fixture.folder.path)\n\(script)", in: fixture.folder))
        let upper = UpperDirectory(
            path: "\(fixture.folder.path)/upper", lowerDirectories: base.lowerDirectories)
        #expect(
            try upper.changes().map { "\($0.kind.rawValue) \($0.path)" } == [
                "A /added", "A /added/file", "A /added/link", "A /added/symlink", "C /etc", "C /etc/changed",
                "D /etc/deleted", "D /gone", "C /replaced", "A /replaced/new",
            ])
        let image = try fixture.store.commit(upper, on: base, references: [try ImageReference(parsing: "made:1")])
        #expect(image.layers.count == 2 && image.config.history.count == 1)
        // Overlayfs keeps more marks in an upper directory than a layer needs: attributes are not compared.
        func listing(_ root: String) throws -> [UInt8]? {
            try output(
                of: "cd \(root) && find . ! -type c -printf '%P %M %U:%G %T@ %n %l\\n' | sort", in: fixture.folder)
        }
        let expected = try #require(try listing(upper.path))
        let actual = try #require(try listing(image.layers[1].path))
        #expect(String(decoding: actual, as: UTF8.self) == String(decoding: expected, as: UTF8.self))
        var opaque: UInt8 = 0
        #expect(getxattr("\(image.layers[1].path)/replaced", "trusted.overlay.opaque", &opaque, 1) == 1)
        #expect(try fixture.store.verify(image) == [])
        #expect(try fixture.store.commit(upper, on: base, references: []).id == image.id)
    }

    @Test func usageCountsSharedPiecesOnce() throws {
        let fixture = try StoreFixture()
        try fixture.load(Archives.docker(layers: layers, tags: ["a"]))
        try fixture.load(Archives.docker(layers: [layers[0]], tags: ["b"]))
        let usage = fixture.store.usage()
        let (small, large) = (UInt64(layers[0].count + 1), UInt64(layers[1].count + 2))
        #expect(usage.byteCount == small + large)
        #expect(usage.images.map(\.sharedByteCount) == [small, small])
        #expect(Set(usage.images.map(\.byteCount)) == [small, small + large])
    }
}
