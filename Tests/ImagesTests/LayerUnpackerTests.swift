import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import Images

@Suite struct LayerUnpackerTests {
    // MARK: - What layers hold

    @Test func filesFoldersAndTheirAttributes() throws {
        let layer = try Unpacked { tar in
            tar.add("./") {
                $0.type = "5"
                $0.mode = 0o751
                $0.seconds = 42
            }
            tar.folder("d")
            tar.add("d/f") {
                $0.content = Array("text".utf8)
                $0.mode = 0o6755
                $0.uid = 1000
                $0.gid = 70_000
                $0.pax = [("mtime", Array("123.000000456".utf8))]
            }
            tar.file("deep/er/f", "made its folders")
        }
        let file = try #require(layer.status("d/f"))
        #expect(try layer.text("d/f") == "text")
        #expect(file.st_mode & 0o7777 == 0o6755)
        #expect(file.st_uid == 1000 && file.st_gid == 70_000)
        #expect(file.st_mtim.tv_sec == 123 && file.st_mtim.tv_nsec == 456)
        #expect(try #require(layer.status("d")).st_mtim.tv_sec == 1_000_000_000)
        #expect(try #require(layer.status(".")).st_mode & 0o7777 == 0o751)
        #expect(try #require(layer.status(".")).st_mtim.tv_sec == 42)
        #expect(try #require(layer.status("deep/er")).st_mode & 0o7777 == 0o755)
    }

    @Test func linksDevicesAndFifos() throws {
        let layer = try Unpacked { tar in
            tar.file("f", "x")
            tar.hardlink("h", to: "f")
            tar.hardlink("/h2", to: "./f")
            tar.symlink("l", to: "/etc/passwd")
            tar.hardlink("hl", to: "l")
            tar.add("p") {
                $0.type = "6"
                $0.mode = 0o600
            }
            tar.add("null") {
                $0.type = "3"
                $0.mode = 0o666
                $0.major = 1
                $0.minor = 3
                $0.gid = 5
            }
            tar.add("disk") {
                $0.type = "4"
                $0.major = 8
                $0.minor = 1
            }
        }
        #expect(layer.status("f")?.st_nlink == 3)
        #expect(layer.target("l") == "/etc/passwd")
        #expect(layer.target("hl") == "/etc/passwd")
        #expect(layer.status("l")?.st_mtim.tv_sec == 1_000_000_000)
        #expect(try #require(layer.status("p")).st_mode == S_IFIFO | 0o600)
        let null = try #require(layer.status("null"))
        #expect(null.st_mode == S_IFCHR | 0o666 && null.st_rdev == gantry_makedev(1, 3) && null.st_gid == 5)
        #expect(try #require(layer.status("disk")).st_mode & S_IFMT == S_IFBLK)
    }

    @Test func devicesAreLeftOutForTheUnprivileged() throws {
        var tar = TarBuilder()
        tar.add("null") {
            $0.type = "3"
            $0.major = 1
            $0.minor = 3
        }
        var options = ImageStoreOptions()
        options.skipsDevices = true
        #expect(try Unpacked(tar.finished, options: options).status("null") == nil)
    }

    @Test func extendedAttributes() throws {
        // VFS_CAP_REVISION_2, cap_net_raw permitted and effective (linux/capability.h).
        let capability: [UInt8] = [1, 0, 0, 2, 0, 0x20, 0, 0] + [UInt8](repeating: 0, count: 12)
        let layer = try Unpacked { tar in
            tar.add("ping") {
                $0.mode = 0o755
                $0.uid = 7
                $0.pax = [
                    ("SCHILY.xattr.security.capability", capability),
                    ("SCHILY.xattr.user.note", Array("n".utf8)),
                    ("SCHILY.xattr.trusted.overlay.redirect", Array("/etc".utf8)),
                    ("SCHILY.xattr.user.overlay.opaque", Array("y".utf8)),
                    ("SCHILY.xattr.security.selinux", Array("system_u".utf8)),
                ]
            }
            tar.add("d") {
                $0.type = "5"
                $0.pax = [("SCHILY.xattr.trusted.overlay.opaque", Array("y".utf8))]
            }
            tar.add("l") {
                $0.type = "2"
                $0.target = Array("ping".utf8)
                $0.pax = [
                    ("SCHILY.xattr.trusted.mark", Array("t".utf8)), ("SCHILY.xattr.user.refused", Array("u".utf8)),
                ]
            }
        }
        #expect(layer.attribute("security.capability", of: "ping") == capability)
        #expect(layer.attribute("user.note", of: "ping") == Array("n".utf8))
        #expect(layer.attribute("trusted.overlay.redirect", of: "ping") == nil)
        #expect(layer.attribute("user.overlay.opaque", of: "ping") == nil)
        #expect(layer.attribute("security.selinux", of: "ping") == nil)
        #expect(!layer.isOpaque("d"))
        #expect(layer.attribute("trusted.mark", of: "l") == Array("t".utf8))
        #expect(layer.attribute("trusted.mark", of: "ping") == nil)
    }

    @Test func namesAreBytes() throws {
        let latin: [UInt8] = [0x66, 0xe9, 0x2f, 0xff]
        let long = String(repeating: "d/", count: 200) + String(repeating: "n", count: 255)
        let layer = try Unpacked { tar in
            var entry = TarBuilder.Entry("")
            entry.name = latin
            tar.add(entry)
            tar.file("grüße/日本", "utf-8")
            tar.add("short") { $0.pax = [("path", Array("pax/é".utf8))] }
            tar.add("raw") { $0.pax = [("path", [0x70, 0xfe])] }
            tar.file(long, "long")
            tar.file("slash///")
        }
        #expect(try layer.text("grüße/日本") == "utf-8")
        #expect(layer.status("pax/é") != nil)
        #expect(try layer.text(long) == "long")
        for name in [latin, [0x70, 0xfe]] {
            let path = CPath(Array(layer.root.utf8) + [0x2f] + name)
            #expect(path.withPointer { access($0, F_OK) } == 0)
        }
    }

    @Test func sparseFilesKeepTheirHoles() throws {
        let folder = try TestFolder()
        let source = "\(folder.path)/sparse"
        let file = try FileDescriptor.open(source, O_RDWR | O_CREAT, mode: 0o600)
        #expect(pwrite(file.raw, "data", 4, 8 << 20) == 4 && ftruncate(file.raw, 64 << 20) == 0)
        for format in ["gnu", "pax --sparse-version=1.0", "pax --sparse-version=0.1", "pax --sparse-version=0.0"] {
            let command = "tar -S --format=\(format) -C \(folder.path) -c sparse"
            let tar = try #require(try output(of: command, in: folder), "\(format)")
            #expect(tar.count < 1 << 20)
            let layer = try Unpacked(tar)
            let status = try #require(layer.status("sparse"))
            #expect(status.st_size == 64 << 20)
            #expect(status.st_blocks * 512 < 1 << 20)
            #expect(
                try FileSystem.readFile("\(layer.root)/sparse", byteCountMax: 65 << 20)[8 << 20] == UInt8(ascii: "d"))
        }
    }

    @Test func theSameAsGNUTar() throws {
        let folder = try TestFolder()
        let made = "\(folder.path)/made"
        let script = """
            mkdir -p \(made)/a/b \(made)/ünï && cd \(made) && echo x > a/b/f && ln a/b/f a/h && ln -s ../x a/l && \
            mkfifo p && mknod c c 1 5 && chmod 2750 a && chown 12:34 a/b/f && chmod 4711 a/b/f && \
            touch -d @1234567890.5 a/b && head -c 300000 /dev/urandom > ünï/big && touch -d @99 ünï . && \
            find . -printf '%p %y %m %U %G %T@ %l %n\\n' | sort > ../expected
            """
        _ = try #require(try output(of: script, in: folder))
        let tar = try #require(try output(of: "tar --format=pax -C \(made) -c .", in: folder))
        let layer = try Unpacked(tar)
        let find = "cd \(layer.root) && find . -printf '%p %y %m %U %G %T@ %l %n\\n' | sort"
        let actual = try #require(try output(of: find, in: layer.folder))
        #expect(
            String(decoding: actual, as: UTF8.self)
                == String(decoding: try FileSystem.readFile("\(folder.path)/expected"), as: UTF8.self))
        #expect(try output(of: "diff -r --no-dereference \(made)/a \(layer.root)/a", in: folder) != nil)
    }

    // MARK: - Whiteouts and replacement

    @Test func whiteoutsAndOpaqueFolders() throws {
        let layer = try Unpacked { tar in
            tar.file(".wh.gone")
            tar.folder("d")
            tar.file("d/kept", "k")
            tar.file("d/.wh..wh..opq")
            tar.file("d/after", "a")
            tar.file("new/.wh.x")
            tar.file(".wh..wh.plnk/1.2")
            tar.file(".wh..wh.orph")
        }
        #expect(layer.isWhiteout("gone"))
        #expect(layer.isWhiteout("new/x"))
        #expect(layer.isOpaque("d") && !layer.isOpaque("new"))
        #expect(try layer.text("d/kept") == "k" && layer.text("d/after") == "a")
        #expect(try FileSystem.list(layer.root) == ["d", "gone", "new"])
    }

    /// A whiteout is about lower layers only (image-spec layer.md), whichever comes first.
    @Test func whatTheLayerBringsWinsOverItsWhiteouts() throws {
        let layer = try Unpacked { tar in
            tar.file("f1", "1")
            tar.file(".wh.f1")
            tar.file(".wh.f2")
            tar.file("f2", "2")
            tar.folder("d1")
            tar.file(".wh.d1")
            tar.file(".wh.d2")
            tar.folder("d2")
            tar.file(".wh.d3")
            tar.file("d3/implied", "3")
        }
        #expect(try layer.text("f1") == "1" && layer.text("f2") == "2" && layer.text("d3/implied") == "3")
        for folder in ["d1", "d2", "d3"] { #expect(layer.isOpaque(folder), "\(folder)") }
    }

    @Test func unprivilegedMarks() throws {
        var tar = TarBuilder()
        tar.file("d/.wh..wh..opq")
        var options = ImageStoreOptions()
        options.overlayAttributes = .user
        let layer = try Unpacked(tar.finished, options: options)
        #expect(layer.attribute("user.overlay.opaque", of: "d") == [UInt8(ascii: "y")])
        #expect(!layer.isOpaque("d"))
    }

    @Test func theLastOfANameWins() throws {
        let layer = try Unpacked { tar in
            tar.file("twice", "longer text")
            tar.file("twice", "2")
            tar.file("a/deep/file", "x")
            tar.file("a", "file over folder")
            tar.file("b", "x")
            tar.folder("b")
            tar.file("b/c", "folder over file")
            tar.symlink("l", to: "b")
            tar.folder("l")
            tar.file("l/own", "folder over link")
            tar.folder("m")
            tar.file("m/1", "1")
            tar.add("m") {
                $0.type = "5"
                $0.mode = 0o700
            }
            tar.symlink("s", to: "twice")
            tar.file("s", "file over link")
            tar.file("o", "x")
            tar.symlink("o", to: "twice")
        }
        #expect(try layer.text("twice") == "2")
        #expect(try layer.text("a") == "file over folder")
        #expect(try layer.text("b/c") == "folder over file")
        #expect(try layer.text("l/own") == "folder over link")
        #expect(try FileSystem.list("\(layer.root)/b") == ["c"])
        #expect(try layer.text("m/1") == "1" && layer.status("m").map { $0.st_mode & 0o777 } == 0o700)
        #expect(try layer.text("s") == "file over link" && layer.target("o") == "twice")
    }

    /// The cache of the last parent must not outlive the folder it stands for.
    @Test func aReplacedFolderIsNotWrittenInto() throws {
        let layer = try Unpacked { tar in
            tar.file("a/x", "old")
            tar.file("a", "file")
            tar.folder("a")
            tar.file("a/y", "new")
            tar.folder("t1")
            tar.folder("t2")
            tar.symlink("l", to: "t1")
            tar.file("l/1", "1")
            tar.symlink("l", to: "t2")
            tar.file("l/2", "2")
        }
        #expect(try FileSystem.list("\(layer.root)/a") == ["y"])
        #expect(try FileSystem.list("\(layer.root)/t1") == ["1"])
        #expect(try FileSystem.list("\(layer.root)/t2") == ["2"])
    }

    @Test func emptyTars() throws {
        for tar in [[], [UInt8](repeating: 0, count: 1024), [UInt8](repeating: 0, count: 10_240)] {
            let layer = try Unpacked(tar)
            #expect(try FileSystem.list(layer.root) == [])
        }
    }

    /// As Docker and Podman: the last entry of a file says whose it is, and times before 1970 are 1970.
    @Test func whatALinksEntrySays() throws {
        let layer = try Unpacked { tar in
            tar.add("first") {
                $0.content = Array("x".utf8)
                $0.uid = 5
                $0.mode = 0o4755
            }
            tar.symlink("link", to: "first")
            tar.add("second") {
                ($0.type, $0.target, $0.mode, $0.uid, $0.seconds) = ("1", Array("first".utf8), 0o4700, 7, 1_200_000_000)
            }
            tar.add("third") { ($0.type, $0.target, $0.mode, $0.uid) = ("1", Array("link".utf8), 0o600, 9) }
            tar.add("early") { $0.pax = [("mtime", Array("-1.5".utf8))] }
            tar.add("late") { $0.pax = [("mtime", Array("99999999999999".utf8))] }
            tar.add("bare") { $0.pax = [("SCHILY.xattr.user.none", [])] }
        }
        let first = try #require(layer.status("first"))
        #expect(first.st_ino == layer.status("second")?.st_ino && first.st_uid == 7)
        #expect(first.st_mode & 0o7777 == 0o4700 && first.st_mtim.tv_sec == 1_200_000_000)
        let link = try #require(layer.status("link"))
        #expect(link.st_ino == layer.status("third")?.st_ino && link.st_uid == 9)
        #expect(layer.status("early")?.st_mtim.tv_sec == 0 && layer.status("early")?.st_mtim.tv_nsec == 0)
        #expect(layer.status("late")?.st_mtim.tv_sec == 0)
        #expect(layer.attribute("user.none", of: "bare") == nil)
    }

    /// As umoci writes them: below a file that took a folder's place, and below a whiteout.
    @Test func whiteoutsBelowWhatIsNoFolder() throws {
        let layer = try Unpacked { tar in
            tar.file("now-a-file", "x")
            tar.file("now-a-file/.wh.a")
            tar.file("now-a-file/.wh..wh..opq")
            tar.file("now-a-file/deep/.wh.b")
            tar.file(".wh.gone")
            tar.file("gone/.wh.a")
            tar.file("gone/deep/.wh.b")
        }
        #expect(try layer.text("now-a-file") == "x")
        #expect(layer.isWhiteout("gone"))
    }
}
