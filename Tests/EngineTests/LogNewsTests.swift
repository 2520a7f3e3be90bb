import LinuxSystem
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct LogNewsTests {
    private func withNews(_ body: (LogNews, _ folder: String) async throws -> Void) async throws {
        let folder = try httpTemporaryFolder()
        do {
            try await body(try LogNews(try Poller(name: "test-poll")), folder)
            try FileSystem.removeTree(folder)
        } catch {
            try FileSystem.removeTree(folder)
            throw error
        }
    }

    @Test func whatIsWrittenEndsEveryWait() async throws {
        try await withNews { news, folder in
            for _ in 0..<20 {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<10 {
                        let ticket = news.arm(folder)
                        group.addTask { await news.wait(ticket) }
                    }
                    #expect(throws: Never.self) { try FileSystem.replaceFile("\(folder)/container.log", with: [1]) }
                    await group.waitForAll()
                }
            }
        }
    }

    /// Nothing is missed between the last look and the wait.
    @Test func whatComesBeforeTheWaitCounts() async throws {
        try await withNews { news, folder in
            let ticket = news.arm(folder)
            try FileSystem.replaceFile("\(folder)/container.log", with: [1])
            try await Task.sleep(for: .milliseconds(100))
            await news.wait(ticket)
            let poked = news.arm(folder)
            news.poke(folder)
            await news.wait(poked)
        }
    }

    @Test func otherFoldersDoNot() async throws {
        try await withNews { news, folder in
            for name in ["one", "other"] { try FileSystem.makeDirectories("\(folder)/\(name)") }
            let ticket = news.arm("\(folder)/one")
            let waiting = Task {
                await news.wait(ticket)
                return Task.isCancelled
            }
            try FileSystem.replaceFile("\(folder)/other/container.log", with: [1])
            try await Task.sleep(for: .milliseconds(100))
            waiting.cancel()
            #expect(await waiting.value)
        }
    }

    @Test func withoutAWatchTheTimeEndsIt() async throws {
        try await withNews { news, folder in
            await news.wait(news.arm("\(folder)/nosuch"))
            news.disarm(news.arm(folder))
        }
    }
}
