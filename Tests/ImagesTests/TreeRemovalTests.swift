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
            cd tree && for i in $(seq 1000); do mkdir d && : > f && cd d; done; mkdir ../e ../g
            """
        _ = try #require(try output(of: script, in: folder))
        try TreeRemoval.remove("\(folder.path)/tree")
        #expect(!FileSystem.exists("\(folder.path)/tree"))
        #expect(FileSystem.exists(outside))
        try TreeRemoval.remove("\(folder.path)/tree")
    }

    /// What is gone is as good as removed, whoever did it.
    @Test func twoRemoveTheSameTree() async throws {
        let folder = try TestFolder()
        let script = "mkdir -p $1 && cd $1 && for i in $(seq 60); do mkdir -p $i/a/b; : > $i/a/f; done"
        for round in 0..<20 {
            let tree = "\(folder.path)/\(round)"
            _ = try #require(try output(of: "set -- \(tree); \(script)", in: folder))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<2 { group.addTask { try TreeRemoval.remove(tree) } }
                try await group.waitForAll()
            }
            #expect(!FileSystem.exists(tree))
        }
    }

    /// Where folders of a lower layer cannot be moved (EXDEV).
    @Test(.enabled(if: geteuid() == 0, "mounting needs root")) func deepTreesOfAnOverlayGo() throws {
        let folder = try TestFolder()
        let make = """
            cd \(folder.path) && mkdir m && mount -t tmpfs none m && cd m && mkdir lower upper work root && cd lower && \
            for i in $(seq 100); do mkdir d && : > f && cd d; done
            cd \(folder.path)/m && mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none root
            """
        _ = try #require(try output(of: make, in: folder))
        #expect(throws: Never.self) { try TreeRemoval.remove("\(folder.path)/m/root/d") }
        #expect(try FileSystem.list("\(folder.path)/m/root") == ["f"])
        _ = try #require(try output(of: "umount \(folder.path)/m/root \(folder.path)/m", in: folder))
    }

    @Test(.enabled(if: geteuid() == 0, "mounting needs root")) func staysOnItsFileSystem() throws {
        let folder = try TestFolder()
        let mount = "cd \(folder.path) && mkdir -p tree/m && mount -t tmpfs none tree/m && : > tree/m/kept"
        _ = try #require(try output(of: mount, in: folder))
        #expect(throws: SystemError.self) { try TreeRemoval.remove("\(folder.path)/tree") }
        #expect(FileSystem.exists("\(folder.path)/tree/m/kept"))
        _ = try #require(try output(of: "umount \(folder.path)/tree/m", in: folder))
    }

    /// A volume that is mounted in a volume of the same disk is another's all the same.
    @Test(.enabled(if: geteuid() == 0, "mounting needs root")) func staysOnItsMount() throws {
        let folder = try TestFolder()
        let mount = "cd \(folder.path) && mkdir -p tree/d/m other && : > other/kept && mount --bind other tree/d/m"
        _ = try #require(try output(of: mount, in: folder))
        #expect(throws: SystemError.self) { try TreeRemoval.remove("\(folder.path)/tree") }
        #expect(FileSystem.exists("\(folder.path)/other/kept"))
        let root = SharedDescriptor(try FileDescriptor.open("\(folder.path)/tree/d", O_PATH | O_DIRECTORY))
        var tar = TarBuilder()
        tar.file("m", "x")
        var file: [UInt8]? = tar.finished
        #expect(throws: CopyError.self) {
            try TreeExtraction(root: root, folder: "/", options: ExtractionOptions()).extract {
                () throws(ImageError) in
                defer { file = [] }
                return file ?? []
            }
        }
        #expect(FileSystem.exists("\(folder.path)/other/kept"))
        _ = try #require(try output(of: "umount \(folder.path)/tree/d/m", in: folder))
    }
}
