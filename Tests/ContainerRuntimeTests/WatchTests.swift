import CLinux
import Glibc
import LinuxSystem
import Testing

/// `gantry-supervisor watch`.
@Suite struct WatchTests {
    private func watch(_ script: String) throws -> (pid: pid_t, folder: String) {
        let folder = "\(TestHost.shared.directory)/watch-\(TestContainer.newNumber())"
        try FileSystem.makeDirectories(folder)
        let arguments = [
            "gantry-supervisor", "watch", "--", "/bin/sh", "-c", "cd \(folder); echo x >> runs; \(script)",
        ]
        let cArguments = arguments.map { strdup($0) } + [nil]
        defer { for argument in cArguments { free(argument) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, TestHost.shared.supervisorPath, nil, nil, cArguments, gantry_environment())
        try #require(code == 0)
        return (pid, folder)
    }

    private func runs(_ folder: String) throws -> Int { try FileSystem.readFile("\(folder)/runs").count / 2 }

    private func exitCode(_ pid: pid_t) -> Int32 {
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        return gantry_wifexited(status) != 0 ? gantry_wexitstatus(status) : 128 + gantry_wtermsig(status)
    }

    @Test(arguments: [Int32(0), 2]) func goodEndIsTheEnd(code: Int32) throws {
        let (pid, folder) = try watch("exit \(code)")
        #expect(exitCode(pid) == code)
        #expect(try runs(folder) == 1)
    }

    @Test func crashesAreRestartedWithPauses() throws {
        var start = timespec()
        clock_gettime(CLOCK_MONOTONIC, &start)
        // Dies by a signal, then by an exit code, then ends well.
        let (pid, folder) = try watch("case $(wc -l < runs) in 1) kill -9 $$;; 2) exit 1;; esac; exit 0")
        #expect(exitCode(pid) == 0)
        #expect(try runs(folder) == 3)
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let milliseconds = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1_000_000
        // 100 ms and 200 ms.
        #expect(milliseconds >= 300)
    }

    @Test func terminationIsPassedOn() throws {
        let (pid, folder) = try watch("trap 'echo t > told; exit 5' TERM; touch ready; while true; do sleep 0.05; done")
        try eventually { FileSystem.exists("\(folder)/ready") }
        kill(pid, SIGTERM)
        #expect(exitCode(pid) == 5)
        #expect(FileSystem.exists("\(folder)/told"))
        #expect(try runs(folder) == 1)
    }

    @Test func wrongUseIsTwo() throws {
        let cArguments = [strdup("gantry-supervisor"), strdup("watch"), strdup("x"), nil]
        defer { for argument in cArguments { free(argument) } }
        var pid: pid_t = 0
        try #require(posix_spawn(&pid, TestHost.shared.supervisorPath, nil, nil, cArguments, gantry_environment()) == 0)
        #expect(exitCode(pid) == 2)
    }
}
