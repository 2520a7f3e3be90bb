import CLinux
import Glibc
import LinuxSystem
import Synchronization
import Testing

@testable import FileWatch

@Suite struct FolderWatchTests {
    /// What was reported so far, for a test that waits for it.
    private final class News: Sendable {
        private let keys = Mutex<[String]>([])

        func add(_ new: Set<String>) { keys.withLock { $0 += new.sorted() } }

        func take() -> [String] {
            keys.withLock { keys in
                defer { keys = [] }
                return keys
            }
        }
    }

    private func folder() throws -> String {
        var template = Array("/tmp/folder-watch-XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func write(_ path: String) throws {
        try FileSystem.replaceFile(path, with: Array("x".utf8), mode: 0o644)
    }

    private func eventually(_ news: News) async throws -> [String] {
        for _ in 0..<1000 {
            let keys = news.take()
            if !keys.isEmpty { return keys }
            try await Task.sleep(for: .milliseconds(10))
        }
        return []
    }

    @Test func foldersAreReportedByTheirKeysAndOnlyForFilesOfInterest() async throws {
        let (one, two) = (try folder(), try folder())
        defer { for path in [one, two] { _ = try? FileSystem.removeTree(path) } }  // Only the test's own.
        let news = News()
        let watch = try FolderWatch(
            threadName: "test-watch", settleMilliseconds: 20, isOfInterest: { !$0.hasPrefix("skip") },
            { news.add($0) })
        defer { watch.cancel() }
        let mask = Int32(IN_MOVED_TO) | Int32(IN_DELETE)
        try watch.add(one, key: "first", mask: mask)
        try watch.add(two, key: "second", mask: mask)
        try write("\(two)/skip")
        try write("\(one)/file")
        #expect(try await eventually(news) == ["first"])
        #expect(watch.watchOnly([two], mask: mask).isEmpty)
        try write("\(one)/another")
        try write("\(two)/file")
        #expect(try await eventually(news) == ["second"])
        #expect(watch.watchOnly([two, "\(one)/missing"], mask: mask).map(\.path) == ["\(one)/missing"])
    }

    @Test func aFolderThatGoesIsNewsAndAnotherInItsPlaceIsWatchedAnew() async throws {
        let path = try folder()
        defer { _ = try? FileSystem.removeTree(path) }  // Only the test's own.
        let news = News()
        let watch = try FolderWatch(
            threadName: "test-watch", settleMilliseconds: 20, isOfInterest: { _ in true }, { news.add($0) })
        defer { watch.cancel() }
        let mask = Int32(IN_MOVED_TO)
        #expect(watch.watchOnly([path], mask: mask).isEmpty)
        try FileSystem.removeTree(path)
        #expect(try await eventually(news) == [path])
        try FileSystem.makeDirectories(path)
        #expect(watch.watchOnly([path], mask: mask).isEmpty)
        try write("\(path)/file")
        #expect(try await eventually(news) == [path])
    }
}
