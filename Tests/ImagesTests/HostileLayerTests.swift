import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

/// Layers made to break out, to break the unpacker, or to fill the machine.
@Suite struct HostileLayerTests {
    private func refusal(_ build: (inout TarBuilder) -> Void) -> ImageError? {
        do {
            _ = try Unpacked(build)
            return nil
        } catch {
            return error as? ImageError
        }
    }

    private func isArchiveError(_ error: ImageError?) -> Bool {
        if case .archive = error { true } else { false }
    }

    @Test(arguments: ["../x", "a/../../x", "..", "/../x", "./../fs/../sentinel"])
    func namesThatLeadOut(name: String) {
        #expect(isArchiveError(refusal { $0.file(name, "evil") }))
        #expect(isArchiveError(refusal { $0.symlink(name, to: "x") }))
        #expect(isArchiveError(refusal { $0.folder(name) }))
    }

    @Test func absoluteNamesCountFromTheRoot() throws {
        let layer = try Unpacked { $0.file("/abs/file", "x") }
        #expect(try layer.text("abs/file") == "x")
    }

    /// Through links, absolute or climbing, everything stays inside.
    @Test(arguments: ["/", "/etc", "../../..", "../", "/proc/self/root", "."])
    func filesThroughLinks(target: String) throws {
        do {
            let layer = try Unpacked { tar in
                tar.folder("etc")
                tar.folder("proc/self/root")
                tar.symlink("out", to: target)
                tar.file("out/sentinel", "evil")
                tar.file("out/gantry-escape-test", "evil")
                tar.file("out/.wh.etc")
                tar.file("out/.wh..wh..opq")
            }
            #expect(try FileSystem.readFile(layer.sentinel) == Array("untouched".utf8))
            #expect(try FileSystem.list(layer.folder.path) == ["discards", "fs", "sentinel"])
        }
        for place in ["/gantry-escape-test", "/etc/gantry-escape-test", "/dev/shm/gantry-escape-test"] {
            #expect(!FileSystem.exists(place))
        }
        #expect(FileSystem.exists("/etc/passwd"))
    }

    @Test func linksToTheSentinelDoNotReachIt() throws {
        let folder = try TestFolder()
        let sentinel = try folder.write("host", Array("untouched".utf8))
        let layer = try Unpacked { tar in
            tar.symlink("l", to: sentinel)
            tar.file("l", "replaces the link")
            tar.symlink("d", to: folder.path)
            tar.folder("d")
            tar.add("d/host") { $0.content = Array("inside".utf8) }
        }
        #expect(try FileSystem.readFile(sentinel) == Array("untouched".utf8))
        #expect(try layer.text("d/host") == "inside")
    }

    @Test func linksThatLeadNowhere() {
        let error = refusal { tar in
            tar.symlink("l", to: "/nowhere")
            tar.file("l/x", "x")
        }
        #expect(isArchiveError(error))
        let loop = refusal { tar in
            tar.symlink("a", to: "b")
            tar.symlink("b", to: "a")
            tar.file("a/x", "x")
        }
        #expect(isArchiveError(loop))
        #expect(
            isArchiveError(
                refusal { tar in
                    tar.file("f", "x")
                    tar.file("f/x", "under a file")
                }))
    }

    @Test func hardlinks() throws {
        let folder = try TestFolder()
        let host = try folder.write("host", Array("host".utf8))
        for target in [host, "../sentinel", "/etc/passwd", "missing", "", "/", "."] {
            #expect(isArchiveError(refusal { $0.hardlink("h", to: target) }), "\(target)")
        }
        #expect(
            isArchiveError(
                refusal { tar in
                    tar.symlink("out", to: folder.path)
                    tar.hardlink("h", to: "out/host")
                }))
        #expect(
            isArchiveError(
                refusal { tar in
                    tar.folder("d")
                    tar.hardlink("h", to: "d")
                }))
        let layer = try Unpacked { tar in
            tar.file("self", "kept")
            tar.hardlink("self", to: "self")
            tar.symlink("here", to: ".")
            tar.hardlink("here/self", to: "self")
            tar.symlink("l", to: host)
            tar.hardlink("toLink", to: "l")
            tar.file("toLink", "replaces the link")
        }
        #expect(try layer.text("self") == "kept")
        #expect(try layer.text("toLink") == "replaces the link")
        #expect(layer.target("l") == host)
        #expect(try FileSystem.readFile(host) == Array("host".utf8))
    }

    @Test func impossibleHeaders() {
        #expect(
            isArchiveError(
                refusal { tar in
                    tar.add("zero") { $0.type = "3" }
                }))
        #expect(
            isArchiveError(
                refusal { tar in
                    tar.add("big") {
                        $0.type = "3"
                        $0.major = 0o1_000_000
                    }
                }))
        #expect(
            isArchiveError(
                refusal { tar in
                    tar.add("owner") { $0.pax = [("uid", Array("4294967295".utf8))] }
                }))
        #expect(
            isArchiveError(
                refusal { tar in
                    tar.add("owner") { $0.pax = [("gid", Array("99999999999".utf8))] }
                }))
        #expect(
            isArchiveError(
                refusal { tar in
                    tar.file(".", "the root as a file")
                }))
        for name in [".wh.", ".wh..", ".wh..."] { #expect(isArchiveError(refusal { $0.file(name) })) }
    }

    @Test func longNames() {
        #expect(isArchiveError(refusal { $0.file(String(repeating: "n", count: 5_000), "x") }))
        #expect(isArchiveError(refusal { $0.file(String(repeating: "n/", count: 2_500) + "x", "x") }))
        #expect(isArchiveError(refusal { $0.symlink("l", to: String(repeating: "t", count: 5_000)) }))
        #expect(isArchiveError(refusal { $0.add("p") { $0.pax = [("path", Array(repeating: 0x61, count: 100_000))] } }))
    }

    @Test(arguments: ["x", "g", "L", "K"]) func headersOfFourGibibytes(type: Character) {
        var tar = TarBuilder()
        tar.header(Array("huge".utf8), type, byteCount: (4 << 30) - 1, TarBuilder.Entry("huge"))
        tar.raw([UInt8](repeating: 0x20, count: 1 << 20))
        #expect(isArchiveError(refusal { $0 = tar }))
    }

    @Test func limits() throws {
        var options = ImageStoreOptions()
        options.limits.layerEntryCountMax = 10
        var tar = TarBuilder()
        for index in 0..<11 { tar.file("f\(index)") }
        let archive = tar.finished
        #expect(throws: ImageError.archive(why: "a layer has more than 10 entries")) {
            try Unpacked(archive, options: options)
        }
    }

    @Test func sparseBombs() throws {
        // A file of 8 EiB less one byte, all hole: the file system's answer is told as the archive's fault.
        let error = refusal { tar in
            tar.add("bomb") {
                $0.content = Array("1\n0\n0\n".utf8) + [UInt8](repeating: 0, count: 506)
                $0.pax = [
                    ("GNU.sparse.major", Array("1".utf8)), ("GNU.sparse.minor", Array("0".utf8)),
                    ("GNU.sparse.realsize", Array("9223372036854775807".utf8)), ("GNU.sparse.name", Array("bomb".utf8)),
                ]
            }
        }
        // tmpfs takes files of that size, at no cost; others refuse.
        #expect(error == nil || isArchiveError(error))
    }

    @Test func aHundredThousandEntries() throws {
        var tar = TarBuilder()
        for index in 0..<100_000 { tar.folder("d\(index % 100)/e\(index)") }
        let layer = try Unpacked(tar.finished)
        #expect(try FileSystem.list(layer.root).count == 100)
        #expect(try FileSystem.list("\(layer.root)/d7").count == 1000)
    }

    /// Deeper than PATH_MAX, by going down through a link again and again: made and removed with few descriptors.
    @Test func foldersDeeperThanAnyPath() throws {
        let deep = String(repeating: "d/", count: 1_500)
        let layer = try Unpacked { tar in
            tar.folder(deep)
            tar.symlink("l", to: deep)
            tar.folder("l/" + deep)
        }
        let opened = try descriptorCount(under: layer.folder.path)
        try TreeRemoval.remove(layer.root)
        #expect(!FileSystem.exists(layer.root))
        #expect(try descriptorCount(under: layer.folder.path) <= opened)
    }

    /// Of this process, whose other tests have files of their own. What is deeper than any path counts too.
    private func descriptorCount(under folder: String) throws -> Int {
        try FileSystem.list("/proc/self/fd").count { number in
            var target = [CChar](repeating: 0, count: Int(PATH_MAX))
            let byteCount = readlink("/proc/self/fd/\(number)", &target, target.count)
            guard byteCount > 0 else { return errno == ENAMETOOLONG }
            return String(decoding: target.prefix(byteCount).map { UInt8(bitPattern: $0) }, as: UTF8.self)
                .hasPrefix(folder)
        }
    }

    @Test func cutsAndBitFlipsNeverCrash() throws {
        var tar = TarBuilder()
        tar.folder("d")
        tar.file("d/f", "content")
        tar.symlink("d/l", to: "f")
        tar.hardlink("h", to: "d/f")
        tar.add("x") { $0.pax = [("path", Array("pax".utf8)), ("SCHILY.xattr.user.a", [1, 2, 3])] }
        let whole = tar.finished
        for end in stride(from: 0, to: whole.count, by: 37) {
            _ = try? Unpacked(Array(whole[..<end]))  // Any outcome but a crash will do.
        }
        var generator = SeededGenerator(state: 7)
        for _ in 0..<300 {
            var broken = whole
            for _ in 0..<3 {
                broken[Int.random(in: 0..<broken.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            let layer = try? Unpacked(broken)  // As above.
            if let layer { #expect(try FileSystem.readFile(layer.sentinel) == Array("untouched".utf8)) }
        }
    }
}
