import CLinux
import Glibc
import Images
import LinuxSystem
import Registry
import Testing

@testable import ImageBuild

/// Contexts and images that want files of the host: each attack of the reference, tried.
@Suite struct HostileCopyTests {
    let context: Tree
    let image: Tree
    let host: Tree

    init() throws {
        (context, image, host) = (try Tree(), try Tree(), try Tree())
        try host.file("secret", "secret").folder("folder")
    }

    @Test func linksDoNotLeadOutOfTheContext() throws {
        let up = String(repeating: "../", count: 20)
        try context.link("absolute", to: host.at("secret")).link("up", to: up + host.at("secret"))
        try context.link("folder", to: host.path).link("magic", to: "/proc/self/root\(host.at("secret"))")
        try context.link("root", to: "/").link("loop", to: "loop").link("a", to: "b").link("b", to: "a")
        let source = try context.source()
        for name in ["absolute", "up", "folder/secret", "magic", "root/..\(host.at("secret"))", up + host.at("secret")]
        {
            let error = failure { try copy(name, to: "/x", from: source, into: image) }
            #expect(error.contains("not found"), "\(name): \(error)")
        }
        for name in ["loop", "a", "b/x"] {
            let error = failure { try copy(name, to: "/x", from: source, into: image) }
            #expect(error.contains("more than 255 links"), "\(name): \(error)")
        }
        #expect(try image.listing() == [])
        // As content they are copied as what they are.
        try copy(".", to: "/all/", from: source, into: image)
        #expect(try image.listing("all").contains("all/absolute -> \(host.at("secret"))"))
        // The root link is the context's root.
        try context.file("inside", "in")
        try copy("root/root/inside", to: "/", from: source, into: image)
        #expect(try image.text("inside") == "in")
    }

    /// A context that is, or has within, a file system of the kernel's: its magic links are text, its files no content.
    @Test func procIsNoContext() throws {
        let proc = CopySource(
            root: SharedDescriptor(try FileDescriptor.open("/proc", O_PATH | O_DIRECTORY)), ignore: nil, name: "proc",
            keepsOwners: false)
        for name in ["self/root/etc/passwd", "self/cwd/x", "self/exe", "self/fd/0"] {
            #expect(failure { try copy(name, to: "/x", from: proc, into: image) }.contains("not found"), "\(name)")
        }
        #expect(failure { try copy(".", to: "/x", from: proc, into: image) }.contains("file system of the kernel's"))
        try context.folder("proc").file("other")
        try check("mount") { mount("proc", context.at("proc"), "proc", 0, nil) }
        defer { umount2(context.at("proc"), Int32(MNT_DETACH)) }
        try copy(".", to: "/y", from: context.source(), into: image)
        #expect(try image.listing("y") == ["y/other=", "y/proc/"])
    }

    @Test func linksDoNotLeadOutOfTheImage() throws {
        let up = String(repeating: "../", count: 20)
        try context.file("f", "new").file("d/secret", "new").file("d/sub/x", "new")
        try image.link("absolute", to: host.path).link("up", to: up + host.path)
        try image.link("file", to: host.at("secret")).link("merged/sub", to: host.at("folder"))
        let source = try context.source()
        try copy("f", to: "/absolute/secret", from: source, into: image)
        try copy("d", to: "/up", from: source, into: image)
        try copy("f", to: "/file", from: source, into: image)
        try copy("f", to: "/up/../../../../../../x/../\(host.path)/secret", from: source, into: image)
        #expect(failure { try copy("d", to: "/merged", from: source, into: image) }.contains("cannot copy folder"))
        #expect(try host.listing() == ["folder/", "secret=secret"])
        // It all happened at the same paths within the image.
        #expect(try image.text(String(host.path.dropFirst()) + "/secret") == "new")
    }

    @Test func archivesDoNotLeadOut() throws {
        try image.link("out", to: host.path)
        try context.file("a.tar", hex(try #require(CopyKindsTests.archives["gz"])))
        try copy("a.tar", to: "/out/", from: context.source(), into: image) { $0.unpacksArchives = true }
        #expect(try host.listing() == ["folder/", "secret=secret"])
        #expect(try image.text(String(host.path.dropFirst()) + "/d/f") == "hello")
    }

    /// Pipes and devices at the destination are replaced, never opened: a pipe would wait for a reader.
    @Test func specialFilesAtTheDestination() throws {
        try check("mkfifo") { mkfifo(image.at("pipe"), 0o600) }
        try check("mknod") { mknod(image.at("full"), S_IFCHR | 0o666, gantry_makedev(1, 7)) }
        try image.link("to-pipe", to: "pipe")
        try context.file("f", "new")
        let source = try context.source()
        try copy("f", to: "/to-pipe", from: source, into: image)
        try copy("f", to: "/full", from: source, into: image)
        #expect(try image.text("pipe") == "new" && image.text("full") == "new")
        #expect(failure { try copy("f", to: "/full/x/y", from: source, into: image) }.contains("is a file"))
    }

    @Test func hugeNames() throws {
        let long = String(repeating: "n", count: 255)
        try context.file("d/\(long)", "x").file("d/\u{7f}\u{1}\n;$(x)", "y")
        let source = try context.source()
        try copy("d", to: "/x", from: source, into: image)
        #expect(try image.text("x/\(long)") == "x" && image.listing("x").count == 2)
        let error = failure { try copy("\(long)n", to: "/x", from: source, into: image) }
        #expect(error.contains("File name too long"))
        let parts = failure {
            try copy("d", to: String(repeating: "/a", count: 2000), from: source, into: image)
        }
        #expect(!parts.isEmpty && parts.utf8.count < 2000, "\(parts)")
    }

    @Test func deepTreesEndInAnError() throws {
        var folder = try FileDescriptor.open(context.path, O_RDONLY | O_DIRECTORY)
        for _ in 0..<600 {
            let raw = folder.raw
            try check("mkdirat") { mkdirat(raw, "deep", 0o755) }
            folder = try folder.open(at: "deep", O_RDONLY | O_DIRECTORY)
        }
        let error = failure { try copy(".", to: "/x", from: context.source(), into: image) }
        #expect(error.contains("more than 256 folders deep"), "\(error)")
        #expect(failure { _ = try digest(".", from: context.source()) } == error)
    }

    /// A folder of the context is a link to the host's every other moment: the host's file never arrives.
    @Test func swappedFolders() throws {
        try context.file("swap/secret", "ours").link("evil", to: host.path).file("other/x", "x")
        let source = try context.source()
        let root = context.path
        let stop = Cancellation()
        try withThread({ exchange(root, until: stop) }) {
            defer { stop.cancel() }
            var errors: [String: Int] = [:]
            for round in 0..<300 {
                for file in ["swap/secret", "swap", "."] {
                    let image = try Tree()
                    // Whatever it answers: either all is ours, or it says that something changed.
                    let error = failure { try copy(file, to: "/x/", from: source, into: image) }
                    let found = try image.listing().filter { $0.contains("=secret") }
                    #expect(found.isEmpty, "\(round) \(file): \(found)")
                    errors[error, default: 0] += 1
                    let isKnown = ["no error", "changed", "not found"].contains { error.contains($0) }
                    #expect(isKnown, "\(round) \(file): \(error)")
                }
                let error = failure { _ = try digest(".", from: source) }
                #expect(error == "no error" || error.contains("changed"), "\(error)")
            }
            // They met: it is seen while it is a link, and while it is a folder.
            #expect(errors.count > 1 && errors["no error"] != nil, "\(errors)")
        }
    }

    /// What the digest saw is what is copied, or there is an error.
    @Test func changesBetweenDigestAndCopy() throws {
        try context.file("d/a", "1").file("d/b", "2")
        let changes: [() throws -> Void] = [
            { try context.file("d/a", "3") }, { try context.file("d/new") }, { unlink(context.at("d/b")) },
            { chmod(context.at("d/a"), 0o600) }, { try context.file("b", "2") },
            { rename(context.at("b"), context.at("d/a")) },
        ]
        for (number, change) in changes.enumerated() {
            let selection = try CopySelection(CopyJob(files: ["d"], destination: "/x\(number)"), from: context.source())
            _ = try selection.digest(nil)
            try change()
            let error = failure { try selection.copy(into: image.root) }
            #expect(number == 4 ? error == "no error" : error.contains("build again"), "\(number): \(error)")
        }
        let selection = try CopySelection(CopyJob(files: ["d"], destination: "/good"), from: context.source())
        _ = try selection.digest(nil)
        try selection.copy(into: image.root)
        #expect(image.exists("good/a"))
    }

    @Test func aBuildThatIsGivenUp() throws {
        try context.file("d/a", "1").file("d/b", "2")
        let stop = Cancellation()
        let selection = try CopySelection(CopyJob(files: ["d"], destination: "/x"), from: context.source())
        _ = try selection.digest(nil, stop: stop)
        stop.cancel()
        #expect(failure { _ = try selection.digest(nil, stop: stop) } == "cancelled")
        #expect(failure { try selection.copy(into: image.root, stop: stop) } == "cancelled")
        #expect(!image.exists("x/a"))
    }

    @Test func aFileThatGrowsWhileItIsRead() throws {
        try context.file("log", "")
        let path = context.at("log")
        let source = try context.source()
        let stop = Cancellation()
        try withThread({ append(to: path, until: stop) }) {
            defer { stop.cancel() }
            for _ in 0..<50 {
                let error = failure { try copy("log", to: "/x", from: source, into: image) }
                #expect(error == "no error" || error.contains("was changed"), "\(error)")
            }
        }
    }

    @Test func aHundredThousandFiles() throws {
        for folder in 0..<100 {
            try context.folder("\(folder)")
            for number in 0..<1000 {
                let raw = gantry_open(context.at("\(folder)/\(number)"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
                try #require(raw >= 0)
                close(raw)
            }
        }
        let clock = ContinuousClock()
        let folder = try Tree()
        let index = DigestIndex(path: folder.at("index"), now: ContextClock().later)
        let selection = try CopySelection(CopyJob(files: ["."], destination: "/x"), from: context.source())
        let cold = try clock.measure { _ = try selection.digest(index) }
        let warm = try clock.measure { _ = try selection.digest(index) }
        let copied = try clock.measure { try selection.copy(into: image.root) }
        try index.save()
        let loading = clock.measure { _ = DigestIndex(path: folder.at("index"), now: ContextClock().later) }
        print("100,000 files: digest cold \(cold), warm \(warm), copied \(copied), index loaded \(loading)")
        #expect(index.count == 100_000)
        #expect(try FileSystem.list(image.at("x")).count == 100 && FileSystem.list(image.at("x/99")).count == 1000)
    }
}

/// Exchanges `swap` and `evil` in `root` again and again.
private func exchange(_ root: String, until stop: Cancellation) {
    while !stop.isCancelled {
        renameat2(AT_FDCWD, root + "/swap", AT_FDCWD, root + "/evil", UInt32(RENAME_EXCHANGE))
        usleep(50)
    }
}

private func append(to path: String, until stop: Cancellation) {
    let raw = gantry_open(path, O_WRONLY | O_APPEND | O_CLOEXEC, 0)
    while !stop.isCancelled, raw >= 0 { write(raw, path, path.utf8.count) }
    close(raw)
}

/// Runs `side` on a thread of its own while `body` runs.
private func withThread(_ side: @escaping () -> Void, _ body: () throws -> Void) throws {
    final class Box {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(side))
    let code = pthread_create(
        &thread, nil,
        { box in
            guard let box else { return nil }
            Unmanaged<Box>.fromOpaque(box).takeRetainedValue().run()
            return nil
        }, box.toOpaque())
    guard code == 0 else { throw SystemError("pthread_create", code: code) }
    defer { pthread_join(thread, nil) }
    try body()
}
