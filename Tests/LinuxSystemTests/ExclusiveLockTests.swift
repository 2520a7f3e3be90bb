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

    /// A child has the lock besides, and ends soon: however the engine that made it ended.
    @Test func aHolderThatIsAboutToGoIsWaitedFor() async throws {
        try await withFile { path in
            let holder = try FileDescriptor.open(path, O_RDWR)
            #expect(try ExclusiveLock.take(holder))
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_adddup2(&actions, holder.raw, 100)
            var arguments = [strdup("sleep"), strdup("0.2"), nil]
            defer { for argument in arguments { free(argument) } }
            var child: pid_t = 0
            try #require(posix_spawnp(&child, "sleep", &actions, nil, &arguments, environ) == 0)
            close(holder.take())
            let other = try FileDescriptor.open(path, O_RDWR)
            #expect(try ExclusiveLock.take(other))
            waitpid(child, nil, 0)
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
