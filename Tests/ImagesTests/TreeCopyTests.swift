import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

/// Trees into and out of archives, where somebody else owns both.
@Suite struct TreeCopyTests {
    private func extract(
        _ tar: TarBuilder, into folder: TestFolder, at path: String = "/",
        _ options: ExtractionOptions = ExtractionOptions()
    ) throws -> TreeExtraction {
        let root = SharedDescriptor(try FileDescriptor.open(folder.path, O_PATH | O_DIRECTORY))
        let extraction = TreeExtraction(root: root, folder: path, options: options)
        var bytes: [UInt8]? = tar.finished
        try extraction.extract { () throws(ImageError) in
            defer { bytes = [] }
            return bytes ?? []
        }
        return extraction
    }

    private func archive(_ path: String, as name: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let tree = TreeArchive(attributes: .all, sink: { bytes += $0 })
        try tree.add(try FileDescriptor.open(path, O_PATH | O_NOFOLLOW), as: Array(name.utf8))
        try tree.finish()
        return bytes
    }

    private func shell(_ script: String, _ folder: TestFolder) throws -> String {
        // The script's own files are none of the test's.
        let bytes = try #require(try output(of: "cd \(folder.path)\n\(script)", in: try TestFolder()))
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func aTreeComesBackAsItWas() throws {
        let folder = try TestFolder()
        _ = try shell(
            """
            mkdir -p a/sub b; echo text > a/f; ln a/f a/hard; ln -s /nowhere a/link; mkfifo a/pipe; chown 3:4 a/f
            chmod 2750 a/sub; chmod 4711 a/f; head -c 300000 /dev/urandom > a/sub/big; touch -d @1000000000.25 a/sub
            """, folder)
        let bytes = try archive("\(folder.path)/a", as: "top")
        let root = SharedDescriptor(try FileDescriptor.open("\(folder.path)/b", O_PATH | O_DIRECTORY))
        var rest: [UInt8]? = bytes
        try TreeExtraction(root: root, folder: "/", options: ExtractionOptions()).extract { () throws(ImageError) in
            defer { rest = [] }
            return rest ?? []
        }
        let names = "find . -printf '%P %M %U:%G %n %l %s\\n' | sort"
        #expect(try shell("cd a && \(names)", folder) == shell("cd b/top && \(names)", folder))
        #expect(try shell("cmp a/sub/big b/top/sub/big; stat -c %Y b/top/sub", folder) == "1000000000\n")
    }

    /// What `watch` sends: whiteouts for what is to go, single entries for what is to come.
    @Test func whiteoutsRemoveWhereTheyAreAskedTo() throws {
        let folder = try TestFolder()
        _ = try shell(
            """
            mkdir -p in/gone/deep in/kept src/kept; touch in/gone/deep/f in/old in/kept/f src/kept/f src/kept/g
            ln -s ../src in/way; ln -s kept in/link; echo 1 > src/new; touch src/safe
            """, folder)
        var bytes: [UInt8] = []
        let tree = TreeArchive(sink: { bytes += $0 })
        for name in ["gone", "old", "link", "missing", "missing/below", "old/below"] {
            try tree.addRemoval(of: Array(name.utf8))
        }
        for name in ["kept", "new"] {
            try tree.addAlone(try FileDescriptor.open("\(folder.path)/src/\(name)", O_PATH), as: Array(name.utf8))
        }
        try tree.finish()
        let root = SharedDescriptor(try FileDescriptor.open("\(folder.path)/in", O_PATH | O_DIRECTORY))
        func extract(_ options: ExtractionOptions) throws {
            var rest: [UInt8] = bytes
            try TreeExtraction(root: root, folder: "/", options: options).extract { () throws(ImageError) in
                defer { rest = [] }
                return rest
            }
        }
        #expect(throws: CopyError.self) { try extract(ExtractionOptions()) }
        var options = ExtractionOptions()
        options.whiteoutsRemove = true
        try extract(options)
        #expect(try shell("cd in; find . | sort", folder) == ".\n./kept\n./kept/f\n./new\n./way\n")
        #expect(try shell("ls src", folder) == "kept\nnew\nsafe\n")
    }

    @Test(arguments: ["../src/safe", "way/safe", "way/../../src/safe", "/etc/../src/safe", ".", "/", ""])
    func aRemovalStaysBelowTheRoot(name: String) throws {
        let folder = try TestFolder()
        _ = try shell("mkdir -p in src; touch src/safe in/own; ln -s ../src in/way; ln -s /src in/abs", folder)
        var bytes: [UInt8] = []
        let tree = TreeArchive(sink: { bytes += $0 })
        try tree.addRemoval(of: Array(name.utf8))
        try tree.finish()
        let root = SharedDescriptor(try FileDescriptor.open("\(folder.path)/in", O_PATH | O_DIRECTORY))
        var options = ExtractionOptions()
        options.whiteoutsRemove = true
        // Refused or without effect.
        do throws(CopyError) {
            try TreeExtraction(root: root, folder: "/", options: options).extract { () throws(ImageError) in
                defer { bytes = [] }
                return bytes
            }
        } catch {}
        #expect(try shell("ls src in", folder) == "in:\nabs\nown\nway\n\nsrc:\nsafe\n")
    }

    /// More names than listxattr(2) can tell: a capability among them would be lost without a word.
    @Test(.enabled(if: geteuid() == 0, "mounting needs root")) func attributesThatCannotBeReadAreAnError() throws {
        let folder = try TestFolder()
        _ = try shell("mkdir m; mount -t tmpfs none m; touch m/f", folder)
        let path = "\(folder.path)/m/f"
        for index in 0..<300 {
            #expect(setxattr(path, "trusted.\(index)" + String(repeating: "n", count: 240), "v", 1, 0) == 0)
        }
        #expect(throws: CopyError.self) { try archive(path, as: "f") }
        #expect(umount2(path.dropLast(2).description, Int32(MNT_DETACH)) == 0)
    }

    @Test func namesAreAsAskedFor() throws {
        let folder = try TestFolder()
        _ = try shell("mkdir -p a/sub; touch a/sub/f", folder)
        for (name, expected) in [
            ("x", "x/\nx/sub/\nx/sub/f\n"), (".", "./\n./sub/\n./sub/f\n"), ("", "./\nsub/\nsub/f\n"),
        ] {
            _ = try folder.write("t.tar", try archive("\(folder.path)/a", as: name))
            #expect(try shell("tar tf t.tar", folder) == expected)
        }
    }

    /// With its root as the container's, a link in the destination is followed inside; nothing reaches outside.
    @Test(arguments: ["/outside", "../../../../../../outside", "/proc/self/root", "../.."])
    func linksInTheDestinationStayInside(target: String) throws {
        let folder = try TestFolder()
        _ = try shell("mkdir -p root/dest root/outside outside; ln -s \(target) root/dest/link", folder)
        var tar = TarBuilder()
        tar.file("link/planted", "x")
        let root = SharedDescriptor(try FileDescriptor.open("\(folder.path)/root", O_PATH | O_DIRECTORY))
        var bytes: [UInt8]? = tar.finished
        do {
            try TreeExtraction(root: root, folder: "/dest", options: ExtractionOptions()).extract {
                () throws(ImageError) in
                defer { bytes = [] }
                return bytes ?? []
            }
        } catch {
            #expect(target == "/proc/self/root", "\(error)")
        }
        #expect(
            try shell("find . ! -path './root*' -name planted; ls /proc/self/root | grep -c planted || true", folder)
                == "0\n")
    }

    /// The command line trusts neither names nor links, also its user's own.
    @Test func aDistrustingExtractionFollowsNothing() throws {
        let folder = try TestFolder()
        _ = try shell("mkdir dest elsewhere; ln -s ../elsewhere dest/link", folder)
        for name in ["dest/link/planted", "dest/../planted", "dest/link"] {
            var tar = TarBuilder()
            if name == "dest/link" { tar.folder(name) }
            tar.file(name == "dest/link" ? "dest/link/planted" : name, "x")
            #expect(throws: CopyError.self, "\(name)") {
                var bytes: [UInt8]? = tar.finished
                let root = SharedDescriptor(try FileDescriptor.open("\(folder.path)/dest", O_PATH | O_DIRECTORY))
                var options = ExtractionOptions.distrusting
                options.rename = { path in path.starts(with: Array("dest/".utf8)) ? Array(path.dropFirst(5)) : nil }
                try TreeExtraction(root: root, folder: "/", options: options).extract { () throws(ImageError) in
                    defer { bytes = [] }
                    return bytes ?? []
                }
            }
        }
        #expect(try shell("find . -name planted", folder) == "")
    }

    @Test func anArchiveDoesNotWriteThroughItsOwnLinks() throws {
        for target in ["/", "/sub", "sub", ".."] {
            let folder = try TestFolder()
            var tar = TarBuilder()
            tar.folder("sub")
            tar.symlink("link", to: target)
            tar.file("link/planted", "x")
            #expect(throws: CopyError.self) { _ = try extract(tar, into: folder) }
            var linked = TarBuilder()
            linked.file("f", "x")
            linked.symlink("link", to: target)
            linked.hardlink("h", to: "link/f")
            #expect(throws: CopyError.self) { _ = try extract(linked, into: folder) }
        }
    }

    @Test func kindsAreKeptWhenAskedTo() throws {
        let folder = try TestFolder()
        _ = try shell("mkdir folder folder/below; touch file", folder)
        var options = ExtractionOptions()
        options.keepsKinds = true
        var file = TarBuilder()
        file.file("folder", "x")
        var directory = TarBuilder()
        directory.folder("file")
        #expect(throws: CopyError.conflict(#"cannot overwrite directory "folder" with non-directory"#)) {
            _ = try extract(file, into: folder, options)
        }
        #expect(throws: CopyError.self) { _ = try extract(directory, into: folder, options) }
        _ = try extract(file, into: folder)
        _ = try extract(directory, into: folder)
        #expect(try shell("stat -c %F folder file", folder) == "regular file\ndirectory\n")
    }

    @Test func privilegesAndDevicesStayBehind() throws {
        let folder = try TestFolder()
        var tar = TarBuilder()
        tar.add("su") {
            ($0.mode, $0.uid) = (0o6755, 1234)
            $0.pax = [
                ("SCHILY.xattr.security.capability", [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            ]
        }
        tar.add("disk") { ($0.type, $0.major, $0.minor) = ("4", 8, 0) }
        let extraction = try extract(tar, into: folder, ExtractionOptions.distrusting)
        #expect(extraction.skipped == ["disk"])
        #expect(try shell("stat -c '%a %u' su; ls", folder) == "755 \(geteuid())\nsu\n")
        #expect(getxattr("\(folder.path)/su", "security.capability", nil, 0) < 0)
    }

    /// A file of a container that grows and shrinks while it is read makes an archive all the same.
    @Test func filesThatChangeMakeWholeArchives() throws {
        let folder = try TestFolder()
        _ = try shell("mkdir d; head -c 5000000 /dev/zero > d/f; touch d/z", folder)
        let path = "\(folder.path)/d/f"
        var isFirst = true
        var bytes: [UInt8] = []
        let tree = TreeArchive(sink: { piece in
            if isFirst { truncate(path, 100) }
            isFirst = false
            bytes += piece
        })
        try tree.add(try FileDescriptor.open("\(folder.path)/d", O_PATH), as: Array("d".utf8))
        try tree.finish()
        _ = try folder.write("t.tar", bytes)
        #expect(try shell("tar tvf t.tar | awk '{ print $3, $6 }'", folder) == "0 d/\n5000000 d/f\n0 d/z\n")
    }

    @Test func treesAreAsDeepAsTheyAre() throws {
        let folder = try TestFolder()
        _ = try shell("mkdir d; cd d; i=0; while [ $i -lt 600 ]; do mkdir d; cd d; i=$((i+1)); done", folder)
        #expect(throws: CopyError.self) { _ = try archive("\(folder.path)/d", as: "d") }
        var count = 0
        try TreeWalk.visit("\(folder.path)/d") { _, _, _ in count += 1 }
        #expect(count == 601)
    }
}
