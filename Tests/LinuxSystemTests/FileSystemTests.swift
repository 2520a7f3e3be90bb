import CLinux
import Glibc
import LinuxSystem
import Testing

/// A folder that goes away with the value.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/gantry-test-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer -> String? in
            guard let base = buffer.baseAddress, mkdtemp(base) != nil else { return nil }
            return String(cString: base)
        }
        path = try #require(made)
    }

    deinit { try? FileSystem.removeTree(path) }  // Cleaning up after a test.
}

@Suite struct FileSystemTests {
    /// Of several at once one is the last, and each is whole.
    @Test func replacingOneFileManyTimesAtOnce() async throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/a"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    let bytes = [UInt8](repeating: UInt8(number), count: 20_000 + number)
                    for _ in 0..<50 { try FileSystem.replaceFile(path, with: bytes) }
                }
            }
            try await group.waitForAll()
        }
        let found = try FileSystem.readFile(path)
        let first = try #require(found.first)
        #expect(found == [UInt8](repeating: first, count: 20_000 + Int(first)))
        #expect(try FileSystem.list(folder.path) == ["a"])
    }

    @Test func replaceFileLeavesNoTemporaryBehind() throws {
        let folder = try TemporaryFolder()
        try FileSystem.replaceFile("\(folder.path)/a", with: Array("one".utf8))
        try FileSystem.replaceFile("\(folder.path)/a", with: Array("two".utf8), durable: true)
        #expect(try FileSystem.readFile("\(folder.path)/a") == Array("two".utf8))
        #expect(try FileSystem.list(folder.path) == ["a"])
    }

    @Test func treesAreCountedOnceAndInside() throws {
        let folder = try TemporaryFolder()
        let root = "\(folder.path)/tree"
        try FileSystem.replaceFile("\(folder.path)/outside", with: [UInt8](repeating: 0, count: 1000))
        try FileSystem.makeDirectories("\(root)/a/b")
        try FileSystem.replaceFile("\(root)/a/b/file", with: [UInt8](repeating: 0, count: 300))
        try FileSystem.replaceFile("\(root)/file", with: [UInt8](repeating: 0, count: 7))
        #expect(link("\(root)/a/b/file", "\(root)/again") == 0)
        #expect(symlink("../outside", "\(root)/to") == 0)
        #expect(symlink("..", "\(root)/up") == 0)
        #expect(try FileSystem.treeByteCount(root) == 300 + 7 + 10 + 2)
        #expect(try FileSystem.treeByteCount("\(root)/nothing") == 0)
        #expect(throws: SystemError.self) { try FileSystem.treeByteCount("\(root)/up") }
    }

    @Test func outputGoesThroughLinksAndIntoDevices() throws {
        let folder = try TemporaryFolder()
        try FileSystem.writeOutput("\(folder.path)/a", with: Array("one".utf8))
        #expect(symlink("a", "\(folder.path)/link") == 0)
        #expect(symlink("/dev/null", "\(folder.path)/null") == 0)
        try FileSystem.writeOutput("\(folder.path)/link", with: Array("two".utf8))
        try FileSystem.writeOutput("\(folder.path)/null", with: Array("three".utf8))
        #expect(try FileSystem.readFile("\(folder.path)/a") == Array("two".utf8))
        #expect(try FileSystem.readFile("\(folder.path)/null").isEmpty)
        #expect(try FileSystem.list(folder.path).sorted() == ["a", "link", "null"])
    }

    @Test func removeTreeDoesNotFollowLinks() throws {
        let folder = try TemporaryFolder()
        try FileSystem.makeDirectories("\(folder.path)/keep/deep")
        try FileSystem.makeDirectories("\(folder.path)/gone/sub")
        #expect(symlink("\(folder.path)/keep", "\(folder.path)/gone/sub/link") == 0)
        try FileSystem.removeTree("\(folder.path)/gone")
        #expect(try FileSystem.list(folder.path) == ["keep"])
        #expect(try FileSystem.list("\(folder.path)/keep") == ["deep"])
        try FileSystem.removeTree("\(folder.path)/gone")
    }

    @Test func openInRootStaysInside() throws {
        let folder = try TemporaryFolder()
        try FileSystem.makeDirectories("\(folder.path)/root/etc")
        try FileSystem.replaceFile("\(folder.path)/root/etc/name", with: Array("inside".utf8))
        try FileSystem.replaceFile("\(folder.path)/name", with: Array("outside".utf8))
        #expect(symlink("/etc/name", "\(folder.path)/root/absolute") == 0)
        #expect(symlink("../../../../name", "\(folder.path)/root/climbing") == 0)
        let root = try FileDescriptor.open("\(folder.path)/root", O_PATH | O_DIRECTORY)
        #expect(try root.openInRoot("absolute", O_RDONLY).readAll() == Array("inside".utf8))
        #expect(throws: SystemError.self) { _ = try root.openInRoot("climbing", O_RDONLY).raw }
        #expect(throws: SystemError.self) { _ = try root.openInRoot("../name", O_RDONLY).raw }
    }

    @Test func treeCopyKeepsWhatFilesAre() throws {
        let folder = try TemporaryFolder()
        try FileSystem.makeDirectories("\(folder.path)/from/sub", mode: 0o750)
        try FileSystem.makeDirectories("\(folder.path)/to")
        try FileSystem.replaceFile("\(folder.path)/from/sub/file", with: Array("text".utf8), mode: 0o640)
        #expect(chmod("\(folder.path)/from/sub/file", 0o4755) == 0)
        #expect(symlink("/etc/passwd", "\(folder.path)/from/link") == 0)
        #expect(mkfifo("\(folder.path)/from/fifo", 0o600) == 0)
        try TreeCopy().copyContents(
            of: try FileDescriptor.open("\(folder.path)/from", O_RDONLY | O_DIRECTORY),
            into: try FileDescriptor.open("\(folder.path)/to", O_RDONLY | O_DIRECTORY))
        #expect(try FileSystem.list("\(folder.path)/to") == ["fifo", "link", "sub"])
        var status = stat()
        #expect(lstat("\(folder.path)/to/sub/file", &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o4755)
        #expect(lstat("\(folder.path)/to/link", &status) == 0)
        #expect(gantry_is_symlink(status.st_mode) == 1)
        #expect(try FileSystem.readFile("\(folder.path)/to/sub/file") == Array("text".utf8))
    }
}

@Suite struct BlockingPoolTests {
    @Test func jobsRunBesideEachOtherAndErrorsComeBack() async throws {
        let pool = BlockingPool(name: "test", threadsMax: 4)
        let answers = await withTaskGroup(of: Int.self, returning: [Int].self) { group in
            for number in 0..<64 {
                group.addTask {
                    await pool.run {
                        usleep(1000); return number
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers.sorted() == Array(0..<64))
        await #expect(throws: SystemError.self) {
            try await pool.run { () throws(SystemError) in throw SystemError("test", code: ENOENT) }
        }
    }

    @Test func pollerTellsOfAPipe() async throws {
        let poller = try Poller(name: "test")
        var ends: [Int32] = [0, 0]
        #expect(pipe2(&ends, O_CLOEXEC) == 0)
        let writer = FileDescriptor(owning: ends[1])
        let (news, continuation) = AsyncStream.makeStream(of: Void.self)
        try poller.watch(FileDescriptor(owning: ends[0]), once: true) { continuation.yield() }
        try writer.writeAll([1])
        for await _ in news { break }
    }

    /// On a thread whose umask is its own.
    @Test func whatIsMissingInARootIsMadeInIt() throws {
        let folder = try TemporaryFolder()
        let root = folder.path
        #expect(symlink("/made/by/link", "\(root)/away") == 0)
        #expect(symlink("../../../../outside", "\(root)/up") == 0)
        try NamedThread.run("in-root") { () throws(SystemError) in
            try check("unshare") { unshare(CLONE_FS) }
            let top = try FileDescriptor.open(root, O_PATH | O_DIRECTORY)
            for (path, isDirectory) in [("away", true), ("/up", false), ("/a/b/c/", true), ("a/b/file", false)] {
                _ = try top.openOrMakeInRoot(path, isDirectory: isDirectory)
                // It is there now.
                _ = try top.openOrMakeInRoot(path, isDirectory: isDirectory)
            }
            do throws(SystemError) {
                _ = try top.openOrMakeInRoot("/away/x", isDirectory: true, strict: true)
                Issue.record("a link was followed")
            } catch {
                #expect(error.code == ELOOP)
            }
        }.get()
        #expect(try FileSystem.list("\(root)/made/by") == ["link"])
        #expect(try FileSystem.list(root) == ["a", "away", "made", "outside", "up"])
        #expect(try FileSystem.list("\(root)/a/b") == ["c", "file"])
    }
}
