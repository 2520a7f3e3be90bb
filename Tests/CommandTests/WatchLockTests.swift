import EngineClient
import Glibc
import LinuxSystem
import Testing

@testable import gantry

@Suite struct WatchLockTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func lock(_ project: String = "shop", socket: String = "/run/gantry.sock") throws -> WatchLock {
        try WatchLock(project: project, host: EngineHost(socketPath: socket), folder: "\(folder.path)/run/watch")
    }

    private func names() throws -> [String] { try FileSystem.list("\(folder.path)/run/watch") }

    @Test func oneAtATime() throws {
        let first = try lock()
        let refusal = #expect(throws: CommandFailure.self) { try lock() }
        #expect(refusal?.diagnostics.first?.code == "watch.running")
        #expect(refusal?.diagnostics.first?.message.hasSuffix("by process \(getpid())") == true)
        #expect(throws: Never.self) {
            let others = [try lock("other"), try lock(socket: "/run/other.sock")]
            #expect(try names().count == 1 + others.count)
        }
        withExtendedLifetime(first) {}
    }

    @Test func nothingIsLeft() throws {
        for _ in 0..<2 {
            let held = try lock()
            #expect(try names().count == 1)
            withExtendedLifetime(held) {}
        }
        #expect(try names().isEmpty)
    }

    /// As one that was killed leaves it: the file is there, the kernel's lock is not.
    @Test func aFileWithoutALockIsTaken() throws {
        let path: String
        do {
            let held = try lock()
            path = try "\(folder.path)/run/watch/\(#require(names().first))"
            withExtendedLifetime(held) {}
        }
        try FileSystem.replaceFile(path, with: Array("1234567\n".utf8))
        let held = try lock()
        #expect(String(decoding: try FileSystem.readFile(path), as: UTF8.self) == "\(getpid())\n")
        withExtendedLifetime(held) {}
    }

    @Test func aFolderThatOthersWriteToIsRefused() throws {
        let shared = "\(folder.path)/run/watch"
        try FileSystem.makeDirectories(shared)
        try check("chmod") { chmod(shared, 0o777) }
        #expect(throws: EngineHostError.unsafeFolder(shared)) { try lock() }
    }
}
