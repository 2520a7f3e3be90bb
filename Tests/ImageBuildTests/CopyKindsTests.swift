import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import ImageBuild

/// Kinds of files, their attributes, and archives.
@Suite struct CopyKindsTests {
    let context: Tree
    let image: Tree

    init() throws { (context, image) = (try Tree(), try Tree()) }

    @Test func privilegesAndAttributesAreKept() throws {
        try context.file("d/tool", "x", mode: 0o4755).own("d/tool", 1000, 1000)
        try check("chmod") { chmod(context.at("d/tool"), 0o4755) }
        // capability.h: version 2, effective, CAP_NET_BIND_SERVICE.
        let capability = hex("01000002 00040000 00000000 00000000 00000000")
        func set(_ name: String, _ file: String, _ value: [UInt8]) throws {
            try check("setxattr", path: name) { setxattr(context.at(file), name, value, value.count, 0) }
        }
        try set("security.capability", "d/tool", capability)
        try set("user.note", "d/tool", [1, 2])
        try set("trusted.overlay.opaque", "d", [UInt8(ascii: "y")])
        try copy("d", to: "/x/", from: context.source(), into: image)
        try copy(".", to: "/y/", from: context.source(keepsOwners: true), into: image)
        #expect(try image.attributes("x/tool") == "4755 0:0" && image.attributes("y/d/tool") == "4755 1000:1000")
        var value = [UInt8](repeating: 0, count: 64)
        #expect(getxattr(image.at("x/tool"), "security.capability", &value, 64) == 20 && value.starts(with: capability))
        #expect(getxattr(image.at("x/tool"), "user.note", &value, 64) == 2)
        #expect(getxattr(image.at("y/d"), "trusted.overlay.opaque", &value, 64) < 0)
    }

    @Test func specialFiles() throws {
        try context.folder("d")
        try check("mkfifo") { mkfifo(context.at("d/pipe"), 0o640) }
        try check("mknod") { mknod(context.at("d/null"), S_IFCHR | 0o666, gantry_makedev(1, 3)) }
        try check("mknod") { mknod(context.at("d/socket"), S_IFSOCK | 0o600, 0) }
        try context.file("d/.wh.name", "plain")
        try copy("d", to: "/x", from: context.source(), into: image)
        try copy("d", to: "/y", from: context.source(keepsOwners: true), into: image)
        #expect(try image.status("x/pipe").st_mode == S_IFIFO | 0o640)
        #expect(try image.status("x/null").st_rdev == gantry_makedev(1, 3))
        // testCopySocket
        #expect(try image.status("x/socket").st_mode == S_IFREG | 0o600)
        #expect(try image.status("y/socket").st_mode == S_IFSOCK | 0o600)
        #expect(try image.text("x/.wh.name") == "plain")
        try check("mknod") { mknod(context.at("d/whiteout"), S_IFCHR | 0o600, 0) }
        let error = failure { try copy("d", to: "/z", from: context.source(), into: image) }
        #expect(error.contains("device 0:0"))
    }

    @Test func hardLinksStayOneFileWithinASource() throws {
        try context.file("d/a/first", "x").folder("d/b")
        try check("link") { Glibc.link(context.at("d/a/first"), context.at("d/b/second")) }
        try copy("d", to: "/x", from: context.source(), into: image)
        try copy("d/a/first", "d/b/second", to: "/y/", from: context.source(), into: image)
        #expect(try image.status("x/a/first").st_ino == image.status("x/b/second").st_ino)
        #expect(try image.status("y/first").st_ino != image.status("y/second").st_ino)
        #expect(try image.listing("x") == ["x/a/", "x/a/first=x", "x/b/", "x/b/second=x"])
    }

    /// As a build has it: the image's layers below, what the step makes in a folder of its own.
    @Test func intoAnOverlay() throws {
        try image.folder("m")
        try check("mount") { mount("none", image.at("m"), "tmpfs", 0, nil) }
        defer { umount2(image.at("m"), Int32(MNT_DETACH)) }
        try image.file("m/lower/etc/conf", "old").folder("m/lower/etc/keep", mode: 0o711).folder("m/lower/opt")
        try image.link("m/lower/lib", to: "usr/lib").folder("m/lower/usr/lib").setModified("m/lower/etc", 1_000_000)
        try image.folder("m/upper").folder("m/work").folder("m/root")
        let top = image.at("m")
        let options = "lowerdir=\(top)/lower,upperdir=\(top)/upper,workdir=\(top)/work"
        try check("mount") { mount("overlay", "\(top)/root", "overlay", 0, options) }
        defer { umount2("\(top)/root", Int32(MNT_DETACH)) }
        let root = SharedDescriptor(try FileDescriptor.open("\(top)/root", O_PATH | O_DIRECTORY))
        try context.file("conf", "new").file("d/keep/a", "a").file("d/keep/b", "b").folder("d/keep", mode: 0o700)
        try check("link") { Glibc.link(context.at("d/keep/a"), context.at("d/keep/c")) }
        func copy(_ file: String, _ destination: String) throws {
            try CopySelection(CopyJob(files: [file], destination: destination), from: context.source()).copy(into: root)
        }
        try copy("conf", "/etc/conf")
        try copy("d", "/etc/")
        try copy("conf", "/lib/x")
        #expect(
            try image.listing("m/upper").map { $0.dropFirst(8) } == [
                "etc/", "etc/conf=new", "etc/keep/", "etc/keep/a=a", "etc/keep/b=b", "etc/keep/c=a", "usr/", "usr/lib/",
                "usr/lib/x=new",
            ])
        #expect(try image.attributes("m/upper/etc/keep") == "700 0:0" && image.attributes("m/upper/etc") == "755 0:0")
        #expect(try image.status("m/upper/etc").st_mtim.tv_sec == 1_000_000)
        #expect(try image.status("m/upper/etc/keep/a").st_nlink == 2)
    }

    @Test func holesStayHoles() throws {
        try context.file("disk", "start")
        let file = try FileDescriptor.open(context.at("disk"), O_WRONLY)
        let raw = file.raw
        try check("ftruncate") { ftruncate(raw, 1 << 40) }
        try check("pwrite") { pwrite(raw, "middle", 6, 1 << 30) }
        try copy("disk", to: "/", from: context.source(), into: image)
        let status = try image.status("disk")
        #expect(status.st_size == 1 << 40 && status.st_blocks < 100)
        let copied = try FileDescriptor.open(image.at("disk"), O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 6)
        let place = copied.raw
        #expect(pread(place, &bytes, 6, 1 << 30) == 6 && bytes == Array("middle".utf8))
        #expect(pread(place, &bytes, 5, 0) == 5 && bytes.starts(with: "start".utf8))
    }

    @Test func bigFilesAreCopiedInPieces() throws {
        let bytes = (0..<(20 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 7) }
        try context.file("big", bytes)
        try copy("big", to: "/", from: context.source(), into: image)
        #expect(try FileSystem.readFile(image.at("big"), byteCountMax: 32 << 20) == bytes)
    }

    /// `d/` with a file `f` and a link `l` to it, of 7:8 and the year 2001, made by GNU tar.
    static let archives = [
        "gz": """
        1f8b0800000000000203edd4310ec2300c85611f2537a89bd8c979904ac51009a985fb53021343999aa5ffb7d89e9ffca6410ea79be2
        dee6b67de6a8dfbb112dc9b29bb75d73d428c1a583e7fab82c21c8494dc3dc25ff6cb693bfffe69fcc2528f91fee76adf52e38efffd7
        3efd5fca6eff8f9e5453b1e4ef9ec81eb38438f3ff000000000000000000000000ffbc003100112600280000
        """,
        "bz2": """
        425a68393141592653590680f4a20000aefb80f18002004000ff800003e7449e0004482000920ca34d4d000000d3d41b4926a794d343
        d4c268d007eedb5f16c305b9786011512053c6d9195d1bc52b5ce450109893a9e48362599348289a475d5d04b56719a50b31c73adee2
        e172ba090a10384ca9abc2d933c46aa052e88d4aa08aa389f4eff34b9ae0f9762458b160d69040fc5dc914e142401a03d288
        """,
        "xz": """
        fd377a585a000004e6d6b446020021011c00000010cf58cce027ff00975d00320bbc1ba78c3444e1c20f2d4026b3b176aae3f9dfc926
        27e8e301e39ed49aa3ef4d051831efdc1e14134712e53b5437248ad902be0763b18bce42af195642d8970d26b3a01fa1651c256963e1
        740deb65ce91d821060808ffd4c510ac6478e80cbd34a144a97010e7cb2b268bb2d7349d5f11c841c7da46694f83bfa0b27a9e06bc7b
        0e8a0dd22f9782153d83f52a85a8610a0e64b0000000ada771991717c1da0001b301805000003d048ee3b1c467fb020000000004595a
        """,
        "zst": """
        28b52ffd64002765030072850f10b0ebe40949f9614169255bdb0a53c01448a089d0d4913bfea1615701e3a5d449476b0ecd24081823
        b2e2dab3a2c505f9fd5f53498ebdef87bd55f70626112070af6703fddf832f6a56ff371e03968e7bd402a656e46e38c48074d0513c28
        358614ef5601e6137603440cf8ea
        """,
    ]

    @Test(arguments: ["gz", "bz2", "xz", "zst"])
    func archivesAreUnpacked(packing: String) throws {
        try context.file("a.tar", hex(try #require(Self.archives[packing])))
        let source = try context.source()
        try copy("a.tar", to: "/x", from: source, into: image) { $0.unpacksArchives = true }
        try copy("a.tar", to: "/y", from: source, into: image) { job in
            (job.unpacksArchives, job.owner) = (true, (1, 2))
        }
        try copy("a.tar", to: "/z", from: source, into: image)
        #expect(try image.listing("x") == ["x/d/", "x/d/f=hello", "x/d/l -> f"])
        #expect(try image.attributes("x/d/f") == "644 7:8" && image.attributes("y/d/f") == "644 7:8")
        #expect(try image.status("x/d/f").st_mtim.tv_sec == 1_000_000_000)
        #expect(try image.attributes("x") == "755 0:0" && image.attributes("y") == "755 1:2")
        #expect(try image.status("z").st_mode & S_IFMT == S_IFREG)
    }

    /// Only what is an archive is one: not text, not a packed file, nothing that is empty or begins like one.
    @Test func otherFilesAreCopied() throws {
        try context.file("text", "hello\n").file("empty").file("zeros", [UInt8](repeating: 0, count: 10240))
        // gzip of "hello"
        try context.file("packed.gz", hex("1f8b0800000000000203cb48cdc9c9070086a6103605000000"))
        try context.file("cut.xz", Array(hex(try #require(Self.archives["xz"])).prefix(40)))
        for name in ["text", "empty", "zeros", "packed.gz", "cut.xz"] {
            try copy(name, to: "/", from: context.source(), into: image) { $0.unpacksArchives = true }
            #expect(try FileSystem.readFile(image.at(name)) == FileSystem.readFile(context.at(name)), "\(name)")
        }
    }

    /// A cut archive is an error, not a file.
    @Test func aDamagedArchive() throws {
        var bytes = [UInt8](repeating: 0, count: 512)
        bytes.replaceSubrange(0..<1, with: "f".utf8)
        let header = Array("0000644\u{0}0000000\u{0}0000000\u{0}00000010000\u{0}00000000000\u{0}".utf8)
        bytes.replaceSubrange(100..<100 + header.count, with: header)
        bytes.replaceSubrange(148..<156, with: "        ".utf8)
        bytes.replaceSubrange(257..<265, with: "ustar\u{0}00".utf8)
        let sum = String(bytes.reduce(0) { $0 + Int($1) }, radix: 8)
        let padded = String(repeating: "0", count: 6 - sum.utf8.count) + sum + "\u{0} "
        bytes.replaceSubrange(148..<156, with: padded.utf8)
        try context.file("a.tar", bytes + [1, 2, 3])
        let error = failure {
            try copy("a.tar", to: "/x/", from: context.source(), into: image) { $0.unpacksArchives = true }
        }
        #expect(error.contains("bad archive"), "\(error)")
    }
}
