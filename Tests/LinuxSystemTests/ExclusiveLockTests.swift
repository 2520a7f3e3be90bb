import Glibc
import LinuxSystem
import Testing

@Suite struct ExclusiveLockTests {
    private func withFile(_ body: (String) async throws -> Void) async throws {
        var path = Array("/tmp/gantry-lock-XXXXXX".utf8CString)
        let raw = mkstemp(&path)
        try #require(raw >= 0)
        close(raw)
        let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(name) }
        try await body(name)
    }

    /// As a child's that has not executed its program yet: it lasts a moment.
    @Test func aHolderThatIsAboutToGoIsWaitedFor() async throws {
        try await withFile { path in
            let holder = try FileDescriptor.open(path, O_RDWR)
            #expect(try ExclusiveLock.take(holder))
            let raw = holder.take()
            // Taking the lock blocks: tasks may have no thread to go on meanwhile.
            async let release: Void = BlockingPool(name: "holder", threadsMax: 1).run {
                usleep(200_000)
                close(raw)
            }
            let isTaken = try await BlockingPool(name: "other", threadsMax: 1).run { () throws(SystemError) in
                try ExclusiveLock.take(try FileDescriptor.open(path, O_RDWR))
            }
            #expect(isTaken)
            await release
        }
    }

    @Test func oneWhoStaysIsRespected() async throws {
        try await withFile { path in
            let holder = try FileDescriptor.open(path, O_RDWR)
            let other = try FileDescriptor.open(path, O_RDWR)
            #expect(try ExclusiveLock.take(holder))
            #expect(try !ExclusiveLock.take(other))
        }
    }
}
