import StackModel
import Testing

@testable import StackFile

struct MountSyntaxTests {
    /// Cases of compose-go's volume parser: whether there is a source, `nil` for an error.
    @Test(
        arguments: [
            ("/path", false),
            ("/path/foo", false),
            ("/foo:/foo:ro:foo", nil),
            (".", false),
            ("/a", false),
            (":foo", nil),
            ("/foo::ro", nil),
            ("./foo:/target", true),
            ("~/thing:/target", true),
            ("../other:/target", true),
            ("/foo:/target", true),
            ("/home/user:/target", true),
            ("/source:/target:slave", true),
            ("/source:/target:ro,z", true),
            ("/source:/target:ro,Z", true),
            ("name:/target:bogus", true),
            ("name:/target:nocopy", true),
            ("./foo:/target:ro", true),
            ("/home/user:/target:ro", true),
            ("./foo:/target:rw", true),
            ("/home/user:/target:rw", true),
            ("/foo:/bar:ro", true),
            ("/tmp/x/y:/foo/x/y", true),
            ("", nil),
            ("/foo::rw", nil),
        ] as [(String, Bool?)])
    func composeGo(text: String, hasSource: Bool?) {
        do throws(SyntaxError) {
            let mount = try MountSyntax.parse(text)
            #expect(hasSource == (mount.source != nil))
        } catch {
            #expect(hasSource == nil)
        }
    }

    @Test func windowsDrivesStayWithTheirPaths() throws {
        let mount = try MountSyntax.parse("C:\\source:D:\\target:ro")
        #expect(mount == MountSyntax(source: "C:\\source", target: "D:\\target", options: ["ro"]))
        #expect(mount.sourceIsPath)
    }

    @Test func kindsOfMounts() throws {
        let service = try loadService(
            """
            volumes:
              - ./a:/a:ro
              - ~/b:/b:rshared,z
              - data:/c:nocopy
              - /anonymous
              - {type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}
              - {type: bind, source: e, target: /e/, bind: {create_host_path: false}}
            tmpfs: ["/run:size=64k,mode=1777", /tmp]
            """, top: "volumes: {data: {}}")
        var a = Mount(kind: .bind, source: "/work/demo/a", target: "/a", readOnly: true)
        a.createHostPath = true
        var b = Mount(kind: .bind, source: "/home/me/b", target: "/b")
        b.createHostPath = true
        b.propagation = "rshared"
        b.selinux = "z"
        var c = Mount(kind: .volume, source: "data", target: "/c")
        c.noCopy = true
        var t = Mount(kind: .tmpfs, target: "/t")
        t.size = 1 << 20
        t.mode = 0o700
        let e = Mount(kind: .bind, source: "/work/demo/e", target: "/e")
        var run = Mount(kind: .tmpfs, target: "/run")
        run.size = 64 << 10
        run.mode = 0o1777
        #expect(
            service.mounts == [
                a, b, c, Mount(kind: .volume, target: "/anonymous"), t, e, run, Mount(kind: .tmpfs, target: "/tmp"),
            ])
    }

    @Test func errors() {
        let errors = serviceErrors("volumes:\n  - missing:/a\n  - ./x:/b\n  - /y:/b\n  - z\n  - ./a:/b:cc:dd")
        #expect(errors.map(\.message).contains("too many colons in volume './a:/b:cc:dd'") && errors.count == 3)
        let later = serviceErrors("volumes:\n  - missing:/a\n  - ./x:/b\n  - /y:/b\n  - z")
        #expect(
            later.map(\.message) == [
                "service 'web' refers to undefined volume 'missing'", "mount target 'z' must be an absolute path",
            ])
        #expect(later.first?.source == SourceMark(file: "compose.yaml", line: 5, column: 9))
    }
}
