import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

@Suite struct TreeRemovalTests {
    @Test func removesBytesLinksAndDepthAndNothingElse() throws {
        let folder = try TestFolder()
        let outside = try folder.write("outside", Array("x".utf8))
        let script = """
            cd \(folder.path) && mkdir -p tree/a && ln -s \(folder.path) tree/a/up && : > tree/$(printf 'f\\351') && \
            mkdir tree/$(printf 'd\\377') && : > tree/$(printf 'd\\377')/x && mkfifo tree/p && chmod 0 tree/a && \
            cd tree && for i in $(seq 100); do mkdir d$i .gantry-removed-$i && : > f && cd d$i; done
            """
        _ = try #require(try output(of: script, in: folder))
        try TreeRemoval.remove("\(folder.path)/tree")
        #expect(!FileSystem.exists("\(folder.path)/tree"))
        #expect(FileSystem.exists(outside))
        try TreeRemoval.remove("\(folder.path)/tree")
    }

    @Test(.enabled(if: geteuid() == 0, "mounting needs root")) func staysOnItsFileSystem() throws {
        let folder = try TestFolder()
        let mount = "cd \(folder.path) && mkdir -p tree/m && mount -t tmpfs none tree/m && : > tree/m/kept"
        _ = try #require(try output(of: mount, in: folder))
        #expect(throws: SystemError.self) { try TreeRemoval.remove("\(folder.path)/tree") }
        #expect(FileSystem.exists("\(folder.path)/tree/m/kept"))
        _ = try #require(try output(of: "umount \(folder.path)/tree/m", in: folder))
    }
}
